"""Gradient descent on the losses of rows, stopped by the losses of other rows."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network is trained."""

    max_epochs: int = 40
    patience: int = 3
    """Epochs without a clearly better watched value before training stops."""
    least_gain: float = 1e-3
    """Gain that counts as clearly better, in nats."""
    steps_per_epoch: int = 32
    """Steps that give the batch size, within its limits: few rows, small batches."""
    batch_limits: tuple[int, int] = (64, 256)
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    clip_norm: float = 1.0

    def batches(self, rows: int) -> int:
        """Batches in an epoch over this many rows."""
        smallest, largest = self.batch_limits
        size = min(max(rows // self.steps_per_epoch, smallest), largest)
        # A last batch of a few rows would make a noisy denominator: all are about equal.
        return max(1, round(rows / size))


def descend(
    module: nn.Module,
    losses: Callable[[Tensor], Float[Tensor, " b"]],
    n: int,
    watched: Callable[[], Float[Tensor, " v"]],
    schedule: Schedule,
    draw: torch.Generator | None = None,
) -> bool:
    """Minimise the mean loss; the best weights for the watched rows are kept.

    The best of many epochs always looks better than none, also where there is nothing to
    learn: whoever values the module does so on rows that it was not watched on.

    Args:
        module: whose parameters are trained, in place.
        losses: of the rows with these indices in 0 ... n-1, one each.
        n: rows to train on.
        watched: losses of the rows that stop the training; no noise from call to call.
        schedule: how long and how fast.
        draw: of the order of rows; torch's global generator by default.

    Returns:
        False where the watched value was still rising at the last epoch.
    """
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    best = milestone = _value(module, watched)
    weights, progress = copy.deepcopy(module.state_dict()), 0
    for epoch in range(1, schedule.max_epochs + 1):
        module.train()
        for batch in torch.randperm(n, generator=draw).tensor_split(schedule.batches(n)):
            optimiser.zero_grad()
            losses(batch).mean().backward()
            nn.utils.clip_grad_norm_(module.parameters(), schedule.clip_norm)
            optimiser.step()
        value = _value(module, watched)
        if not math.isfinite(value):
            break
        if value > best:
            best, weights = value, copy.deepcopy(module.state_dict())
        if value > milestone + schedule.least_gain:
            milestone, progress = value, epoch
        if epoch - progress >= schedule.patience:
            break
    module.load_state_dict(weights)
    module.eval()
    return progress < schedule.max_epochs


@torch.no_grad()
def _value(module: nn.Module, losses: Callable[[], Float[Tensor, " v"]]) -> float:
    module.eval()
    return -float(losses().double().cpu().mean())
