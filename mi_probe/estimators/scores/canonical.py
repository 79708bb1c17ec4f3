r"""Canonical correlations on nested folds, shrunk to what unseen rows show of them.

The sample's own canonical correlations are far too large in many dimensions (of the order
of :math:`\sqrt{d/n}` where nothing is related). Here the pairs of directions come from some
folds, and each pair's correlation from the others: every training row's coordinates are by
a fit that did not see it, and no fit for a held-out fold saw that fold.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cholesky, solve_triangular
from scipy.stats import norm

from mi_probe.estimators.models.normal_scores import normal_scores
from mi_probe.estimators.scores.elliptical import EllipticalRatio, Side

RIDGES = (1e-4, 1e-2, 1e-1, 1.0, 3.0, 10.0)
"""Ridge penalties, relative to the mean variance of a column. States of a language model,
with more columns than rows tell apart, mostly take the largest two."""
_LEAST_RIDGES = RIDGES[:2]
MOST_PAIRS = 32
"""Pairs of directions that are looked for between wide sides."""
_ALL_PAIRS = 64
"""Columns of the narrower side up to which all pairs are."""
_BY_CHANCE = 0.025
"""Pairs that are none and count nevertheless, on average: of a single pair 2 standard
errors count, of dozens 3. Each costs up to 0.01 nats at 500 rows."""
_ROUNDS = 3
"""Of reweighting a Student scatter."""
_ITERATIONS = 6
"""Of the subspace of the leading directions."""
_LARGEST = 1 - 1e-9
FUNCTION = 1 - 1e-8
"""Correlation from which one side is a function of the other."""


@dataclass(frozen=True)
class CanonicalFit:
    """Directions of X and of Y, the most correlated pair first."""

    x_centre: Float[np.ndarray, " d"]
    y_centre: Float[np.ndarray, " k"]
    x_map: Float[np.ndarray, "d m"]
    y_map: Float[np.ndarray, "k m"]
    whitenings: tuple[np.ndarray, np.ndarray] | None
    """Cholesky factors of both scatters, where radii matter."""

    def sides(
        self, x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
    ) -> tuple[Side, Side]:
        """Rows of X and of Y in these coordinates."""
        x, y = x - self.x_centre, y - self.y_centre
        radii = [np.zeros(len(x))] * 2
        if self.whitenings is not None:
            radii = [
                (solve_triangular(root, part.T, lower=True) ** 2).sum(0)
                for root, part in zip(self.whitenings, (x, y), strict=True)
            ]
        return Side(x @ self.x_map, radii[0]), Side(y @ self.y_map, radii[1])


@dataclass(frozen=True)
class CanonicalStart:
    """What one held-out fold is scored with."""

    ratio: EllipticalRatio
    x_train: Side
    """Rows outside the fold, each by a fit that did not see it."""
    y_train: Side
    x_test: Side
    """The held-out rows, by the fit to all others."""
    y_test: Side
    y_reference: Side
    """Y of the training rows by that same fit: they normalise the critic."""
    ridge: float


class NestedCanonical:
    """Canonical fits of two sets of columns for each set of one or two left-out folds.

    ``straightened`` coordinates go through their ranks to normal scores, side by side.
    """

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        y: Float[np.ndarray, "n k"],
        fold: Int[np.ndarray, " n"],
        *,
        most_pairs: int | None = None,
        straightened: bool = False,
        degrees: float = math.inf,
    ) -> None:
        self._dimensions = x.shape[1], y.shape[1]
        if math.isinf(degrees):
            x, y = _as_many_as_rows(x), _as_many_as_rows(y)
        self._x, self._y, self._fold = x, y, fold
        self._n_folds = int(fold.max()) + 1
        fewest = min(self._dimensions)
        most = fewest if fewest <= _ALL_PAIRS else MOST_PAIRS
        most = min(most, x.shape[1], y.shape[1])
        self._m = most if most_pairs is None else min(most, most_pairs)
        self._degrees = degrees
        # Radii of a Student pair are by the scatter as it is.
        self._ridges = RIDGES if math.isinf(degrees) else _LEAST_RIDGES
        self._straightened = straightened
        self._fits: dict[tuple[frozenset[int], float], CanonicalFit] = {}
        self._both = np.concatenate([x, y], axis=1)
        if self._both.shape[1] > 512:  # twice as fast, and exact enough for covariances
            self._both = self._both.astype(np.float32)
            self._x, self._y = np.split(self._both, [x.shape[1]], axis=1)
        self._moments = [self._moment(fold == k) for k in range(self._n_folds)]

    def starts(self) -> Iterator[CanonicalStart]:
        """The start of each held-out fold in turn."""
        for held_out in range(self._n_folds):
            yield self._start(held_out)

    def _start(self, held_out: int) -> CanonicalStart:
        ridge = self._choose_ridge(held_out)
        inner = {
            k: self._out_of_fold(held_out, k, ridge)
            for k in range(self._n_folds)
            if k != held_out
        }
        count = int((self._fold != held_out).sum())
        kept = _pairs_above_noise(list(inner.values()), count)
        x_final, y_final = (
            side.columns(kept)
            for side in self._fit({held_out}, ridge).sides(self._x, self._y)
        )
        x_nested, y_nested = (copy.deepcopy(side) for side in (x_final, y_final))
        for k, (x_side, y_side) in inner.items():
            rows = self._fold == k
            a, b = x_side.variates[:, kept], y_side.variates[:, kept]
            # Signs, and the order of equal pairs, differ between fits: turned alike on
            # both sides, every row meets the same axes and no correlation changes.
            turn = _rotation(a.T @ x_final.variates[rows] + b.T @ y_final.variates[rows])
            x_nested.variates[rows], y_nested.variates[rows] = a @ turn, b @ turn
            x_nested.radius[rows], y_nested.radius[rows] = x_side.radius, y_side.radius
        if self._straightened:
            # A combination of expanded columns is only nearly what was bent, and the ends
            # are what it misses: ranks bring its margin back, by each fit on its own rows.
            for nested, final in ((x_nested, x_final), (y_nested, y_final)):
                for k in inner:
                    rows = self._fold == k
                    nested.variates[rows] = normal_scores(nested.variates[rows])
                final.variates[:] = normal_scores(final.variates)
        train, test = self._fold != held_out, self._fold == held_out
        x_train, y_train = x_nested[train], y_nested[train]
        x_scale, y_scale = self._scale(x_train), self._scale(y_train)
        ratio = EllipticalRatio(
            _correlations(x_train, y_train)
            if math.isinf(self._degrees)
            else _robust_correlations(x_train, y_train, self._dimensions, self._degrees),
            self._degrees,
            self._dimensions,
        )
        return CanonicalStart(
            ratio,
            _scaled(x_train, x_scale),
            _scaled(y_train, y_scale),
            _scaled(x_final[test], x_scale),
            _scaled(y_final[test], y_scale),
            _scaled(y_final[train], y_scale),
            ridge,
        )

    def _choose_ridge(self, held_out: int) -> float:
        """The ridge whose directions are most related on rows that did not choose them."""
        inner, values = [k for k in range(self._n_folds) if k != held_out], []
        count = int((self._fold != held_out).sum())
        for ridge in self._ridges:
            sides = [self._out_of_fold(held_out, k, ridge) for k in inner]
            rho = _joint_correlations(sides)[_pairs_above_noise(sides, count)]
            values.append(-0.5 * np.log1p(-(np.minimum(rho, _LARGEST) ** 2)).sum())
        return self._ridges[int(np.argmax(values))]

    def _out_of_fold(self, held_out: int, k: int, ridge: float) -> tuple[Side, Side]:
        rows = self._fold == k
        return self._fit({held_out, k}, ridge).sides(self._x[rows], self._y[rows])

    def _fit(self, left_out: set[int], ridge: float) -> CanonicalFit:
        key = (frozenset(left_out), ridge)
        if key not in self._fits:
            self._fits[key] = self._solve(left_out, ridge)
        return self._fits[key]

    def _solve(self, left_out: set[int], ridge: float) -> CanonicalFit:
        centre, scatter = self._scatter(left_out)
        d = self._x.shape[1]
        x_root = _factor(scatter[:d, :d], ridge, self._dimensions[0])
        y_root = _factor(scatter[d:, d:], ridge, self._dimensions[1])
        half = solve_triangular(x_root, scatter[:d, d:], lower=True)
        left, right = _leading(solve_triangular(y_root, half.T, lower=True).T, self._m)
        return CanonicalFit(
            centre[:d],
            centre[d:],
            solve_triangular(x_root.T, left),
            solve_triangular(y_root.T, right),
            None if math.isinf(self._degrees) else (x_root, y_root),
        )

    def _scatter(self, left_out: set[int]) -> tuple[np.ndarray, np.ndarray]:
        parts = [m for k, m in enumerate(self._moments) if k not in left_out]
        n = sum(part[0] for part in parts)
        centre = np.sum([part[1] for part in parts], axis=0) / n
        scatter = np.sum([part[2] for part in parts], axis=0) / n
        scatter = scatter - np.outer(centre, centre)
        if math.isinf(self._degrees):
            return centre, scatter
        rows = self._both[~np.isin(self._fold, list(left_out))]
        d = rows.shape[1]
        for _ in range(_ROUNDS):
            own = (
                solve_triangular(_factor(scatter, 1e-6, d), rows.T, lower=True) ** 2
            ).sum(0)
            weight = (self._degrees + d) / (self._degrees + own)
            scatter = (rows * weight[:, None]).T @ rows / len(rows)
        return np.zeros(d), scatter

    def _moment(self, rows: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
        part = self._both[rows]
        if not math.isinf(self._degrees):
            # A start for the reweighting: far rows would rule a plain covariance.
            part = part / np.maximum(1, np.abs(part).max(1, keepdims=True) / 3)
        return len(part), part.sum(0), part.T @ part

    def _scale(self, side: Side) -> np.ndarray:
        if math.isinf(self._degrees):
            return np.maximum(side.variates.std(0), 1e-12)
        return np.ones(side.variates.shape[1])


def held_out_ratios(
    starts: Sequence[CanonicalStart], fold: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """T of each row with its own Y, in nats, by the start of the fold that holds it."""
    found = np.empty(len(fold))
    for k, start in enumerate(starts):
        found[fold == k] = start.ratio.paired(start.x_test, start.y_test)
    return found


def _pairs_above_noise(sides: list[tuple[Side, Side]], count: int) -> np.ndarray:
    """Which pairs of directions are correlated on rows that did not choose them."""
    rho = _joint_correlations(sides)
    noise = float(norm.isf(_BY_CHANCE / max(len(rho), 1)))
    return np.flatnonzero(rho > noise / math.sqrt(count))


def _joint_correlations(sides: list[tuple[Side, Side]]) -> Float[np.ndarray, " m"]:
    """Of each pair of directions, over the rows of several fits."""
    products = sum((x.variates * y.variates).sum(0) for x, y in sides)
    x_squares = sum((x.variates**2).sum(0) for x, _ in sides)
    y_squares = sum((y.variates**2).sum(0) for _, y in sides)
    return products / np.sqrt(np.maximum(x_squares * y_squares, 1e-300))


def _correlations(x: Side, y: Side) -> Float[np.ndarray, " m"]:
    a, b = x.variates - x.variates.mean(0), y.variates - y.variates.mean(0)
    norm = np.sqrt(np.maximum((a**2).sum(0) * (b**2).sum(0), 1e-300))
    return np.clip((a * b).sum(0) / norm, 0, _LARGEST)


def _robust_correlations(
    x: Side, y: Side, dimensions: tuple[int, int], degrees: float
) -> Float[np.ndarray, " m"]:
    """Correlations with far rows weighted down, as the Student likelihood weights them."""
    weight = (degrees + sum(dimensions)) / (degrees + x.radius + y.radius)
    a, b = (side.variates * np.sqrt(weight)[:, None] for side in (x, y))
    return _correlations(Side(a, x.radius), Side(b, y.radius))


def _rotation(products: Float[np.ndarray, "m m"]) -> Float[np.ndarray, "m m"]:
    left, _, right = np.linalg.svd(products)
    return left @ right


def _factor(scatter: Float[np.ndarray, "d d"], ridge: float, columns: int) -> np.ndarray:
    """L with LL' = S + ridge, relative to the mean variance of so many columns."""
    level = max(float(np.trace(scatter)) / columns, 1e-300)
    return cholesky(scatter + (ridge + 1e-10) * level * np.eye(len(scatter)), lower=True)


def _as_many_as_rows(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
    """More columns than rows turned into as many, which changes no ridge regression.

    The rows span no more directions, and a ridge is the same in each (the dual form).
    """
    if values.shape[1] <= len(values):
        return values
    return np.asarray(np.linalg.qr(values.T, mode="r")).T


def _leading(
    matrix: Float[np.ndarray, "d k"], m: int
) -> tuple[Float[np.ndarray, "d m"], Float[np.ndarray, "k m"]]:
    """The leading singular vectors, by subspace iteration where they are few of many."""
    if min(matrix.shape) <= 4 * m:
        left, _, right = np.linalg.svd(matrix, full_matrices=False)
        return left[:, :m], right[:m].T
    start = np.random.default_rng(0).normal(size=(matrix.shape[1], 2 * m))
    basis = np.linalg.qr(matrix @ start)[0]
    for _ in range(_ITERATIONS):
        basis = np.linalg.qr(matrix @ (matrix.T @ basis))[0]
    left, _, right = np.linalg.svd(basis.T @ matrix, full_matrices=False)
    return (basis @ left)[:, :m], right[:m].T


def _scaled(side: Side, scale: np.ndarray) -> Side:
    return Side(side.variates / scale, side.radius)
