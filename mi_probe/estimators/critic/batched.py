"""Many small networks of one shape, trained side by side.

The first axis of every weight is that of problems (the rows that one network may learn
from): each has a generator and a gradient's norm of its own, so the numbers are those of a
loop, but for rounding. What is used are moving averages of the weights, so that a single
batch does not decide.

References:
    Polyak and Juditsky 1992 (averaged weights).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Weights: TypeAlias = dict[str, Tensor]

_AVERAGE = 0.98
"""Share of the moving average that stays at each step."""
_TINY = 1e-6
_BATCH = 128
_LEAST_STEPS = 12
"""Steps an epoch at least, so that few rows still train."""
_RATE, _DECAY, _CLIP = 1.5e-2, 5e-2, 1.0
_WARM_UP = 0.15


@dataclass(frozen=True)
class Problem:
    """What one network learns from."""

    rows: Int[np.ndarray, " m"]
    log_prior: Float[np.ndarray, " c"]
    seed: int


class Descent:
    """AdamW on all problems' weights, each clipped by its own norm, and their average."""

    def __init__(
        self, weights: Mapping[str, Tensor], groups: Iterable[Any], clip: float, **adam: Any
    ) -> None:
        self._weights, self._clip = weights, clip
        self._optimiser = torch.optim.AdamW(groups, **adam)
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._steps = 0
        self.average: Weights = {name: w.detach().clone() for name, w in weights.items()}

    def step(self, loss: Tensor, pace: float = 1.0) -> None:
        """One step down the loss, at a share of the learning rates."""
        self._steps += 1
        for group, rate in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = rate * pace
        self._optimiser.zero_grad()
        loss.backward()
        if self._clip < math.inf:
            self._shrink([w.grad for w in self._weights.values() if w.grad is not None])
        self._optimiser.step()
        share = 1 - min(_AVERAGE, self._steps / (self._steps + 10))
        for name, w in self._weights.items():
            self.average[name].lerp_(w.detach(), share)

    def _shrink(self, gradients: Sequence[Tensor]) -> None:
        norm = torch.as_tensor(sum(g.flatten(1).square().sum(1) for g in gradients)).sqrt()
        shrink = (self._clip / norm.clamp(min=_TINY)).clamp(max=1)
        for gradient in gradients:
            gradient *= shrink.view(-1, *[1] * (gradient.ndim - 1))


def averaged_weights(
    weights: Weights,
    problems: Sequence[Problem],
    lengths: Int[Tensor, " n"],
    loss: Callable[[Weights, Int[Tensor, "p b"]], Tensor],
    epochs: int,
    kept: Sequence[int],
) -> tuple[Weights, ...]:
    """The averaged weights after some numbers of epochs: there is no early stopping.

    Args:
        weights: where each problem starts.
        problems: the rows of each; sizes should be about equal.
        lengths: tokens of all rows, on the device to train on.
        loss: the problems' losses of some rows of each, added up.
        epochs: passes over the rows.
        kept: the epochs after which the weights are kept.
    """
    weights = {name: w.to(lengths.device).requires_grad_() for name, w in weights.items()}
    descent = Descent(
        weights, weights.values(), _CLIP, lr=_RATE, weight_decay=_DECAY, fused=True
    )
    draws = [torch.Generator().manual_seed(problem.seed) for problem in problems]
    # The order of batches is shared: no problem depends on which others there are.
    shared = torch.Generator().manual_seed(0)
    fewest = min(len(problem.rows) for problem in problems)
    steps = max(_LEAST_STEPS, fewest // _BATCH)
    steps = min(steps, max(1, fewest // 4))
    step, snapshots = 0, []
    for epoch in range(1, epochs + 1):
        stacked = torch.stack(
            [
                _ordered(problem.rows, lengths.cpu(), fewest // steps * steps, draw)
                for problem, draw in zip(problems, draws, strict=True)
            ]
        ).to(lengths.device)
        parts = stacked.chunk(steps, dim=1)
        for place in torch.randperm(steps, generator=shared).tolist():
            step += 1
            descent.step(loss(weights, parts[place]), _pace(step / (epochs * steps)))
        if epoch in kept:
            snapshots.append({name: w.clone() for name, w in descent.average.items()})
    return tuple(snapshots)


def affine(w: Weights, name: str, x: Float[Tensor, "p k i"]) -> Float[Tensor, "p k o"]:
    """One layer of each network; the first row of its matrix is the bias."""
    matrix = w[name]
    return torch.baddbmm(matrix[:, :1], x, matrix[:, 1:])


def drawn_weights(
    shapes: Mapping[str, tuple[int, int]], problems: Sequence[Problem]
) -> Weights:
    """Initial weights, each problem's from its own seed; the ``head`` says p(y)."""
    drawn: Weights = {}
    generators = [torch.Generator().manual_seed(problem.seed + 1) for problem in problems]
    for name, (inputs, outputs) in shapes.items():
        reach = 1 / math.sqrt(inputs)
        matrices = torch.stack(
            [
                (2 * torch.rand(inputs + 1, outputs, generator=generator) - 1) * reach
                for generator in generators
            ]
        )
        drawn[name] = matrices * (name != "head")
    priors = np.stack([problem.log_prior for problem in problems])
    drawn["bias"] = torch.as_tensor(priors, dtype=torch.float32)[:, None]
    return drawn


def of_problem(weights: Weights, problem: int) -> Weights:
    """The weights of one problem, as a stack of one."""
    return {name: w[problem : problem + 1] for name, w in weights.items()}


def by_length(
    lengths: Int[Tensor, " n"], rows: Int[np.ndarray, " m"], tokens: int, longest: int
) -> Sequence[Int[Tensor, " b"]]:
    """Places of rows, those of about one length together: padding is not computed.

    Args:
        lengths: tokens of all rows.
        rows: which of them.
        tokens: to be read at a time, about.
        longest: tokens of the longest row.
    """
    order = lengths[torch.as_tensor(rows, device=lengths.device)].argsort()
    return order.split(max(1, tokens // longest))


def _ordered(
    rows: Int[np.ndarray, " m"],
    lengths: Int[Tensor, " n"],
    count: int,
    draw: torch.Generator,
) -> Int[Tensor, " k"]:
    """Shuffled rows, those of about one length together: padding is what costs."""
    shuffled = torch.as_tensor(rows)[torch.randperm(len(rows), generator=draw)[:count]]
    blurred = lengths[shuffled] * (0.75 + 0.5 * torch.rand(count, generator=draw))
    return shuffled[blurred.argsort()]


def _pace(share: float) -> float:
    """Share of the learning rate: up in a straight line, then a cosine to a hundredth."""
    if share < _WARM_UP:
        return share / _WARM_UP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (share - _WARM_UP) / (1 - _WARM_UP)))
