"""What probes and densities that are trained share: schedule, seeds, one network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.interface import ClassRows, FitPath

_CHUNK = 512
"""Rows that a network scores at a time."""

DENSITY_SCHEDULE = Schedule(
    max_epochs=60,
    patience=5,
    least_gain=1e-3,
    steps_per_epoch=24,
    batch_limits=(48, 256),
    learning_rate=5e-3,
    weight_decay=1e-3,
)
"""For probes and densities, which start from nothing but a closed form."""


@contextmanager
def weights_from(rng: np.random.Generator) -> Iterator[None]:
    """Lend torch's global generator a seed, for weights and noise, and put it back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        yield


def network_path(
    made: Callable[[Any], nn.Module],
    inputs: Callable[[Any], Any],
    rows: ClassRows,
    watched: ClassRows,
    rng: np.random.Generator,
    schedule: Schedule,
) -> FitPath:
    """The log q(y|x) of one network, by cross-entropy, as a path of one place.

    Args:
        made: makes the network from the rows' inputs.
        inputs: what it reads of x, a row each.
        rows: to train on.
        watched: rows that stop the training.
        rng: of weights and batches.
        schedule: how long and how fast.
    """
    train, other = inputs(rows.x), inputs(watched.x)
    y, y_other = torch.from_numpy(rows.y), torch.from_numpy(watched.y)
    loss = nn.CrossEntropyLoss(reduction="none")

    def scores(x: Any) -> Tensor:
        starts = range(0, len(x), _CHUNK)
        return torch.cat([network(x[start : start + _CHUNK]) for start in starts])

    with weights_from(rng):
        network = made(train)
        fit = descend(
            network,
            lambda batch: loss(network(train[batch]), y[batch]),
            len(rows),
            lambda: loss(scores(other), y_other),
            schedule,
        )

    @torch.no_grad()
    def predict(x: Any) -> np.ndarray:
        return scores(inputs(x)).double().numpy()

    return FitPath({"network": predict}, fit.converged)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer, which says nothing yet."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
