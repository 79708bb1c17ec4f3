"""Gaussian classes: independent columns, one covariance for all, or one each."""

from dataclasses import dataclass

import numpy as np

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.gaussian import (
    Moments,
    WithinClasses,
    quadratics,
)
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitPath,
    of_coordinates,
)


@dataclass(frozen=True)
class NaiveBayes:
    """Gaussian columns that are independent given the class, of shrunk variances."""

    shares: tuple[float, ...] = (0.0, 0.3, 1.0)
    """Of each class's variances that is taken from their mean over the classes."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One model a share."""
        x = rows.vectors
        counts = np.bincount(rows.y, minlength=rows.n_classes)
        means, variances = np.zeros((2, rows.n_classes, x.shape[1]))
        for c in rows.present:
            # One row at the overall mean, 0, with variance 1 steadies a class of few.
            own = x[rows.y == c]
            means[c] = own.sum(0) / (len(own) + 1)
            squares = ((own - means[c]) ** 2).sum(0)
            variances[c] = (squares + 1) / (len(own) + 1)
        variances[counts == 0] = 1
        shared = counts @ variances / counts.sum()
        return FitPath(
            {
                f"share={share:g}": _IndependentColumns(
                    means, (1 - share) * variances + share * shared, rows.log_prior
                )
                for share in self.shares
            }
        )


@dataclass(frozen=True)
class _IndependentColumns:
    """log q(y|x), up to a constant an example."""

    means: np.ndarray
    variances: np.ndarray
    log_prior: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Sums of squares are expanded, so that no (n, c, d) array is made."""
        precision = 1 / self.variances
        constant = (self.means**2 * precision + np.log(self.variances)).sum(1)
        distance = x**2 @ precision.T - 2 * x @ (self.means * precision).T + constant
        return self.log_prior - 0.5 * distance


@dataclass(frozen=True)
class SharedCovariance:
    """Linear discriminant analysis along a path of shrinkage."""

    shrinkage: tuple[float, ...] = (0.003, 0.05, 0.3, 0.9)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One discriminant a shrinkage."""
        within = WithinClasses(Moments.of(rows.vectors, rows.y, rows.n_classes))
        return FitPath({f"shrinkage={s:g}": within.linear(s) for s in self.shrinkage})


@dataclass(frozen=True)
class OwnCovariances:
    """Quadratic discriminants in the telling directions, by their number and shrinkage."""

    widths: tuple[int, ...] = (3, 12, 32, 100)
    """Numbers of directions; the last only where there are no more columns."""
    shrinkage: tuple[float, ...] = (0.02, 0.15, 0.5, 0.9)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One discriminant for each number of directions and each shrinkage."""
        d = rows.vectors.shape[1]
        most = self.widths[-1] if d <= self.widths[-1] else self.widths[-2]
        subspace = telling_subspace(rows, most)
        enough = next((w for w in self.widths if w >= d), most)
        widths = [w for w in self.widths if w <= enough]
        grid = [(width, shrinkage) for width in widths for shrinkage in self.shrinkage]
        z = subspace(rows.vectors)
        found = quadratics(z, rows.y, rows.n_classes, grid, white=True)
        return FitPath(
            {
                f"directions={width},shrinkage={shrinkage:g}": of_coordinates(subspace, fit)
                for (width, shrinkage), fit in zip(grid, found, strict=True)
            }
        )
