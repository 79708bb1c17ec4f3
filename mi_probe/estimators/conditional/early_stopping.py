"""Gradient descent on the losses of rows, stopped by the loss of other rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from mi_probe.estimators.critic.training import Schedule, descend

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


def fit_until_watched_rises(
    module: nn.Module,
    losses: Callable[[Tensor], Tensor],
    n: int,
    watched: Callable[[], Tensor],
    schedule: Schedule,
) -> bool:
    """Minimise the mean loss; the best weights for the watched rows are kept.

    Args:
        module: whose parameters are trained, in place.
        losses: of the rows with these indices in 0 ... n-1, one each.
        n: rows to train on.
        watched: losses of the rows that stop the training; no noise from call to call.
        schedule: how long and how fast.

    Returns:
        False where the watched loss was still falling at the last epoch.
    """
    return descend(module, losses, n, watched, schedule).converged
