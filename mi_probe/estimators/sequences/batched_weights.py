"""Weights of many small networks of one shape, trained side by side."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Weights: TypeAlias = dict[str, Tensor]


@runtime_checkable
class Seeded(Protocol):
    """What initial weights depend on."""

    @property
    def seed(self) -> int:
        """Of this problem's own weights."""
        ...

    @property
    def log_prior(self) -> Float[np.ndarray, " c"]:
        """Log p(y), where the head starts."""
        ...


def affine(w: Weights, name: str, x: Float[Tensor, "p k i"]) -> Float[Tensor, "p k o"]:
    """One layer of each network; the first row of its matrix is the bias."""
    matrix = w[name]
    return torch.baddbmm(matrix[:, :1], x, matrix[:, 1:])


def drawn_weights(
    shapes: Mapping[str, tuple[int, int]], problems: Sequence[Seeded]
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
