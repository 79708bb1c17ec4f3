r"""What the words of a text know: any estimator on them, and a regression beside `auto`.

Text is sparse: thousands of words, each in few rows. No few columns hold it all, so the
estimator reads `words_features`, and beside `auto` stands a logistic regression of the
whole TF-IDF, ridge by ridge. Both are cross-fitted over one Split; the held-out posteriors
are joined as

.. math:: q(y|x) \propto p(y) \prod_m \left(\frac{q_m(y|x)}{p(y)}\right)^{a_m}

with powers, and a share of p(y), that are fitted for each fold on the rows of the others.
So the value is never clearly below that of a cross-validated regression of TF-IDF.
"""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mi_probe.analysis.controls import tf_idf, words_features
from mi_probe.errors import InputError
from mi_probe.estimators import Estimate, Estimator, Nature, Repeated
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import States
from mi_probe.estimators.core.learning_curve import extrapolation, learning_curve
from mi_probe.estimators.core.split import Groups, Split
from mi_probe.estimators.core.targets import Classes, Target, as_target
from mi_probe.estimators.engine.mixing import (
    log_linear_weights,
    marginal_weight,
    mixed,
    pooled,
)
from mi_probe.estimators.engine.posterior import ClassScorer
from mi_probe.estimators.models.interface import ClassRows, FitPath, PredictClasses

_INVERSE_RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""scikit-learn's C, for texts of length 1."""
_WATCHED = 0.3
"""Of the training rows: they choose the ridge and calibrate."""
_PULL = 3.0
"""Rows' worth by which the powers are pulled towards an equal share."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """I(Y;words) of texts, in nats, by an estimator of vectors.

    A lower bound, since `words_features` is a function of the text. Not to be trusted as
    *all* that a text knows: the order of words beyond pairs is not read.
    """

    estimator: Estimator
    """What reads `words_features`."""
    regression: bool = False
    """Whether a regression of the whole TF-IDF stands beside it, for classes."""

    @property
    def name(self) -> str:
        """The estimator's own."""
        return self.estimator.name

    @property
    def nature(self) -> Nature:
        """The estimator's own; hints are of states."""
        return replace(self.estimator.nature, hints=False)

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;words), in nats.

        Args:
            x: texts (n,), an array of objects.
            y: as for `Estimator.estimate`.
            groups: the same.
            seed: of the split and everything that is drawn.

        Raises:
            InputError: for what is no text, and what the estimator refuses.
        """
        texts: list[Any] = list(x) if isinstance(x, np.ndarray) else [x]
        if not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"x must be texts; got {type(texts[0]).__name__}. Pass the prompts."
            )
        vectors = words_features(texts, seed=seed)
        found = self.estimator.estimate(vectors, y, groups=groups, seed=seed)
        target = as_target(y)
        if not self.regression or found.log_posterior is None or found.split is None:
            return replace(found, estimator=self)
        assert isinstance(target, Classes)
        kept = slice(None) if found.split.kept is None else found.split.kept
        rows = np.arange(len(texts))[kept]
        return self._joined(found, tf_idf(texts)[rows], target[rows], vectors[rows])

    def _joined(
        self,
        found: Estimate,
        sparse: csr_matrix,
        target: Classes,
        vectors: Float[np.ndarray, "n d"],
    ) -> Estimate:
        """The estimate by both posteriors; its limit is the higher of both limits."""
        split, own = found.split, found.log_posterior
        assert split is not None
        assert own is not None
        scorer = _Regressions(sparse, target, split)
        regression = scorer.log_posterior()
        log_q = _combined([own, regression], target, split)
        rows = np.arange(len(target))
        pointwise = log_q[rows, target.index] - target.log_prior[target.index]
        limits = [found.extrapolated] if found.extrapolated is not None else []
        if limits and split.has_curve:
            terms = regression[rows, target.index] - target.log_prior[target.index]
            limits.append(extrapolation(learning_curve(scorer.terms, split, terms), split))
        told = {"regression": float((pointwise - found.pointwise).mean())}
        return assembled(
            self,
            vectors,
            target,
            split,
            pointwise=pointwise,
            extrapolated=max(limits, key=lambda limit: limit.ci[0], default=None),
            history=[{**fold, **told} for fold in found.history],
            log_posterior=log_q,
        )


def words_estimator(estimator: Estimator) -> Estimator:
    """The estimator as it reads texts; `auto` has a regression of TF-IDF beside it."""
    if isinstance(estimator, Repeated):
        return replace(estimator, estimator=words_estimator(estimator.estimator))
    recommended = estimator.nature.family == "recommended"
    return Words(estimator=estimator, regression=recommended)


@dataclass(frozen=True, eq=False)
class _Ridges:
    """A path of logistic regressions of sparse rows, which x numbers."""

    sparse: csr_matrix

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One regression a ridge."""
        model = LogisticRegression(max_iter=200, tol=1e-4, warm_start=True)
        x, found = self._of(rows.vectors), {}
        for inverse_ridge in _INVERSE_RIDGES:
            model.set_params(C=inverse_ridge)
            with warnings.catch_warnings():
                # A fit stopped early is still a fit; the path is judged on other rows.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(x, rows.y)
            weights, bias = np.array(model.coef_), np.array(model.intercept_)
            found[f"C={inverse_ridge:g}"] = self._predict(weights, bias, rows)
        return FitPath(found)

    def _of(self, numbers: np.ndarray) -> csr_matrix:
        return self.sparse[numbers[:, 0].astype(np.int64)]

    def _predict(
        self, weights: np.ndarray, bias: np.ndarray, rows: ClassRows
    ) -> PredictClasses:
        def predict(numbers: np.ndarray) -> np.ndarray:
            scores = self._of(numbers) @ weights.T + bias
            if scores.shape[1] == 1:  # of the second class against the first
                scores = np.concatenate([-scores / 2, scores / 2], axis=1)
            return rows.all_classes(scores)

        return predict


class _Regressions:
    """The regression cross-fitted over a Split."""

    def __init__(self, sparse: csr_matrix, target: Classes, split: Split) -> None:
        numbers = np.arange(len(target), dtype=np.float64)[:, None]
        self._scorer = ClassScorer(_Ridges(sparse), "temperature", numbers, target)
        self._split, self._shape = split, (len(target), target.n_classes)
        self._rng = np.random.default_rng([split.seed, 9])

    def log_posterior(self) -> Float[np.ndarray, "n c"]:
        """Held-out log q(y|x) of every row and class."""
        log_q = np.empty(self._shape)
        for k in range(self._split.n_folds):
            test = self._split.held_out(k)
            log_q[test] = self._held_out(self._split.rows(k), test)[1]
        return log_q

    def terms(self, train: np.ndarray, test: np.ndarray) -> Float[np.ndarray, " k"]:
        """Held-out i(y; x) of some rows, from others."""
        return self._held_out(train, test)[0]

    def _held_out(
        self, train: np.ndarray, test: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        watched = self._split.watched(train, _WATCHED, self._rng)
        parts = train[~watched], train[watched], test
        held, _ = self._scorer.score(*parts, self._rng, refit=True)
        assert held.log_posterior is not None
        return held.terms, held.log_posterior


def _combined(
    members: list[np.ndarray], target: Classes, split: Split
) -> Float[np.ndarray, "n c"]:
    """Held-out posteriors joined; the powers of a fold know the rows of the others."""
    joined = np.empty_like(members[0])
    prior = target.log_prior
    for k in range(split.n_folds):
        test, others = split.held_out(k), split.rows(k)
        y = target.index[others]
        powers = log_linear_weights([m[others] for m in members], prior, y, _PULL)
        own = np.arange(len(others))
        gain = (pooled([m[others] for m in members], prior, powers) - prior)[own, y]
        evidence = pooled([m[test] for m in members], prior, powers) - prior
        joined[test] = mixed(evidence, marginal_weight(gain)) + prior
    return joined
