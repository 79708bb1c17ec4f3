"""Held-out terms of a conditional model: fit, choose from its path, calibrate, score.

Three sets of rows that never meet: those that fit, those that are watched (they choose and
calibrate, and may stop a training), and those that are scored.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm, rankdata

from mi_probe.estimators.classes.calibration import (
    CALIBRATIONS,
    Calibrated,
    marginal_weight,
    mixed,
)
from mi_probe.estimators.conditional.models import (
    ClassPath,
    ClassRows,
    FitClasses,
    FitScores,
    ScoreRows,
)
from mi_probe.estimators.protocol.assembly import HeldOut
from mi_probe.estimators.protocol.targets import Classes, Scores
from mi_probe.hidden import HiddenStates


class ClassScorer:
    """Terms log q(y|x) - log p(y) of a discrete Y."""

    def __init__(
        self,
        fit: FitClasses,
        calibration: str,
        x: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes,
    ) -> None:
        self._fit, self._calibrate = fit, CALIBRATIONS[calibration]
        self._x, self._target = x, target

    def score(
        self,
        fitted: Int[np.ndarray, " f"],
        watched: Int[np.ndarray, " w"],
        test: Int[np.ndarray, " k"],
        rng: np.random.Generator,
        *,
        refit: bool,
    ) -> tuple[HeldOut, dict[str, Any]]:
        """In nats, against log p(y) of all rows, whose mean is the ceiling H(Y)."""
        x, y = self._x, self._target.index
        all_train = self._rows(np.concatenate([fitted, watched]))
        log_prior = all_train.log_prior
        path = self._path(self._rows(fitted), self._rows(watched), rng)
        # A mixture that is the prior alone, where the fit has nothing to go by.
        log_q = np.tile(log_prior, (len(test), 1))
        notes: dict[str, Any] = {"chosen": "prior", "converged": path.converged}
        if path.predictions:
            own = np.arange(len(watched))
            best: tuple[float, str, Calibrated, np.ndarray] | None = None
            for name, predict in path.predictions.items():
                scores = predict(x[watched])
                calibrated = self._calibrate(scores, log_prior, y[watched])
                gain = (calibrated.apply(scores) - log_prior)[own, y[watched]]
                if best is None or gain.mean() > best[0]:
                    best = float(gain.mean()), name, calibrated, gain
            assert best is not None
            _, name, calibrated, gain = best
            weight = marginal_weight(gain)
            if refit:
                path = self._path(all_train, self._rows(watched), rng)
            evidence = calibrated.apply(path.predictions[name](x[test])) - log_prior
            log_q = mixed(evidence, weight) + log_prior
            notes |= {"chosen": name, "prior_weight": weight, **calibrated.notes}
        terms = (log_q - self._target.log_prior)[np.arange(len(test)), y[test]]
        return HeldOut(terms, terms, log_q), notes

    def _path(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        nothing = isinstance(rows.x, np.ndarray) and rows.x.shape[1] == 0
        if nothing or len(rows.present) < 2:
            return ClassPath({})
        return self._fit(rows, watched, rng)

    def _rows(self, rows: Int[np.ndarray, " n"]) -> ClassRows:
        return ClassRows.of(self._x[rows], self._target.index[rows], self._target.n_classes)


class ScoreScorer:
    """Terms log q(y|x) - log q(y) of a continuous Y, as normal scores."""

    def __init__(self, fit: FitScores, x: Float[np.ndarray, "n d"], target: Scores) -> None:
        self._fit, self._x, self._target = fit, x, target

    def score(
        self,
        fitted: Int[np.ndarray, " f"],
        watched: Int[np.ndarray, " w"],
        test: Int[np.ndarray, " k"],
        rng: np.random.Generator,
        *,
        refit: bool,
    ) -> tuple[HeldOut, dict[str, Any]]:
        """In nats; ranks are those of the training rows."""
        if not self._x.shape[1]:
            nothing = np.zeros(len(test))
            notes = {"chosen": "marginal", "converged": True}
            return HeldOut(nothing, nothing), notes
        train = np.concatenate([fitted, watched])
        reference = self._target.values[train]

        def rows(chosen: Int[np.ndarray, " m"]) -> ScoreRows:
            scores = normal_scores(reference, self._target.values[chosen])
            return ScoreRows(self._x[chosen], scores)

        seen, held_out = rows(watched), rows(test)
        path = self._fit(rows(fitted), seen, rng)
        gains = {name: f(seen.x, seen.y) for name, f in path.predictions.items()}
        name = max(gains, key=lambda one: float(mixed(gains[one], 0.01).mean()))
        weight = marginal_weight(gains[name])
        if refit:
            path = self._fit(rows(train), seen, rng)
        gain = path.predictions[name](held_out.x, held_out.y)
        notes = {"chosen": name, "marginal_weight": weight, "converged": path.converged}
        terms = mixed(gain, weight)
        return HeldOut(terms, terms), notes


def normal_scores(
    reference: Float[np.ndarray, "n k"], y: Float[np.ndarray, "m k"]
) -> Float[np.ndarray, "m k"]:
    """Normal quantiles of the reference's ranks; other values by interpolation."""
    columns = []
    for column, values in zip(reference.T, y.T, strict=True):
        place = norm.ppf((rankdata(column) - 0.5) / len(column))
        at, first = np.unique(column, return_index=True)
        columns.append(np.interp(values, at, place[first]))
    return np.stack(columns, axis=1)
