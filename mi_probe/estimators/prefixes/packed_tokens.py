"""Every row's real tokens in order from the left, standardised as they are read."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mi_probe.estimators.core.states import chunk_rows, chunks
from mi_probe.hidden import HiddenStates

_SAMPLE = 40_000
"""Tokens that mean, spread and directions are found from, at most."""
_WIDTH = 768
"""Dimensions above which the leading principal ones stand for all."""
_ROUNDS = 3
_FAR = 10.0
"""Standard deviations at which a coordinate is cut, where no projection mixes them: one
massive activation is enough."""


@dataclass(frozen=True)
class PackedTokens:
    """Z without pads and holes; chunks of it are made when they are asked for."""

    z: HiddenStates
    order: Int[Tensor, "n t"]
    """Where each row's tokens stand in Z; what is behind the row's end says nothing."""
    lengths: Int[Tensor, " n"]
    centre: Float[Tensor, " d"]
    projection: Float[Tensor, "d r"] | Float[Tensor, " d"]
    """A scale for each column, or a scaled projection where there are too many."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def mask(self) -> Bool[Tensor, "n t"]:
        """True for a row's tokens."""
        return torch.arange(self.order.shape[1]) < self.lengths[:, None]

    @property
    def width(self) -> int:
        """Coordinates of a token."""
        return self.projection.shape[-1]

    def chunks(self) -> Iterator[tuple[slice, Float[Tensor, "b s r"]]]:
        """Rows, and their tokens' coordinates, cut to the longest; 0 behind an end."""
        for rows in chunks(self.z):
            lengths = self.lengths[rows]
            longest = int(lengths.max())
            order = self.order[rows, :longest]
            values = self.z[rows].values.cpu()
            index = order[..., None].expand(-1, -1, values.shape[2])
            u = _coordinates(values.gather(1, index), self.centre, self.projection)
            u *= (torch.arange(longest) < lengths[:, None])[..., None]
            yield slice(rows.start, rows.start + len(lengths)), u


def packed_tokens(z: HiddenStates) -> PackedTokens:
    """Find the tokens, and the mean and spread of their columns, without looking at Y."""
    mask = z.mask.cpu()
    lengths = mask.sum(1)
    order = (~mask).int().argsort(dim=1, stable=True)[:, : int(lengths.max())]
    tokens = _sample(z)
    centre = tokens.mean(0)
    tokens = tokens - centre
    spread = tokens.std(0, correction=0)
    # A column that varies by rounding only tells nothing.
    varies = spread > 1e-6 * centre.abs().clamp(min=1e-30)
    scale = torch.where(varies, 1 / spread.clamp(min=1e-30), 0.0)
    if tokens.shape[1] <= _WIDTH:
        return PackedTokens(z, order, lengths, centre, scale)
    tokens *= scale
    draw = torch.Generator().manual_seed(0)
    block = torch.randn(tokens.shape[1], _WIDTH // 2, generator=draw)
    for _ in range(_ROUNDS):
        block = torch.linalg.qr(tokens.T @ (tokens @ block))[0]
    return PackedTokens(z, order, lengths, centre, scale[:, None] * block)


def _coordinates(values: Tensor, centre: Tensor, projection: Tensor) -> Tensor:
    # Pads may hold anything, NaN as well.
    u = torch.nan_to_num(values.float() - centre)
    if projection.ndim == 1:
        return u.mul_(projection).clamp_(-_FAR, _FAR)
    return u @ projection


def _sample(z: HiddenStates) -> Float[Tensor, "m d"]:
    """Tokens of evenly spread rows."""
    step = max(1, int(z.mask.sum()) // _SAMPLE)
    rows = torch.arange(0, len(z), step)
    parts = rows.split(chunk_rows(z))
    read = (z[part] for part in parts)
    return torch.cat([part.values[part.mask].float().cpu() for part in read])
