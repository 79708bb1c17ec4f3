"""Gaussian mixtures, one a class, with as many components as other rows ask for."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning

from mi_probe.estimators.conditional.models import ClassPath, ClassRows, PredictClasses
from mi_probe.estimators.generative.class_densities import ClassCoordinates

_LogDensity = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class GaussianMixtures:
    """Mixtures in the telling directions, along a path of component counts."""

    components: tuple[int, ...] = (1, 2, 4)
    width: int = 8
    """Telling directions, in more dimensions than that."""
    ridge: float = 0.03
    """Added to every variance; those within a class are about 1."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """Mixtures of so many components for every class."""
        coordinates = ClassCoordinates.of(rows, self.width)
        own, _ = coordinates.own(rows)
        u = own.double().numpy()
        found = {}
        for k in self.components:
            densities = [
                self._density(u[rows.y == c], k, rng) for c in range(rows.n_classes)
            ]
            found[f"components={k}"] = _posterior(coordinates, densities)
        return ClassPath(found)

    def _density(
        self, u: Float[np.ndarray, "n m"], k: int, rng: np.random.Generator
    ) -> _LogDensity:
        """Of one class, around its mean; standard normal where it has too few rows."""
        from sklearn.mixture import GaussianMixture

        m = u.shape[1]
        if len(u) < 2 * (m + 1):
            return lambda v: -0.5 * ((v**2).sum(1) + m * np.log(2 * np.pi))
        mixture = GaussianMixture(
            max(1, min(k, len(u) // (2 * (m + 1)))),
            reg_covar=self.ridge,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():
            # A fit stopped early is still a fit; it is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(u)
        return mixture.score_samples


def _posterior(
    coordinates: ClassCoordinates, densities: list[_LogDensity]
) -> PredictClasses:
    def predict(x: np.ndarray) -> np.ndarray:
        scores = [
            density(coordinates.around(x, c)[0].double().numpy())
            for c, density in enumerate(densities)
        ]
        return np.stack(scores, axis=1) + coordinates.offsets

    return predict
