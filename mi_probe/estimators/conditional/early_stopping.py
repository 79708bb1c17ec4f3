"""Gradient descent on the losses of rows, stopped by the loss of other rows."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from mi_probe.estimators.bounds.training import Schedule

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
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    best = milestone = _mean(module, watched)
    weights, progress = copy.deepcopy(module.state_dict()), 0
    for epoch in range(1, schedule.max_epochs + 1):
        module.train()
        for batch in torch.randperm(n).tensor_split(schedule.batches(n)):
            optimiser.zero_grad()
            losses(batch).mean().backward()
            nn.utils.clip_grad_norm_(module.parameters(), schedule.clip_norm)
            optimiser.step()
        value = _mean(module, watched)
        if not math.isfinite(value):
            break
        if value < best:
            best, weights = value, copy.deepcopy(module.state_dict())
        if value < milestone - schedule.least_gain:
            milestone, progress = value, epoch
        if epoch - progress >= schedule.patience:
            break
    module.load_state_dict(weights)
    module.eval()
    return progress < schedule.max_epochs


@torch.no_grad()
def _mean(module: nn.Module, losses: Callable[[], Tensor]) -> float:
    module.eval()
    return float(losses().mean())
