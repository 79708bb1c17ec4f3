"""From held-out terms to an `Estimate`: mean, standard error, interval and status."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.protocol.base import (
    BoundKind,
    Estimate,
    Estimator,
    Extrapolation,
    Status,
)
from mi_probe.estimators.protocol.split import Split
from mi_probe.estimators.protocol.targets import Classes, Scores
from mi_probe.estimators.protocol.tokens import TokenSequences
from mi_probe.hidden import HiddenStates

_FEW_ROWS, _FEW_A_CLASS = 50, 5
NEAR_MOST = 0.5
"""Nats below the most that a method can show of so many rows, from which a value of real
numbers counts as that."""
_SATURATED = "the value is the most that so many rows can show"
_ROUNDING, _NOISE = 1e-6, 0.01
"""Nats by which H(Y) may be passed without a flag: by a value, and by an extrapolated one,
which is noise around H(Y) where X tells all of Y."""


@dataclass(frozen=True)
class HeldOut:
    """What a critic says of the rows that it never saw, in nats."""

    terms: Float[np.ndarray, " m"]
    """i(y; x) of each row."""
    influence: Float[np.ndarray, " m"]
    """Of each row on the terms' mean."""
    log_posterior: Float[np.ndarray, "m c"] | None = None
    """The log q(y|x) of every class."""


def assembled(
    estimator: Estimator,
    states: Float[np.ndarray, "n d"] | HiddenStates,
    target: Classes | Scores | TokenSequences,
    split: Split,
    *,
    pointwise: Float[np.ndarray, " n"],
    influence: Float[np.ndarray, " n"] | None = None,
    bound: BoundKind | None = None,
    converged: bool = True,
    extrapolated: Extrapolation | None = None,
    history: Sequence[dict[str, Any]] = (),
    log_posterior: Float[np.ndarray, "n c"] | None = None,
    saturated: bool = False,
) -> Estimate:
    """The record of one cross-fitted estimate, in nats.

    Args:
        estimator: the settings that made it.
        states: X as it was let in.
        target: Y as it was let in.
        split: which rows were held out together, and the seed of all that was drawn.
        pointwise: held-out i(y; x); their mean is the estimate.
        influence: of each example on the mean, where the terms are not independent; the
            terms themselves by default.
        bound: what the value is; what the estimator's nature says by default.
        converged: False where training was still improving when it was stopped.
        extrapolated: the learning curve's value.
        history: one record a fold.
        log_posterior: held-out log q(y|x) of every class, where there is one.
        saturated: True where the value is the most that so many rows can show.
    """
    nats = float(pointwise.mean())
    n = split.units
    ceiling = target.entropy
    if extrapolated and ceiling is not None and extrapolated.nats > ceiling + _NOISE:
        above = f"it lies {extrapolated.nats - ceiling:.3f} nats above H(Y)"
        extrapolated = replace(extrapolated, reliable=False, reason=above)
    if extrapolated and saturated:
        extrapolated = replace(extrapolated, reliable=False, reason=_SATURATED)
    stderr = split.standard_error(pointwise if influence is None else influence)
    # Near the ceiling the terms are all alike but for a few that are far below, and those
    # may be missing by chance. So the interval allows for one row more, which is as wrong
    # as the others may be right; it also keeps it from being empty where all terms are 0.
    missing = nats / n if saturated else 0.0
    if ceiling is not None:
        missing = (nats + ceiling) / n
    stderr = math.hypot(stderr, missing)
    reach = split.reach(stderr)
    return Estimate(
        nats=nats,
        stderr=stderr,
        ci=(nats - max(missing, 0.0) - reach, nats + reach),
        pointwise=pointwise,
        entropy_y=target.entropy,
        status=_status(nats, pointwise, target, split, converged, saturated),
        bound=bound or estimator.nature.bound,
        estimator=estimator,
        seed=split.seed,
        extrapolated=extrapolated,
        history=tuple(history),
        gold_leak=isinstance(states, HiddenStates) and states.has_gold,
        split=split,
        log_posterior=log_posterior,
    )


def _status(
    nats: float,
    pointwise: np.ndarray,
    target: Classes | Scores | TokenSequences,
    split: Split,
    converged: bool,
    saturated: bool,
) -> Status:
    if not np.isfinite(pointwise).all() or nats < -0.5:
        return "diverged"
    if target.entropy is not None and nats > target.entropy + _ROUNDING:
        return "above_ceiling"
    few = isinstance(target, Classes) and target.counts.min() < _FEW_A_CLASS
    if few or len(target) < _FEW_ROWS:
        return "too_few_rows"
    if saturated:
        return "saturated"
    return "ok" if converged else "not_converged"
