"""From held-out terms to an `Estimate`: mean, standard error, interval and status."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.core.base import (
    BoundKind,
    Estimate,
    Estimator,
    Extrapolation,
    Status,
)
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences, digest_of
from mi_probe.hidden import HiddenStates

_FEW_ROWS, _FEW_GROUPS, _FEW_A_CLASS = 50, 12, 5
NEAR_MOST = 0.5
"""Nats below the most that a method can show of so many rows, from which a value of real
numbers counts as that."""
AS_LEARNED = "none, as it was learned"
"""What a value without a limit is by."""
_SATURATED = "the value is the most that so many rows can show"
_ROUNDING = 1e-6
"""Nats by which a value may pass H(Y) without a flag."""
_HIDDEN = 7.7
"""Nats times rows that a critic of real numbers may miss: a correlation of z standard
errors is z^2 / 2n nats, and one of 3.9 is found, at two errors, in 39 of 40 samples."""


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
    inner: Float[np.ndarray, "k n c"] | None = None,
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
        inner: the same of all rows by held-out fold, see `Estimate.inner`.
        saturated: True where the value is the most that so many rows can show.
    """
    nats = float(pointwise.mean())
    n = split.units
    ceiling = target.entropy
    stderr = split.standard_error(pointwise if influence is None else influence)
    # Near the ceiling the terms are all alike but for a few that are far below, and those
    # may be missing by chance. So the interval allows for one row more, which is as wrong
    # as the others may be right; it also keeps it from being empty where all terms are 0.
    missing = nats / n if saturated else 0.0
    if ceiling is not None:
        missing = (nats + ceiling) / n
    stderr = math.hypot(stderr, missing)
    if ceiling is None:
        # Where nothing was found all terms are 0; that does not say that nothing is there.
        hidden = _HIDDEN / n
        stderr = max(stderr, hidden / split.reach(1.0))
        extrapolated = extrapolated and _reaching(extrapolated, nats + hidden)
    alike = influence is None or np.array_equal(influence, pointwise)
    reach = split.reach(stderr)
    low, kind = nats - max(missing, 0.0) - reach, bound or estimator.nature.bound
    if extrapolated and saturated:
        extrapolated = at_least(extrapolated, _SATURATED)
    if extrapolated:
        shown = low if kind == "lower bound" else 0.0
        if ceiling is None and split.group is not None:
            # The closed forms' limits count rows, and groups may be all that there is.
            extrapolated = replace(
                extrapolated, ci=(min(low, extrapolated.ci[0]), math.inf)
            )
        extrapolated = _in_range(extrapolated, nats, shown, ceiling)
    return Estimate(
        nats=nats,
        stderr=stderr,
        ci=(low, nats + reach),
        pointwise=pointwise,
        entropy_y=target.entropy,
        status=_status(nats, pointwise, target, split, converged, saturated),
        bound=kind,
        estimator=estimator,
        seed=split.seed,
        extrapolated=extrapolated,
        history=tuple(history),
        gold_leak=isinstance(states, HiddenStates) and states.has_gold,
        influence=None if alike else influence,
        split=split,
        log_posterior=log_posterior,
        inner=inner,
        y_digest=digest_of(target),
    )


def at_least(limit: Extrapolation, reason: str) -> Extrapolation:
    """The same value, claimed from below alone, and why."""
    return replace(
        limit,
        ci=(limit.ci[0], math.inf),
        claim="at_least",
        assumes="",
        reason=reason,
    )


def _in_range(
    limit: Extrapolation, learned: float, shown: float, ceiling: float | None
) -> Extrapolation | None:
    """The value between what held-out rows have shown and H(Y); None where those cross.

    A value from below is never less than what was shown without any extrapolation. One
    whose whole interval lies above H(Y) is wrong, and only what was learned is left of it.

    Args:
        limit: the value at n -> infinity.
        learned: the held-out value.
        shown: the lower end of the held-out bound's interval; 0 where it is no bound.
        ceiling: H(Y); None where there is none.
    """
    shown = max(shown, 0.0)
    most = math.inf if ceiling is None else ceiling
    if limit.ci[0] > most:
        above = f"the extrapolated value lies {limit.nats - most:.3f} nats above H(Y)"
        limit = replace(
            at_least(limit, above), nats=learned, ci=(shown, math.inf), method=AS_LEARNED
        )
    low, high = limit.ci
    if limit.claim == "at_least":
        low = max(low, shown)
        limit = replace(limit, nats=max(limit.nats, low))
    else:
        high = min(high, most)
    if low > most:
        return None
    return replace(limit, nats=min(limit.nats, most), ci=(low, high))


def _reaching(limit: Extrapolation, least: float) -> Extrapolation:
    """The limit with an interval that reaches so far up."""
    return replace(limit, ci=(limit.ci[0], max(limit.ci[1], least)))


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
    if any(sign.flagged for sign in split.signs):
        return "dependent_rows"
    few = isinstance(target, Classes) and target.counts.min() < _FEW_A_CLASS
    few = few or (split.group is not None and split.units < _FEW_GROUPS)
    if few or len(target) < _FEW_ROWS:
        return "too_few_rows"
    if saturated:
        return "saturated"
    return "ok" if converged else "not_converged"
