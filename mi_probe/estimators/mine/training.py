"""The loop that trains statistics networks: ascent of the bound, stopped by other rows.

All problems (a held-out fold each) take a step together; each keeps the weights of the
epoch whose value on its own watched rows was best. What is valued are moving averages of
the weights, so that a single batch does not decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from mi_probe.estimators.bounds.objectives import Objective
from mi_probe.estimators.bounds.training import Schedule
from mi_probe.estimators.bounds.values import Terms
from mi_probe.estimators.mine.marginals import Marginal
from mi_probe.estimators.mine.network import Statistics

_AVERAGE = 0.98
"""Of the moving average of the weights."""
_BETAS = (0.9, 0.98)


@dataclass(frozen=True)
class TrainingRows:
    """The rows that each problem learns from and is stopped by, equally many in each."""

    train: Int[Tensor, "p m"]
    watched: Int[Tensor, "p v"]


@dataclass(frozen=True)
class Course:
    """How the training of one kind went, a problem each; in nats."""

    train: Float[Tensor, "epochs p"]
    watched: Float[Tensor, "epochs p"]
    """The first is 0, of T = 0."""
    best_epoch: Int[Tensor, " p"]
    """0 where no epoch was better than T = 0."""
    converged: bool
    """False where values were still rising at the last epoch."""


def train(
    network: Statistics,
    rows: TrainingRows,
    marginal: Marginal,
    objective: Objective,
    watched: Terms,
    schedule: Schedule,
    draw: torch.Generator,
) -> Course:
    """Train a kind's networks in place; each keeps its best weights.

    Args:
        network: T = 0 of every pair.
        rows: those to learn from, and rows that stop the training.
        marginal: what a batch's rows are scored against.
        objective: what is maximised, one number a problem.
        watched: terms whose mean on the watched rows stops the training.
        schedule: how long and how fast.
        draw: of the order of rows.
    """
    optimiser = torch.optim.AdamW(
        network.groups(), weight_decay=schedule.weight_decay, betas=_BETAS, fused=True
    )
    rates = [group["lr"] for group in optimiser.param_groups]
    weights = dict(network.named_parameters())
    average = {name: w.detach().clone() for name, w in weights.items()}
    best = {name: w.clone() for name, w in average.items()}
    p, m = rows.train.shape
    zero = torch.zeros(p)
    best_value, milestone, progress = zero.clone(), zero.clone(), zero.long()
    best_epoch, trained, values = zero.long(), [zero], [zero]
    batches, step = schedule.batches(m), 0
    for epoch in range(1, schedule.max_epochs + 1):
        order = torch.stack([torch.randperm(m, generator=draw) for _ in range(p)])
        shuffled = rows.train.gather(1, order.to(rows.train.device))
        total = zero.clone()
        for batch in shuffled.tensor_split(batches, 1):
            step += 1
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * min(1.0, step / batches)  # the first epoch warms up
            columns = marginal.columns(batch)
            scores = marginal.scores(network(batch, columns), batch)
            optimiser.zero_grad()
            (-objective(scores).sum()).backward()
            _clip(network, schedule.clip_norm)
            optimiser.step()
            share = min(_AVERAGE, step / (step + 10))
            for name, w in weights.items():
                average[name].lerp_(w.detach(), 1 - share)
            with torch.no_grad():
                total += watched(marginal.lowered(scores)).mean(-1).cpu() / batches
        trained.append(total)
        value = _value(network, average, rows.watched, marginal, watched)
        values.append(value)
        # Each stops by itself: no problem's weights may depend on what others know.
        running = epoch - progress <= schedule.patience
        better = running & (value > best_value) & value.isfinite()
        best_value, best_epoch = (
            torch.where(better, value, best_value),
            torch.where(better, epoch, best_epoch),
        )
        for name, w in average.items():
            best[name][better] = w[better]
        ahead = running & (value > milestone + schedule.least_gain)
        milestone = torch.where(ahead, value, milestone)
        progress = torch.where(ahead, epoch, progress)
        if bool((epoch - progress >= schedule.patience).all()):
            break
    network.load_state_dict(best)
    return Course(
        torch.stack(trained),
        torch.stack(values),
        best_epoch,
        bool((progress < schedule.max_epochs).double().mean() >= 0.5),
    )


@torch.no_grad()
def _value(
    network: Statistics,
    weights: dict[str, Tensor],
    rows: Int[Tensor, "p v"],
    marginal: Marginal,
    watched: Terms,
) -> Float[Tensor, " p"]:
    found = functional_call(network, weights, (rows, marginal.columns(rows)))
    return watched(marginal.lowered(marginal.scores(found, rows))).mean(-1).cpu()


def _clip(network: nn.Module, most: float) -> None:
    """Each problem's gradient by its own norm, as if it were alone."""
    gradients = [w.grad for w in network.parameters() if w.grad is not None]
    norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    shrink = (most / norm.clamp(min=1e-9)).clamp(max=1)
    for gradient in gradients:
        gradient *= shrink.view(-1, *[1] * (gradient.ndim - 1))


def stacked_rows(rows: Sequence[Int[Tensor, " _"]]) -> Int[Tensor, "p k"]:
    """Rows of each problem, cut to those of the shortest."""
    fewest = min(map(len, rows))
    return torch.stack([part[:fewest] for part in rows])
