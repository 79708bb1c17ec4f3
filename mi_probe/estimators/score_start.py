"""Where a critic of continuous Y starts: a cross-fitted linear-Gaussian density ratio.

Y goes through the ranks to normal scores, column by column: mutual information does not
change under a monotone map of Y, and a heavy tail no longer rules the fit. Then

    T_0(x, y) = log N(y; f(x), S) - log N(y; 0, S_y),

f the ridge regression of y on the views of x, S the covariance of its out-of-fold errors.
For jointly Gaussian pairs this is the optimal critic. Folds are nested as for classes
(`class_start`): a training row's f(x) comes from a fit that did not see it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls
from scipy.stats import norm, rankdata

_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge penalties, relative to the rows and to the variance of a column."""


@dataclass(frozen=True)
class GaussianRatio:
    """T_0(x, y) of rows with regression f and of values y, as a sum of products.

    Expanding the squares, T_0(x, y) = f'Py - f'Pf/2 + offset(y).
    """

    precision: Float[np.ndarray, "k k"]
    """P, the inverse of the error covariance S."""
    marginal_precision: Float[np.ndarray, "k k"]
    log_det_gain: float
    """(log |S_y| - log |S|) / 2."""

    def __call__(
        self, f: Float[np.ndarray, "n k"], y: Float[np.ndarray, "m k"]
    ) -> Float[np.ndarray, "n m"]:
        """Every pair's T_0, in nats."""
        own = 0.5 * ((f @ self.precision) * f).sum(1)
        difference = self.precision - self.marginal_precision
        offset = self.log_det_gain - 0.5 * ((y @ difference) * y).sum(1)
        return f @ self.precision @ y.T - own[:, None] + offset


@dataclass(frozen=True)
class ScoreStart:
    """T_0 for one held-out fold."""

    ratio: GaussianRatio
    train: Float[np.ndarray, "n k"]
    """f(x) of the rows outside the fold, each by a fit that did not see it."""
    test: Float[np.ndarray, "m k"]
    """f(x) of the held-out rows, by the fit to all others."""
    y_train: Float[np.ndarray, "n k"]
    """Normal scores of the training rows' Y, by their own ranks."""
    y_test: Float[np.ndarray, "m k"]
    """Normal scores of the held-out Y, on the training rows' scale."""
    chosen: dict[str, float]
    """Weight of each view, and its ridge."""


def score_starts(
    views: dict[str, Float[np.ndarray, "n d"]],
    y: Float[np.ndarray, "n k"],
    fold: Int[np.ndarray, " n"],
) -> Iterator[ScoreStart]:
    """T_0 for each fold in turn."""
    fits = {name: _Ridge(x, y, fold) for name, x in views.items()}
    for held_out in range(int(fold.max()) + 1):
        train, test = fold != held_out, fold == held_out
        y_train, y_test = (
            _normal_scores(y[train], y[train]),
            _normal_scores(y[train], y[test]),
        )
        # A view that says nothing is always there, so that no view is no special case.
        inner, outer, chosen = [np.zeros_like(y_train)], [np.zeros_like(y_test)], {}
        for name, fit in fits.items():
            predictions = fit.out_of_fold(held_out)
            errors = [((p[train] - y_train) ** 2).mean() for p in predictions]
            best = int(np.argmin(errors))
            inner.append(predictions[best][train])
            outer.append(fit.final(held_out, _RIDGES[best])[test])
            chosen[f"{name}:ridge"] = _RIDGES[best]
        # Non-negative least squares shrinks a useless view to nothing and calibrates.
        weights = nnls(np.stack([p.ravel() for p in inner], axis=1), y_train.ravel())[0]
        f_train = np.einsum("v,vnk->nk", weights, np.stack(inner))
        f_test = np.einsum("v,vnk->nk", weights, np.stack(outer))
        chosen |= dict(zip(views, map(float, weights[1:]), strict=True))
        yield ScoreStart(
            _gaussian_ratio(y_train, f_train), f_train, f_test, y_train, y_test, chosen
        )


class _Ridge:
    """Ridge regressions of normal scores on one view, for sets of left-out folds."""

    def __init__(
        self, x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], fold: np.ndarray
    ) -> None:
        centre, scale = x.mean(0), x.std(0)
        self._x = (x - centre) / np.where(scale > 0, scale, 1)
        self._y, self._fold = y, fold
        self._n_folds = int(fold.max()) + 1
        parts = [self._x[fold == k] for k in range(self._n_folds)]
        self._squares = [part.T @ part for part in parts]
        self._pairs: dict[int, list[np.ndarray]] = {}

    def out_of_fold(self, held_out: int) -> list[Float[np.ndarray, "n k"]]:
        """Predictions by ridge of all rows outside a fold, by fits without either."""
        if not self._pairs:
            for k in range(self._n_folds):
                self._pairs[k] = [np.zeros_like(self._y) for _ in _RIDGES]
            for j, k in combinations(range(self._n_folds), 2):
                for place, predicted in enumerate(self._fit({j, k}, _RIDGES)):
                    for a, b in ((j, k), (k, j)):
                        rows = self._fold == b
                        self._pairs[a][place][rows] = predicted[rows]
        return self._pairs[held_out]

    def final(self, held_out: int, ridge: float) -> Float[np.ndarray, "n k"]:
        """Predictions by the chosen fit to all rows outside a fold."""
        return self._fit({held_out}, (ridge,))[0]

    def _fit(
        self, left_out: set[int], ridges: tuple[float, ...]
    ) -> list[Float[np.ndarray, "n k"]]:
        rows = ~np.isin(self._fold, list(left_out))
        n = int(rows.sum())
        y = _normal_scores(self._y[rows], self._y[rows])
        centre = self._x[rows].mean(0)
        gram = sum(s for k, s in enumerate(self._squares) if k not in left_out)
        gram = gram / n - np.outer(centre, centre)
        cross = (self._x[rows] - centre).T @ y / n
        predictions = []
        for ridge in ridges:
            factor = cho_factor(gram + ridge * np.eye(len(gram)))
            predictions.append((self._x - centre) @ cho_solve(factor, cross) + y.mean(0))
        return predictions


def _normal_scores(
    reference: Float[np.ndarray, "n k"], y: Float[np.ndarray, "m k"]
) -> Float[np.ndarray, "m k"]:
    """Normal quantiles of the reference's ranks; other values by interpolation."""
    columns = []
    for column, values in zip(reference.T, y.T, strict=True):
        place = norm.ppf((rankdata(column) - 0.5) / len(column))
        at, first = np.unique(column, return_index=True)
        columns.append(np.interp(values, at, place[first]))
    return np.stack(columns, axis=1)


def _gaussian_ratio(
    y: Float[np.ndarray, "n k"], f: Float[np.ndarray, "n k"]
) -> GaussianRatio:
    def covariance(values: np.ndarray) -> np.ndarray:
        # A little of I keeps collinear columns of Y from making it singular.
        return values.T @ values / len(values) + 1e-6 * np.eye(values.shape[1])

    errors, marginal = covariance(y - f), covariance(y)
    gain = 0.5 * (np.linalg.slogdet(marginal)[1] - np.linalg.slogdet(errors)[1])
    return GaussianRatio(np.linalg.inv(errors), np.linalg.inv(marginal), float(gain))
