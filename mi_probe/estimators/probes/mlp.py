"""A small network as a probe."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.conditional.early_stopping import (
    DENSITY_SCHEDULE,
    fit_until_watched_rises,
    weights_from,
)
from mi_probe.estimators.conditional.models import ClassPath, ClassRows
from mi_probe.estimators.conditional.subspace import telling_subspace
from mi_probe.estimators.critic.training import Schedule
from mi_probe.estimators.protocol.targets import as_tensor


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
    ) -> ClassPath:
        """One network."""
        subspace = telling_subspace(rows, self.width)
        scale = subspace(rows.vectors).std(0) + 1e-6

        def inputs(x: np.ndarray) -> Tensor:
            u = subspace(x) / scale
            return as_tensor(u if x.shape[1] <= self.width else np.hstack([u, x]))

        train, other = inputs(rows.vectors), inputs(watched.vectors)
        y, y_other = torch.from_numpy(rows.y), torch.from_numpy(watched.y)
        loss = nn.CrossEntropyLoss(reduction="none")
        with weights_from(rng):
            network = _Network(train.shape[1], self.hidden, as_tensor(rows.log_prior))
            converged = fit_until_watched_rises(
                network,
                lambda batch: loss(network(train[batch]), y[batch]),
                len(rows),
                lambda: loss(network(other), y_other),
                self.schedule,
            )

        @torch.no_grad()
        def predict(x: np.ndarray) -> np.ndarray:
            return network(inputs(x)).double().numpy()

        return ClassPath({"network": predict}, converged)


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


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer, which says nothing yet."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
