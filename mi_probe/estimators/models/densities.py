"""What density models of classes share: coordinates around each class's mean.

The telling directions of whitened x are those in which the classes' variances differ. So a
Gaussian class, around its own mean and by its own spreads along them, is about standard
normal: a model that starts as one starts near a quadratic discriminant; it learns the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.models.directions import Subspace, telling_subspace
from mi_probe.estimators.models.interface import ClassRows, PredictClasses, ScoreRows

_STEADY = 10
"""Rows of variance 1 that are added to each class, so that few rows claim little."""


@dataclass(frozen=True)
class ClassCoordinates:
    """x -> its place relative to a class's mean, in spreads of that class."""

    subspace: Subspace
    means: Float[np.ndarray, "c m"]
    spreads: Float[np.ndarray, "c m"]
    offsets: Float[np.ndarray, " c"]
    """log p(y), minus the logarithm of the volume that the spreads span."""

    @classmethod
    def of(cls, rows: ClassRows, width: int) -> "ClassCoordinates":
        """Found on these rows; a class of few has its mean drawn to that of all."""
        subspace = telling_subspace(rows, width)
        u = subspace(rows.vectors)
        counts = np.bincount(rows.y, minlength=rows.n_classes)[:, None]
        sums, squares = np.zeros((2, rows.n_classes, subspace.width))
        np.add.at(sums, rows.y, u)
        means = sums / (counts + 1)
        np.add.at(squares, rows.y, (u - means[rows.y]) ** 2)
        spreads = np.sqrt((squares + _STEADY) / (counts + _STEADY))
        return cls(subspace, means, spreads, rows.log_prior - np.log(spreads).sum(1))

    @property
    def n_classes(self) -> int:
        """Classes, with rows or without."""
        return len(self.means)

    def own(self, rows: ClassRows) -> tuple[Tensor, Tensor]:
        """Each row around its own class's mean, and its class as a one-hot row."""
        around = (self.subspace(rows.vectors) - self.means[rows.y]) / self.spreads[rows.y]
        return as_tensor(around), self.one_hot(rows.y)

    def around(self, x: Float[np.ndarray, "n d"], c: int) -> tuple[Tensor, Tensor]:
        """Each row around one class's mean, and that class as one-hot rows."""
        around = (self.subspace(x) - self.means[c]) / self.spreads[c]
        return as_tensor(around), self.one_hot(np.full(len(x), c))

    def posterior(self, log_density: Callable[[Tensor, Tensor], Tensor]) -> PredictClasses:
        """By Bayes' rule, from log p of rows around a class's mean, given its one-hot."""

        @torch.no_grad()
        def predict(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
            scores = [log_density(*self.around(x, c)) for c in range(self.n_classes)]
            return torch.stack(scores, dim=1).double().numpy() + self.offsets

        return predict

    def one_hot(self, y: np.ndarray) -> Tensor:
        """Classes as rows of 0 and 1."""
        return torch.eye(self.n_classes)[torch.from_numpy(y)]


_RIDGE = 1.0


def context_of(rows: ScoreRows, width: int) -> Callable[[Float[np.ndarray, "n d"]], Tensor]:
    """X itself, or in many dimensions its ridge prediction of y and principal directions.

    A deterministic map of x found on these rows, so it adds no information.
    """
    if rows.x.shape[1] <= width:
        return as_tensor
    centre = rows.x.mean(0)
    x = rows.x - centre
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    slopes = vectors @ (
        (vectors.T @ (x.T @ rows.y)) / (len(x) * (values + _RIDGE))[:, None]
    )
    directions = np.hstack([slopes, vectors[:, ::-1][:, :width]])
    scale = (x @ directions).std(0) + 1e-9
    return lambda other: as_tensor((other - centre) @ directions / scale)
