"""One posterior of several views' stacks, where together they know more than the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from mi_probe.estimators.engine.mixing import (
    log_likelihood,
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
)
from mi_probe.estimators.engine.stack import Chosen

_ADDS = 1e-3
"""Nats from which a view counts as used."""


def joined(
    stacks: Mapping[str, Chosen],
    starts: Sequence[str],
    usable: Bool[np.ndarray, " m"],
    y: Int[np.ndarray, " u"],
) -> Chosen:
    """The best start, or all stacks together where they gain more than a standard error.

    Args:
        stacks: by view, for one held-out fold.
        starts: the views of which the best is the start; any, if there is none of these.
        usable: which of the rows outside the fold may choose.
        y: their classes.
    """
    log_prior = next(iter(stacks.values())).log_prior
    rows = np.arange(len(y))
    every = {name: s.train + log_prior for name, s in stacks.items()}
    train = {name: q[usable] for name, q in every.items()}
    test = {name: s.test + log_prior for name, s in stacks.items()}
    own = {name: q[rows, y] for name, q in train.items()}
    names = [name for name in starts if name in stacks] or list(stacks)
    best = max(names, key=lambda name: float(own[name].mean()))
    powers = log_linear_weights(list(train.values()), log_prior, y)
    joined = _with_product(every, log_prior, powers)
    weights = mixture_weights([q[usable] for q in joined], y)
    inside = mix(joined, weights)
    gain = inside[usable][rows, y] - own[best]
    error = float(gain.std()) / math.sqrt(len(gain))
    together = len(stacks) > 1 and bool(gain.mean() > error)
    nats = float((own[best] - log_prior[y]).mean())
    record: dict[str, Any] = {
        "best view": best,
        "gain": float(gain.mean()),
        "gain_error": error,
        "joined": together,
        "view_nats": nats,
        "nats": nats + together * float(gain.mean()),
        "weights": dict(zip([*stacks, "product"], map(float, weights), strict=True)),
        "powers": dict(zip(stacks, map(float, powers), strict=True)),
        "adds": _adds(train, log_prior, powers, weights, y) if together else {},
        "stacks": {name: stack.record for name, stack in stacks.items()},
    }
    record["n_train"], record["n_test"] = len(y), len(stacks[best].test)
    if not together:
        return replace(stacks[best], log_prior=log_prior, record=record)
    outside = mix(_with_product(test, log_prior, powers), weights)
    return Chosen(inside - log_prior, outside - log_prior, log_prior, record)


def adds(whole: Mapping[str, Any], name: str) -> bool:
    """Whether the whole, by its record, would have said less without a view."""
    return whole["adds"].get(name, 0.0) > _ADDS


def _adds(
    members: Mapping[str, Float[np.ndarray, "u c"]],
    log_prior: Float[np.ndarray, " c"],
    powers: Float[np.ndarray, " v"],
    weights: Float[np.ndarray, " w"],
    y: Int[np.ndarray, " u"],
) -> dict[str, float]:
    """Nats that are lost where a view is left out, all others as they are.

    Its weight and power alone would not tell: a sure view beside a surer one has any.
    """
    full = log_likelihood(mix(_with_product(members, log_prior, powers), weights), y)
    found = {}
    for place, name in enumerate(members):
        others = {other: q for other, q in members.items() if other != name}
        rest, left = np.delete(powers, place), np.delete(weights, place)
        if left.sum() <= 0:
            found[name] = math.inf
            continue
        without = mix(_with_product(others, log_prior, rest), left / left.sum())
        found[name] = full - log_likelihood(without, y)
    return found


def _with_product(
    members: Mapping[str, Float[np.ndarray, "u c"]],
    log_prior: Float[np.ndarray, " c"],
    powers: Float[np.ndarray, " v"],
) -> list[Float[np.ndarray, "u c"]]:
    posteriors = list(members.values())
    return [*posteriors, pooled(posteriors, log_prior, powers)]
