"""Networks as probes: what trains them, two hidden layers, self-attention over tokens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.interface import ClassRows, FitPath
from mi_probe.hidden import HiddenStates

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
        converged = descend(
            network,
            lambda batch: loss(network(train[batch]), y[batch]),
            len(rows),
            lambda: loss(scores(other), y_other),
            schedule,
        )

    @torch.no_grad()
    def predict(x: Any) -> np.ndarray:
        return scores(inputs(x)).double().numpy()

    return FitPath({"network": predict}, converged)


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer, which says nothing yet."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


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
    ) -> FitPath:
        """One network."""
        subspace = telling_subspace(rows, self.width)
        scale = subspace(rows.vectors).std(0) + 1e-6

        def inputs(x: np.ndarray) -> Tensor:
            u = subspace(x) / scale
            return as_tensor(u if x.shape[1] <= self.width else np.hstack([u, x]))

        def made(train: Tensor) -> nn.Module:
            return _Mlp(train.shape[1], self.hidden, as_tensor(rows.log_prior))

        return network_path(made, inputs, rows, watched, rng, self.schedule)


class _Mlp(nn.Module):
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


_MOMENT_ROWS = 512
_FREQUENCIES = 8


@dataclass(frozen=True)
class Attention:
    """Tokens with their places, one block of self-attention, pooled; then a linear map.

    A vector is a sequence of one token. Padding is never read. On a few hundred sequences
    it finds little that is not in the poolings it starts from: attend to the interval.
    """

    hidden: int = 48
    heads: int = 4
    schedule: Schedule = field(
        default_factory=lambda: Schedule(
            max_epochs=60,
            patience=8,
            steps_per_epoch=32,
            batch_limits=(32, 128),
            learning_rate=3e-3,
        )
    )

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One network."""
        log_prior = torch.as_tensor(rows.log_prior, dtype=torch.float32)

        def made(train: HiddenStates) -> nn.Module:
            return _Reader(*token_moments(train), self.hidden, self.heads, log_prior)

        return network_path(made, as_sequences, rows, watched, rng, self.schedule)


class _Reader(nn.Module):
    """Sequences to log q(y|x), up to a constant; the prior before the first step."""

    centre: Tensor
    scale: Tensor
    log_prior: Tensor

    def __init__(
        self,
        centre: Float[Tensor, " d"],
        scale: Float[Tensor, " d"],
        hidden: int,
        heads: int,
        log_prior: Float[Tensor, " c"],
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        self.register_buffer("log_prior", log_prior)
        self._heads = heads
        self.project = nn.Linear(len(centre) + 2 * _FREQUENCIES, hidden)
        self.norm, self.norm_after = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.mix = nn.Linear(hidden, 3 * hidden)
        self.join = nn.Linear(hidden, hidden)
        self.network = nn.Sequential(
            nn.Linear(hidden, 2 * hidden), nn.GELU(), nn.Linear(2 * hidden, hidden)
        )
        self.query = nn.Linear(hidden, heads)
        self.linear = zeroed(nn.Linear(len(centre), len(log_prior)))
        self.head = zeroed(nn.Linear((heads + 2) * hidden, len(log_prior)))

    def forward(self, x: HiddenStates) -> Float[Tensor, "b c"]:
        """The scores of every class."""
        longest = int(x.mask.nonzero()[:, 1].max()) + 1
        mask = x.mask[:, :longest]
        # Padding may hold anything, and 0 times NaN is NaN.
        values = x.values[:, :longest].float().masked_fill(~mask[..., None], 0.0)
        z = (values - self.centre) / self.scale * mask[..., None]
        share = mask / mask.sum(1, keepdim=True)
        h = nn.functional.gelu(self.project(torch.cat([z, places(mask)], dim=2)))
        h = h + self._attended(self.norm(h), mask)
        h = h + self.network(self.norm_after(h))
        weights = self.query(h).masked_fill(~mask[..., None], -torch.inf).softmax(1)
        pooled = [
            torch.einsum("bth,btw->bhw", weights, h).flatten(1),
            (h * share[..., None]).sum(1),
            h.masked_fill(~mask[..., None], -torch.inf).amax(1),
        ]
        mean = (z * share[..., None]).sum(1)
        return self.log_prior + self.linear(mean) + self.head(torch.cat(pooled, dim=1))

    def _attended(
        self, h: Float[Tensor, "b t w"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        b, t, w = h.shape
        parts = self.mix(h).view(b, t, 3, self._heads, w // self._heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask[:, None, None, :]
        )
        return self.join(found.transpose(1, 2).reshape(b, t, w))


def as_sequences(x: np.ndarray | HiddenStates) -> HiddenStates:
    """Vectors as sequences of one token; sequences as they are."""
    if isinstance(x, HiddenStates):
        return x
    values = torch.as_tensor(x, dtype=torch.float32)[:, None]
    return HiddenStates(values, torch.ones(len(x), 1, dtype=torch.bool))


def places(mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t f"]:
    """Sines and cosines of each token's place, counted over real tokens only."""
    place = (mask.cumsum(1) - 1).clamp(min=0)[..., None].float()
    angles = place / 2.0 ** torch.arange(_FREQUENCIES, device=mask.device)
    return torch.cat([angles.sin(), angles.cos()], dim=2)


def token_moments(x: HiddenStates) -> tuple[Tensor, Tensor]:
    """Mean and scale of all real tokens, without a copy of them."""
    total, squares, count = torch.zeros(()), torch.zeros(()), 0
    for start in range(0, len(x), _MOMENT_ROWS):
        part = x[start : start + _MOMENT_ROWS]
        tokens = part.values[part.mask].double()
        total, squares = total + tokens.sum(0), squares + tokens.square().sum(0)
        count += len(tokens)
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    # A constant column, but for what rounding leaves, tells nothing; 1 keeps it at 0.
    constant = variance <= 1e-10 * mean.square()
    return mean.float(), torch.where(constant, 1.0, variance.sqrt()).float()
