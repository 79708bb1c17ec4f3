r"""The engine of probes and generative models: any q(y|x), scored on rows it never saw.

.. math:: I(Y;X) \ge H(Y) - E\,[-\log q(y|x)]

for every conditional model q (Barber and Agakov). With the best q of a family it is the
family's *usable* or V-information, which may be far below I(Y;X), and which processing of x
may raise. So an estimator is a function that fits q to some rows; this loop does all else:
every example is scored by a fit that never saw it, and what scales and mixes that fit was
learned on rows that are not reported either. So three sets of rows never meet: those that
fit, those that are watched (they choose and calibrate, and may stop a training), and those
that are scored.

For continuous Y the terms are log q(y|x) - log q(y) of normal scores. In one column their
density is known, and the mean is a lower bound too; in several, q(y) is a model, and the
difference of two cross-entropies is no bound.

References:
    The IM Algorithm (Barber and Agakov, 2003).
    A Theory of Usable Information (Xu et al., 2020), arXiv 2002.10689.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import HeldOut, assembled
from mi_probe.estimators.core.base import (
    Estimate,
    Family,
    Nature,
    States,
    YKind,
)
from mi_probe.estimators.core.learning_curve import extrapolation, learning_curve
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import Groups, Split
from mi_probe.estimators.core.states import standardised
from mi_probe.estimators.core.targets import Classes, Scores, Target
from mi_probe.estimators.engine.mixing import (
    CALIBRATIONS,
    marginal_weight,
    mixed,
)
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitClasses,
    FitPath,
    FitScores,
    ScoreRows,
)
from mi_probe.estimators.models.normal_scores import scores_among
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
            own, calibrated, gains = np.arange(len(watched)), {}, {}
            for name, predict in path.predictions.items():
                scores = predict(x[watched])
                calibrated[name] = self._calibrate(scores, log_prior, y[watched])
                log_q_watched = calibrated[name].apply(scores)
                gains[name] = (log_q_watched - log_prior)[own, y[watched]]
            name = max(gains, key=lambda one: gains[one].mean())
            chosen, gain = calibrated[name], gains[name]
            weight = marginal_weight(gain)
            if refit:
                path = self._path(all_train, self._rows(watched), rng)
            evidence = chosen.apply(path.predictions[name](x[test])) - log_prior
            log_q = mixed(evidence, weight) + log_prior
            notes |= {"chosen": name, "prior_weight": weight, **chosen.notes}
        terms = (log_q - self._target.log_prior)[np.arange(len(test)), y[test]]
        return HeldOut(terms, terms, log_q), notes

    def _path(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        nothing = isinstance(rows.x, np.ndarray) and rows.x.shape[1] == 0
        if nothing or len(rows.present) < 2:
            return FitPath({})
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
            scores = scores_among(reference, self._target.values[chosen])
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


@dataclass(frozen=True, kw_only=True, repr=False)
class Posterior(Parameters):
    """An estimator of I(Y;X) by a conditional model. Settings only; it keeps no state.

    Not to be trusted as the *value* of I(Y;X): it is what this family of models finds in
    these rows. A linear probe says 0 of a parity; a model with p free numbers loses about
    p/2n nats for having to learn them.
    """

    name: str
    family: Family
    summary: str
    """What it does, in a few words for a table."""
    reference: str
    """The paper."""
    classes: FitClasses
    """Fits q(y|x) of discrete Y."""
    scores: FitScores | None = None
    """Fits q(y|x)/q(y) of continuous Y; None refuses it."""
    sequences: bool = False
    """Whether its fit reads `HiddenStates`."""
    calibration: Literal["temperature", "platt"] = "temperature"
    one_column: Literal["lower bound", "neither"] = "lower bound"
    """What the value is for a continuous Y of one column; for more it is neither."""
    watched_share: float = 0.3
    """Of the rows outside the fold: they choose from the path and calibrate."""
    refit: bool = True
    """Fit again to all rows outside the fold once those choices are made; False where
    the watched rows stop a training, and one that costs."""
    n_folds: int = 5
    extrapolate: bool = False
    """Also fit the learning curve, which costs about as much again."""

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        kinds: tuple[YKind, ...] = ("classes", "scores") if self.scores else ("classes",)
        return Nature(
            family=self.family,
            bound="lower bound",
            takes=frozenset(kinds),
            sequences=self.sequences,
            ceiling="H(Y)",
            summary=self.summary,
            reference=self.reference,
        )

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for what `admitted` refuses, and folds that n cannot fill.
        """
        states, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=self.n_folds, fewest_folds=2
        )
        assert isinstance(target, Classes | Scores)
        scorer = self._scorer(states, target)
        streams = _streams(seed)
        pointwise, history = np.empty(len(target)), []
        posterior, bound = None, self.one_column
        if isinstance(target, Classes):
            posterior, bound = np.empty((len(target), target.n_classes)), "lower bound"
        elif target.values.shape[1] > 1:
            bound = "neither"
        for k in range(self.n_folds):
            train, test = split.rows(k), split.held_out(k)
            held, notes = self._score(scorer, split, train, test, next(streams))
            pointwise[test] = held.terms
            if posterior is not None:
                posterior[test] = held.log_posterior
            history.append({"n_train": len(train), "n_test": len(test), **notes})
        extrapolated = None
        if self.extrapolate and split.has_curve:
            curve = learning_curve(
                lambda part, test: (
                    self._score(scorer, split, part, test, next(streams))[0].terms
                ),
                split,
                pointwise,
            )
            extrapolated = extrapolation(curve, split)
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=pointwise,
            bound=bound,
            converged=2 * sum(not notes["converged"] for notes in history) <= self.n_folds,
            extrapolated=extrapolated,
            history=history,
            log_posterior=posterior,
        )

    def _scorer(
        self, states: Float[np.ndarray, "n d"] | HiddenStates, target: Classes | Scores
    ) -> ClassScorer | ScoreScorer:
        x = states if isinstance(states, HiddenStates) else standardised(states)
        if isinstance(target, Classes):
            return ClassScorer(self.classes, self.calibration, x, target)
        assert self.scores is not None
        assert isinstance(x, np.ndarray)
        return ScoreScorer(self.scores, x, target)

    def _score(
        self,
        scorer: ClassScorer | ScoreScorer,
        split: Split,
        train: Int[np.ndarray, " m"],
        test: Int[np.ndarray, " k"],
        rng: np.random.Generator,
    ) -> tuple[HeldOut, dict[str, Any]]:
        """Of the test rows, from the training rows alone."""
        watched = split.watched(train, self.watched_share, rng)
        return scorer.score(train[~watched], train[watched], test, rng, refit=self.refit)


def _streams(seed: int) -> Iterator[np.random.Generator]:
    """Generators for one draw after another, all from the seed."""
    root = np.random.SeedSequence(seed)
    while True:
        yield np.random.default_rng(root.spawn(1)[0])
