r"""`auto` for classes on sequences: never less than its pooled views, more where it shows.

The sequence is read in three ways, all cross-fitted over the same pairs of folds:

* each pooled view alone, by the very stack that estimates I(Y;Z_p) (`classes.auto`);
* the ends: first, last and mean token side by side, in `token_coordinates`, which holds
  what no view holds alone (do the first and the last token match?);
* all tokens in order, by evidence networks (`fits`).

Where fold k is held out, the start is the best single view, value for value. All stacks
together, as a mixture of them and of the product of their evidence, replace it only if they
gain more than a standard error on the other folds' rows. So where a view is sufficient, the
estimate *is* that view's, and I(Y;Z) - I(Y;Z_p) is 0 and not the noise of two fits.

I(Y;Z) >= I(Y;Z_p) holds for every view, so the largest of the lower bounds is the best one
known: should the whole be below a view after all, the estimate is the view's. That choice
looks at the reported values; where several are equal, their maximum is high by about the
error of their paired differences, far below the standard error of either.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from mi_probe.estimators.classes.auto import cross_fits, doubt_about, hint_of
from mi_probe.estimators.classes.cross_fits import ViewFits
from mi_probe.estimators.classes.stack import Chosen, held_out_terms, stacked
from mi_probe.estimators.classes.stacking import (
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
)
from mi_probe.estimators.protocol.assembly import assembled
from mi_probe.estimators.protocol.base import Estimate, Estimator, Extrapolation
from mi_probe.estimators.protocol.learning_curve import PARTS, extrapolation
from mi_probe.estimators.protocol.states import views_of
from mi_probe.estimators.protocol.targets import Classes
from mi_probe.estimators.sequences.fits import TokenFits
from mi_probe.estimators.sequences.token_coordinates import (
    TokenCoordinates,
    token_coordinates,
)
from mi_probe.hidden import HiddenStates

WHOLE = "whole"
"""What the stack of all views and of the tokens is called beside the views."""

Fits: TypeAlias = Mapping[str, ViewFits]

_USED = 0.1
"""Weight from which a view counts as used, for hints."""


@dataclass(frozen=True)
class Values:
    """Held-out values of all rows at one level of the learning curve."""

    terms: Float[np.ndarray, " n"]
    log_posterior: Float[np.ndarray, "n c"]
    records: list[dict[str, Any]]


@dataclass(frozen=True)
class Reading:
    """Z as it is read, and the rows that may learn from it."""

    views: Mapping[str, Fits]
    pooled: tuple[str, ...]
    """The views that are poolings: the whole never falls below one of these."""
    target: Classes
    fold: Int[np.ndarray, " n"]
    part: Int[np.ndarray, " n"]
    hints: Sequence[Mapping[str, Any]] | None

    def stacks(
        self, level: int, k: int, above: Mapping[str, Any] | None
    ) -> dict[str, Chosen]:
        """Each view's stack for a held-out fold, but for those that are left out.

        Beyond the poolings that is what a hint did not use, and on the lower levels of the
        learning curve what the fold's record of the level above did not use.
        """
        found = {}
        for name, fits in self.views.items():
            if name not in self.pooled and above and _share(above, name) <= _USED:
                continue
            told = None
            if self.hints is not None:
                wholes = [record["whole"] for record in self.hints]
                if name not in self.pooled and _share(wholes[k], name) <= _USED:
                    continue
                # One fit serves several folds, so it makes the places of all of them.
                told = [hint_of(w["stacks"].get(name), fits) for w in wholes]
            found[name] = stacked(fits, self.target, self.fold, self.part, level, k, told)
        return found

    def whole(self, stacks: Mapping[str, Chosen], level: int, k: int) -> Chosen:
        """The best view, or all stacks together where that shows.

        Its ``train`` is of the rows outside the fold that learn at this level.
        """
        usable = self.part[self.fold != k] <= level
        y = self.target.index[self.fold != k][usable]
        return _joined(stacks, self.pooled, usable, y)


def reading_of(
    z: HiddenStates,
    target: Classes,
    fold: Int[np.ndarray, " n"],
    part: Int[np.ndarray, " n"],
    seed: int,
    device: str,
    hints: Sequence[Mapping[str, Any]] | None = None,
) -> Reading:
    """Z as the arguments of `sequence_estimate` say; what it fits is fitted when asked."""
    vectors = _distinct(views_of(z))
    views: dict[str, Fits] = {
        name: cross_fits(x, target, fold, part, seed, device) for name, x in vectors.items()
    }
    names = tuple(views)
    if int(z.mask.sum(1).max()) > 1:
        tokens = token_coordinates(z)
        views["ends"] = cross_fits(_ends(tokens), target, fold, part, seed, device)
        fits = TokenFits(tokens, target, fold, part, seed, device)
        views["tokens"] = {"tokens": fits}
    return Reading(views, names, target, fold, part, hints)


def sequence_estimate(
    estimator: Estimator,
    z: HiddenStates,
    target: Classes,
    fold: Int[np.ndarray, " n"],
    part: Int[np.ndarray, " n"],
    *,
    seed: int,
    device: str,
    extrapolate: bool,
    hints: Sequence[Mapping[str, Any]] | None = None,
    group: Int[np.ndarray, " n"] | None = None,
) -> Estimate:
    """I(Y;Z) in nats, at least as large as that of each pooled view.

    Not to be trusted as the *value* of Z where the order of tokens matters in a way that
    log-sum-exp over pairs of tokens cannot say (parity over many tokens): it is a lower
    bound there, and the learning curve need not know what the networks cannot learn.

    Args:
        estimator: the settings that the result names.
        z: the states.
        target: the classes.
        fold: in which fold each example is held out.
        part: at which level of the learning curve each example is first learned from.
        seed: of the networks.
        device: where the networks are trained.
        extrapolate: also make the learning curve.
        hints: the `Estimate.history` of a like Z (the layer before) with the same Y and
            seed: the ends and the tokens are left out where it did not use them, and
            members are tried as in `vector_estimate`. A fold's hints are that fold's.
        group: which examples are copies of one another; None where none is.
    """
    reading = reading_of(z, target, fold, part, seed, device, hints)
    top = len(PARTS) - 1
    last = _values(reading, top)
    values = [last]
    if extrapolate:
        above = last[WHOLE].records
        values = [*(_values(reading, level, above) for level in range(top)), last]
    # The whole comes first, so a tie is the whole's.
    reported = max(last, key=lambda name: float(last[name].terms.mean()))
    records = [
        {"reported": reported, **record, "whole": whole}
        for record, whole in zip(last[reported].records, last[WHOLE].records, strict=True)
    ]
    return assembled(
        estimator,
        z,
        target,
        seed=seed,
        pointwise=last[reported].terms,
        fold=fold,
        group=group,
        extrapolated=_largest(values, reported, reading, group) if extrapolate else None,
        history=records,
        log_posterior=last[reported].log_posterior,
    )


def _values(
    reading: Reading, level: int, above: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Values]:
    """Held-out values of the whole and of each pooled view."""
    target, fold = reading.target, reading.fold
    shape = (len(fold), target.n_classes)
    ratios = {name: np.empty(shape) for name in (WHOLE, *reading.pooled)}
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in ratios}
    for k in range(int(fold.max()) + 1):
        stacks = reading.stacks(level, k, above[k] if above else None)
        for name in reading.pooled:
            ratios[name][fold == k] = stacks[name].test
            records[name].append(stacks[name].record)
        whole = reading.whole(stacks, level, k)
        ratios[WHOLE][fold == k] = whole.test
        records[WHOLE].append(whole.record)
    return {
        name: Values(
            held_out_terms(ratio, target.index, target.log_prior),
            log_softmax(ratio + target.log_prior, axis=1),
            records[name],
        )
        for name, ratio in ratios.items()
    }


def _joined(
    stacks: Mapping[str, Chosen],
    pooled_names: tuple[str, ...],
    usable: Bool[np.ndarray, " m"],
    y: Int[np.ndarray, " u"],
) -> Chosen:
    log_prior = next(iter(stacks.values())).log_prior
    rows = np.arange(len(y))
    train = {name: s.train[usable] + log_prior for name, s in stacks.items()}
    test = {name: s.test + log_prior for name, s in stacks.items()}
    own = {name: q[rows, y] for name, q in train.items()}
    best = max(pooled_names, key=lambda name: float(own[name].mean()))
    powers = log_linear_weights(list(train.values()), log_prior, y)
    inside = [*train.values(), pooled(list(train.values()), log_prior, powers)]
    outside = [*test.values(), pooled(list(test.values()), log_prior, powers)]
    weights = mixture_weights(inside, y)
    gain = mix(inside, weights)[rows, y] - own[best]
    error = float(gain.std()) / math.sqrt(len(gain))
    joined = len(stacks) > 1 and bool(gain.mean() > error)
    record: dict[str, Any] = {
        "best view": best,
        "gain": float(gain.mean()),
        "gain_error": error,
        "joined": joined,
        "weights": dict(zip([*stacks, "product"], map(float, weights), strict=True)),
        "powers": dict(zip(stacks, map(float, powers), strict=True)),
        "stacks": {name: stack.record for name, stack in stacks.items()},
    }
    record["n_train"], record["n_test"] = len(y), len(stacks[best].test)
    if not joined:
        return Chosen(stacks[best].train[usable], stacks[best].test, log_prior, record)
    learned, held = mix(inside, weights) - log_prior, mix(outside, weights) - log_prior
    return Chosen(learned, held, log_prior, record)


def _share(whole: Mapping[str, Any], name: str) -> float:
    """What a view weighed in the whole, by itself and in the product; 0 if not joined."""
    if not whole["joined"] or name not in whole["powers"]:
        return 0.0
    return whole["weights"][name] + whole["weights"]["product"] * whole["powers"][name]


def _largest(
    values: list[dict[str, Values]],
    reported: str,
    reading: Reading,
    group: Int[np.ndarray, " n"] | None,
) -> Extrapolation:
    """The extrapolation of what is reported, or of a view where that reliably is larger."""
    sizes = [
        round(float(np.mean([record["n_train"] for record in at[WHOLE].records])))
        for at in values
    ]
    found: dict[str, Extrapolation] = {}
    for name, value in values[-1].items():
        curve = {size: at[name].terms for size, at in zip(sizes, values, strict=True)}
        view = "mean" if name == WHOLE else name
        doubt = doubt_about(float(value.terms.mean()), reading.views[view], max(sizes))
        found[name] = extrapolation(curve, reading.fold, doubt=doubt, group=group)
    return max(
        (value for name, value in found.items() if name == reported or value.reliable),
        key=lambda value: value.nats,
    )


def _distinct(
    views: Mapping[str, Float[np.ndarray, "n d"]],
) -> dict[str, Float[np.ndarray, "n d"]]:
    """The views without those that repeat another, as all do where rows have one token."""
    found: dict[str, np.ndarray] = {}
    for name, x in views.items():
        if not any(np.array_equal(x, other) for other in found.values()):
            found[name] = x
    return found


def _ends(tokens: TokenCoordinates) -> Float[np.ndarray, "n k"]:
    """First, last and mean token side by side."""
    rows = np.arange(len(tokens))
    values, lengths = tokens.values.numpy(), tokens.lengths.numpy()
    mean = values.sum(1, dtype=np.float64) / lengths[:, None]
    return np.concatenate([values[:, 0], values[rows, lengths - 1], mean], axis=1)
