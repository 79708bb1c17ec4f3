"""A small network as a probe."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.bounds.training import Schedule
from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.interface import ClassRows, FitPath
from mi_probe.estimators.models.training import (
    DENSITY_SCHEDULE,
    network_path,
    zeroed,
)


@dataclass(frozen=True)
class Mlp:
    """Two hidden layers beside a linear map, over the telling directions.

    In more dimensions than ``width`` the standardised columns stand beside the directions.
    """

    hidden: int = 64
    width: int = 32
    schedule: Schedule = field(default_factory=lambda: DENSITY_SCHEDULE)

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One network."""
        subspace = telling_subspace(rows, self.width)
        scale = subspace(rows.vectors).std(0) + 1e-6

        def inputs(x: np.ndarray) -> Tensor:
            u = subspace(x) / scale
            return as_tensor(u if x.shape[1] <= self.width else np.hstack([u, x]))

        def made(train: Tensor) -> nn.Module:
            return _Network(train.shape[1], self.hidden, as_tensor(rows.log_prior))

        return network_path(made, inputs, rows, watched, rng, self.schedule)


class _Network(nn.Module):
    """Vectors to log q(y|x), up to a constant; the prior before the first step."""

    log_prior: Tensor

    def __init__(self, d: int, hidden: int, log_prior: Float[Tensor, " c"]) -> None:
        super().__init__()
        self.register_buffer("log_prior", log_prior)
        self.linear = zeroed(nn.Linear(d, len(log_prior)))
        self.network = nn.Sequential(
            nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.head = zeroed(nn.Linear(hidden, len(log_prior)))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """The scores of every class."""
        return self.log_prior + self.linear(x) + self.head(self.network(x))
