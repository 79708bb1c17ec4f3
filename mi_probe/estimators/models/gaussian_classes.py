"""Gaussian classes: independent columns, one covariance for all, or one each."""

from dataclasses import dataclass

import numpy as np

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.gaussian import (
    Moments,
    Quadratic,
    Subspace,
    WithinClasses,
    quadratics,
)
from mi_probe.estimators.models.interface import ClassPath, ClassRows, PredictClasses


@dataclass(frozen=True)
class NaiveBayes:
    """Gaussian columns that are independent given the class, of steadied variances."""

    smoothing: tuple[float, ...] = (0.01, 0.3, 3.0)
    """Addition to each variance, relative to the largest of a column over all rows."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """One model a smoothing."""
        from sklearn.naive_bayes import GaussianNB

        found: dict[str, PredictClasses] = {}
        for share in self.smoothing:
            model = GaussianNB(var_smoothing=share).fit(rows.vectors, rows.y)
            found[f"smoothing={share:g}"] = lambda x, model=model: rows.all_classes(
                model.predict_log_proba(x)
            )
        return ClassPath(found)


@dataclass(frozen=True)
class SharedCovariance:
    """Linear discriminant analysis along a path of shrinkage."""

    shrinkage: tuple[float, ...] = (0.003, 0.05, 0.3, 0.9)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """One discriminant a shrinkage."""
        within = WithinClasses(Moments.of(rows.vectors, rows.y, rows.n_classes))
        return ClassPath({f"shrinkage={s:g}": within.linear(s) for s in self.shrinkage})


@dataclass(frozen=True)
class OwnCovariances:
    """Quadratic discriminants in the telling directions, by their number and shrinkage."""

    widths: tuple[int, ...] = (3, 12, 32, 100)
    """Numbers of directions; the last only where there are no more columns."""
    shrinkage: tuple[float, ...] = (0.02, 0.15, 0.5, 0.9)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """One discriminant for each number of directions and each shrinkage."""
        d = rows.vectors.shape[1]
        most = self.widths[-1] if d <= self.widths[-1] else self.widths[-2]
        subspace = telling_subspace(rows, most)
        enough = next((w for w in self.widths if w >= d), most)
        widths = [w for w in self.widths if w <= enough]
        grid = [(width, shrinkage) for width in widths for shrinkage in self.shrinkage]
        z = subspace(rows.vectors)
        found = quadratics(z, rows.y, rows.n_classes, grid, white=True)
        return ClassPath(
            {
                f"directions={width},shrinkage={shrinkage:g}": _within(subspace, fit)
                for (width, shrinkage), fit in zip(grid, found, strict=True)
            }
        )


def _within(subspace: Subspace, fit: Quadratic) -> PredictClasses:
    return lambda x: fit(subspace(x))
