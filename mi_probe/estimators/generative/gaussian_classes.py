"""Gaussian classes: independent columns, one covariance for all, or one each."""

from dataclasses import dataclass

import numpy as np

from mi_probe.estimators.conditional.gaussian_discriminant import (
    LINEAR_SHRINKAGE,
    Moments,
    WithinClass,
    quadratic_grid,
)
from mi_probe.estimators.conditional.models import ClassPath, ClassRows


@dataclass(frozen=True)
class NaiveBayes:
    """Gaussian columns that are independent given the class, of shrunk variances."""

    shares: tuple[float, ...] = (0.0, 0.3, 1.0)
    """Of each class's variances that is taken from their mean over the classes."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
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
        return ClassPath(
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

    shrinkage: tuple[float, ...] = LINEAR_SHRINKAGE

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """One discriminant a shrinkage."""
        within = WithinClass(Moments.of(rows.vectors, rows.y, rows.n_classes))
        return ClassPath(
            {f"shrinkage={s:g}": within.linear(within.whitening(s)) for s in self.shrinkage}
        )


@dataclass(frozen=True)
class OwnCovariances:
    """Quadratic discriminants in the telling directions, by their number and shrinkage."""

    whitening: float = 0.3

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """One discriminant for each number of directions and each shrinkage."""
        x, grid = rows.vectors, quadratic_grid(rows.vectors.shape[1])
        within = WithinClass(Moments.of(x, rows.y, rows.n_classes))
        found = within.quadratics(within.whitening(self.whitening), x, rows.y, grid)
        return ClassPath(
            {
                f"directions={width},shrinkage={shrinkage:g}": fit
                for (width, shrinkage), fit in zip(grid, found, strict=True)
            }
        )
