"""The one loop that trains a critic's residual, whatever the objective."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.bounds.objectives import Objective
from mi_probe.estimators.bounds.values import Scores, Terms

ScoreRows = Callable[[Tensor], Scores]
"""Scores of the rows of the training set that a batch holds."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a residual is trained."""

    max_epochs: int = 40
    patience: int = 3
    """Epochs without a clearly better validation value before training stops."""
    least_gain: float = 1e-3
    """What counts as clearly better, in nats; also how near H(Y) is near enough."""
    least_errors: float = 1.0
    """Standard errors by which the best epoch has to beat none for it to be kept."""
    steps_per_epoch: int = 32
    """The batch size follows from it, within its limits: few rows, small batches."""
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


@dataclass(frozen=True)
class Fit:
    """What the training came to."""

    kept: bool
    """False: the residual was not clearly better than none, and is dropped."""
    converged: bool
    """False: the validation value was still rising at the last epoch."""
    train: tuple[float, ...]
    """Training bound by epoch, in nats."""
    validation: tuple[float, ...]
    """Validation bound by epoch, in nats; the first is the critic's start, T_0."""
    best_epoch: int


def fit_residual(
    residual: nn.Module,
    score_rows: ScoreRows,
    objective: Objective,
    watched: Terms,
    train: Tensor,
    validation: Tensor,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    ceiling: float | None = None,
    lengths: Tensor | None = None,
) -> Fit:
    """Maximise the objective, stop on the watched value, keep the best weights.

    The residual is kept only if it beats T_0 on the validation rows by more than a number
    of standard errors of the paired difference: the best of many epochs would otherwise
    always look better than none, also where Y is independent of X. At the ceiling H(Y)
    there is nothing left to learn, and training stops. Where rows have lengths, a batch
    holds rows of about one length: steps through time are what a sequence costs.
    """
    optimiser = torch.optim.AdamW(
        residual.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
    )
    start = _terms(residual, score_rows, watched, validation)
    best, best_epoch, progress_epoch, milestone = start, 0, 0, float(start.mean())
    weights = copy.deepcopy(residual.state_dict())
    train_values, values = [math.nan], [float(start.mean())]
    for epoch in range(1, schedule.max_epochs + 1):
        train_values.append(
            _epoch(
                residual,
                score_rows,
                objective,
                watched,
                _batches(train, lengths, schedule, generator),
                optimiser,
                schedule.clip_norm,
            )
        )
        terms = _terms(residual, score_rows, watched, validation)
        values.append(float(terms.mean()))
        if not math.isfinite(values[-1]):
            break
        if values[-1] > best.mean():
            best, best_epoch = terms, epoch
            weights = copy.deepcopy(residual.state_dict())
        if values[-1] > milestone + schedule.least_gain:
            milestone, progress_epoch = values[-1], epoch
        done = ceiling is not None and values[-1] > ceiling - schedule.least_gain
        if done or epoch - progress_epoch >= schedule.patience:
            break
    gain = best - start
    error = gain.std() / math.sqrt(len(gain)) if len(gain) > 1 else math.inf
    kept = best_epoch > 0 and bool(gain.mean() > schedule.least_errors * error)
    residual.load_state_dict(weights)
    return Fit(
        kept,
        progress_epoch < schedule.max_epochs,
        tuple(train_values),
        tuple(values),
        best_epoch,
    )


def _epoch(
    residual: nn.Module,
    score_rows: ScoreRows,
    objective: Objective,
    watched: Terms,
    batches: list[Tensor],
    optimiser: torch.optim.Optimizer,
    clip_norm: float,
) -> float:
    residual.train()
    total = 0.0
    for batch in batches:
        scores = score_rows(batch)
        optimiser.zero_grad()
        (-objective(scores)).backward()
        nn.utils.clip_grad_norm_(residual.parameters(), clip_norm)
        optimiser.step()
        with torch.no_grad():
            total += float(watched(scores).sum())
    return total / sum(map(len, batches))


def _batches(
    rows: Tensor, lengths: Tensor | None, schedule: Schedule, generator: torch.Generator
) -> list[Tensor]:
    shuffled = rows[torch.randperm(len(rows), generator=generator)]
    count = schedule.batches(len(rows))
    if lengths is None:
        return list(shuffled.tensor_split(count))
    # Lengths are blurred, so that no two rows always meet.
    blur = 0.75 + 0.5 * torch.rand(len(rows), generator=generator)
    sorted_rows = shuffled[torch.argsort(lengths[shuffled] * blur)]
    parts = sorted_rows.tensor_split(count)
    return [parts[i] for i in torch.randperm(count, generator=generator).tolist()]


@torch.no_grad()
def _terms(
    residual: nn.Module,
    score_rows: ScoreRows,
    watched: Terms,
    rows: Tensor,
) -> Float[np.ndarray, " n"]:
    residual.eval()
    return watched(score_rows(rows)).double().cpu().numpy()
