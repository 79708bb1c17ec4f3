r"""Normalising flows: q(x|y) by class and Bayes' rule, or q(y|x) of numbers.

A neural spline flow (zuko) has an exact density. For classes the flow of x given y, read in
the telling directions, gives a posterior and so a lower bound. For real numbers the value
is a difference of entropies, each as a cross-entropy on held-out rows:

.. math:: E[\log q(y|x)] - E[\log q(y)]

References:
    Neural Spline Flows (Durkan et al., 2019), arXiv 1906.04032.
    Formal Limitations on the Measurement of Mutual Information (McAllester and Stratos,
    2020), arXiv 1811.04251: the difference of entropies.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.densities import ClassCoordinates, context_of
from mi_probe.estimators.models.interface import ClassRows, FitPath, ScoreRows
from mi_probe.estimators.models.networks import (
    DENSITY_SCHEDULE,
    weights_from,
)


@dataclass(frozen=True)
class ClassFlow:
    """One spline flow for all classes, around each class's mean.

    Not to be trusted for what lies outside the few telling directions that it reads.
    """

    width: int = 8
    transforms: int = 2
    bins: int = 6
    hidden: int = 32
    schedule: Schedule = field(default_factory=lambda: DENSITY_SCHEDULE)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One flow."""
        coordinates = ClassCoordinates.of(rows, self.width)
        train, other = coordinates.own(rows), coordinates.own(watched)
        with weights_from(rng):
            flow, converged = _fitted(self, train, other)

        predict = coordinates.posterior(lambda u, own: flow(own).log_prob(u))
        return FitPath({"flow": predict}, converged)


@dataclass(frozen=True)
class ScoreFlow:
    """A spline flow of y given x; another of y where it has several columns.

    The normal scores of one column have a known density.
    """

    width: int = 16
    transforms: int = 2
    bins: int = 6
    hidden: int = 32
    schedule: Schedule = field(default_factory=lambda: DENSITY_SCHEDULE)

    def __call__(
        self, rows: ScoreRows, watched: ScoreRows, rng: np.random.Generator
    ) -> FitPath:
        """One flow, or two."""
        context = context_of(rows, self.width)
        y, y_other = as_tensor(rows.y), as_tensor(watched.y)
        with weights_from(rng):
            flow, converged = _fitted(
                self, (y, context(rows.x)), (y_other, context(watched.x))
            )
            marginal = None
            if y.shape[1] > 1:
                marginal, _ = _fitted(self, (y, y[:, :0]), (y_other, y_other[:, :0]))

        @torch.no_grad()
        def ratio(x: np.ndarray, values: np.ndarray) -> np.ndarray:
            v = as_tensor(values)
            given = flow(context(x)).log_prob(v).double().numpy()
            if marginal is not None:
                return given - marginal(None).log_prob(v).double().numpy()
            return given + 0.5 * (values[:, 0] ** 2 + math.log(2 * math.pi))

        return FitPath({"flow": ratio}, converged)


def _fitted(
    settings: ClassFlow | ScoreFlow,
    train: tuple[Float[Tensor, "n m"], Float[Tensor, "n k"]],
    watched: tuple[Float[Tensor, "w m"], Float[Tensor, "w k"]],
) -> tuple[Any, bool]:
    """A flow of the first tensor given the second."""
    # zuko takes a fifth of a second to import.
    from zuko.flows import NSF

    values, context = train
    flow = NSF(
        values.shape[1],
        context.shape[1],
        bins=settings.bins,
        transforms=settings.transforms,
        hidden_features=(settings.hidden, settings.hidden),
    )

    def losses(rows: tuple[Tensor, Tensor]) -> Tensor:
        return -flow(rows[1] if rows[1].shape[1] else None).log_prob(rows[0])

    converged = descend(
        flow,
        lambda batch: losses((values[batch], context[batch])),
        len(values),
        lambda: losses(watched),
        settings.schedule,
    )
    return flow, converged
