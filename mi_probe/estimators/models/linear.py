"""The linear probe: multinomial logistic regression, or ridge regression for numbers."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from mi_probe.estimators.models.gaussian import Linear, Moments, WithinClasses
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitPath,
    PredictScores,
    ScoreRows,
)


@dataclass(frozen=True)
class Logistic:
    """Multinomial logistic regression along a path of ridges, in whitened coordinates.

    It models p(y|x) alone, where Gaussian discriminants model p(x|y): two families that err
    in different ways, so that their agreement means something.
    """

    inverse_ridges: tuple[float, ...] = (0.001, 0.01, 0.1)
    """scikit-learn's C, for whitened coordinates; smaller is stronger."""
    whitening: float = 0.3
    """Shrinkage of the covariance within classes that whitens."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One regression a ridge, each started from the one before.

        A class without rows here gets no evidence, only its prior.
        """
        within = WithinClasses(Moments.of(rows.vectors, rows.y, rows.n_classes))
        whitening = within.whitening(self.whitening)
        u = whitening(rows.vectors)
        model = LogisticRegression(warm_start=True, max_iter=100, tol=1e-3)
        path = {}
        for inverse_ridge in self.inverse_ridges:
            model.set_params(C=inverse_ridge)
            with warnings.catch_warnings():
                # A fit stopped early is still a fit; the path is judged on other rows.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(u, rows.y)
            weights, bias = model.coef_, model.intercept_
            if len(model.classes_) == 2:
                # One row for the second class against the first.
                weights = np.concatenate([-weights / 2, weights / 2])
                bias = np.concatenate([-bias / 2, bias / 2])
            coefficients = np.zeros((u.shape[1], rows.n_classes))
            intercept = rows.log_prior.copy()
            coefficients[:, model.classes_] = weights.T
            intercept[model.classes_] = bias
            projected = whitening.projection @ coefficients
            linear = Linear(projected, intercept - whitening.centre @ projected)
            path[f"C={inverse_ridge:g}"] = linear
        return FitPath(path)


@dataclass(frozen=True)
class GaussianRidge:
    r"""Ridge regression of normal scores with Gaussian errors, along a path of ridges.

    .. math:: \log N(y; f(x), S) - \log N(y; 0, S_y)

    S is the covariance of the errors of rows left out one at a time, in closed form.
    """

    ridges: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    """Relative to the rows and to the variance of a column."""

    def __call__(
        self, rows: ScoreRows, watched: ScoreRows, rng: np.random.Generator
    ) -> FitPath:
        """One regression a ridge."""
        centre, level = rows.x.mean(0), rows.y.mean(0)
        x, y = rows.x - centre, rows.y - level
        values, vectors = np.linalg.eigh(x.T @ x / len(x))
        cross = vectors.T @ (x.T @ y / len(x))
        marginal = _covariance(rows.y)
        rotated = (x @ vectors) ** 2
        predictions = {}
        for ridge in self.ridges:
            # Rounding leaves eigenvalues just below 0.
            inverse = 1 / (np.maximum(values, 0) + ridge)
            slopes = vectors @ (cross * inverse[:, None])
            leverage = np.minimum((rotated @ inverse + 1) / len(x), 0.999)
            errors = (y - x @ slopes) / (1 - leverage)[:, None]
            predictions[f"ridge={ridge:g}"] = _density_ratio(
                centre, level, slopes, _covariance(errors), marginal
            )
        return FitPath(predictions)


def _density_ratio(
    centre: np.ndarray,
    level: np.ndarray,
    slopes: Float[np.ndarray, "d k"],
    errors: Float[np.ndarray, "k k"],
    marginal: Float[np.ndarray, "k k"],
) -> PredictScores:
    def ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        f = level + (x - centre) @ slopes
        # Normal scores of one column have mean 0 and variance 1 by construction.
        own = multivariate_normal.logpdf(y - f, cov=errors)  # pyright: ignore[reportArgumentType]
        others = multivariate_normal.logpdf(y, cov=marginal)  # pyright: ignore[reportArgumentType]
        return np.atleast_1d(own - others)

    return ratio


def _covariance(values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k k"]:
    # About 0, not about the mean; a little of I keeps collinear columns invertible.
    k = values.shape[1]
    return values.T @ values / len(values) + 1e-6 * np.eye(k)
