"""The loop that trains statistics networks: ascent of the bound, stopped by other rows.

All problems (a held-out fold each) take a step together; each keeps the averaged weights of
the epoch whose value on its own watched rows was best.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.func import functional_call

from mi_probe.estimators.critic.batched import Descent, Weights
from mi_probe.estimators.critic.bounds import Objective, Terms
from mi_probe.estimators.critic.training import Schedule
from mi_probe.estimators.mine.marginals import Marginal
from mi_probe.estimators.mine.statistics_network import Statistics

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
    """Value of the watched rows; the first is that of the start, 0 where there is none."""
    best_epoch: Int[Tensor, " p"]
    """0 where no epoch was better than the start."""
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
        network: 0 of every pair.
        rows: those to learn from, and rows that stop the training.
        marginal: what a batch's rows are scored against, and what T starts from.
        objective: what is maximised, one number a problem.
        watched: terms whose mean on the watched rows stops the training.
        schedule: how long and how fast.
        draw: of the order of rows.
    """
    weights = dict(network.named_parameters())
    settings = {"weight_decay": schedule.weight_decay, "betas": _BETAS, "fused": True}
    groups = network.groups(schedule.learning_rate)
    descent = Descent(weights, groups, schedule.clip_norm, **settings)
    best = {name: w.clone() for name, w in descent.average.items()}
    p, m = rows.train.shape
    zero = torch.zeros(p)
    start = zero
    if marginal.starts:
        start = _value(network, descent.average, rows.watched, marginal, watched)
    best_value, milestone, progress = start.clone(), start.clone(), zero.long()
    best_epoch, trained, values = zero.long(), [start], [start]
    batches, step = schedule.batches(m), 0
    for epoch in range(1, schedule.max_epochs + 1):
        order = torch.stack([torch.randperm(m, generator=draw) for _ in range(p)])
        shuffled = rows.train.gather(1, order.to(rows.train.device))
        total = zero.clone()
        for batch in shuffled.tensor_split(batches, 1):
            step += 1
            scores = marginal.scores(network(batch, marginal.columns(batch)), batch)
            # The first epoch warms up.
            descent.step(-objective(scores).sum(), min(1.0, step / batches))
            with torch.no_grad():
                total += watched(marginal.lowered(scores)).mean(-1).cpu() / batches
        trained.append(total)
        value = _value(network, descent.average, rows.watched, marginal, watched)
        values.append(value)
        # Each stops by itself: no problem's weights may depend on what others know.
        running = epoch - progress <= schedule.patience
        better = running & (value > best_value) & value.isfinite()
        best_value = torch.where(better, value, best_value)
        best_epoch = torch.where(better, epoch, best_epoch)
        for name, w in descent.average.items():
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
    weights: Weights,
    rows: Int[Tensor, "p v"],
    marginal: Marginal,
    watched: Terms,
) -> Float[Tensor, " p"]:
    found = functional_call(network, weights, (rows, marginal.columns(rows)))
    return watched(marginal.lowered(marginal.scores(found, rows))).mean(-1).cpu()


def stacked_rows(rows: Sequence[Int[Tensor, " _"]]) -> Int[Tensor, "p k"]:
    """Rows of each problem, cut to those of the shortest."""
    fewest = min(map(len, rows))
    return torch.stack([part[:fewest] for part in rows])
