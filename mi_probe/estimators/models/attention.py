"""A self-attention block over all tokens as a probe of sequences."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.estimators.critic.training import Schedule
from mi_probe.estimators.models.interface import ClassRows, FitPath
from mi_probe.estimators.models.training import network_path, zeroed
from mi_probe.hidden import HiddenStates

_CHUNK = 512
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
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        tokens = part.values[part.mask].double()
        total, squares = total + tokens.sum(0), squares + tokens.square().sum(0)
        count += len(tokens)
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    # A constant column, but for what rounding leaves, tells nothing; 1 keeps it at 0.
    constant = variance <= 1e-10 * mean.square()
    return mean.float(), torch.where(constant, 1.0, variance.sqrt()).float()
