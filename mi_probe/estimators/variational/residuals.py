"""Neural residuals: what a critic learns beyond the closed form it starts from.

A residual encodes x into ``width`` features; its last layer starts at zero, so that
T = T_0 + 0 before the first step. The sequence residual reads all tokens in order, with
the mask, and is unchanged by longer padding; since T_0 holds every pooled critic, the
critic of Z contains that of Z_p.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mi_probe.hidden import HiddenStates


class VectorResidual(nn.Module):
    """Vectors (n, d) to features (n, width): a linear map plus a small network."""

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        centre: Float[Tensor, " d"],
        scale: Float[Tensor, " d"],
        width: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        d = len(centre)
        self.linear = _zeroed(nn.Linear(d, width))
        self.network = nn.Sequential(
            nn.Linear(d, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU()
        )
        self.head = _zeroed(nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b w"]:
        """The features of a batch."""
        z = (x.float() - self.centre) / self.scale
        return self.linear(z) + self.head(self.network(z))


class SequenceResidual(nn.Module):
    """Sequences (n, t, d) with a mask to features (n, width).

    One gated recurrent network reads the tokens forwards and backwards; for each direction
    its last state and the masked mean and maximum of its states feed a small network.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        centre: Float[Tensor, " d"],
        scale: Float[Tensor, " d"],
        width: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        self.project = nn.Linear(len(centre), hidden)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True)
        self.network = nn.Sequential(nn.Linear(6 * hidden, hidden), nn.GELU())
        self.head = _zeroed(nn.Linear(hidden, width))

    def forward(self, x: HiddenStates) -> Float[Tensor, "b w"]:
        """The features of a batch."""
        values, mask = _packed_left(x.values, x.mask)
        z = (values.float() - self.centre) / self.scale * mask[..., None]
        z = nn.functional.gelu(self.project(z))
        lengths = mask.sum(1)
        last = (lengths - 1)[:, None, None].expand(-1, 1, z.shape[2])
        # Both directions in one batch: a step costs little more for twice the rows, and
        # the steps one after another are what takes the time. Real tokens come first in
        # both, so what follows them, padding, is never in a state that is read.
        states = self.recurrent(torch.cat([z, _reversed_tokens(z, lengths)]))[0]
        features = []
        for direction in states.chunk(2):
            masked = direction * mask[..., None]
            features += [
                direction.gather(1, last)[:, 0],
                masked.sum(1) / lengths[:, None],
                direction.masked_fill(~mask[..., None], -2.0).amax(1),
            ]
        return self.head(self.network(torch.cat(features, dim=1)))


def residual_for(
    x: Tensor | HiddenStates, rows: Int[Tensor, " m"], width: int, hidden: int
) -> nn.Module:
    """The residual that reads this x, standardised on these rows of it."""
    kind = SequenceResidual if isinstance(x, HiddenStates) else VectorResidual
    return kind(*_moments(x, rows), width, hidden)


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _moments(x: Tensor | HiddenStates, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and scale of the rows' (real) tokens, without a copy of all of them."""
    total = squares = torch.zeros(())
    count = 0
    for part in rows.split(256):
        chosen = x[part]
        tokens = chosen.values[chosen.mask] if isinstance(chosen, HiddenStates) else chosen
        tokens = tokens.double()
        total = total + tokens.sum(0)
        squares = squares + tokens.square().sum(0)
        count += len(tokens)
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    # A constant column (but for what rounding leaves) tells nothing; 1 keeps it at 0.
    constant = variance <= 1e-10 * mean.square()
    return mean.float(), torch.where(constant, 1.0, variance.sqrt()).float()


def _packed_left(
    values: Float[Tensor, "b t d"], mask: Bool[Tensor, "b t"]
) -> tuple[Float[Tensor, "b s d"], Bool[Tensor, "b s"]]:
    """Each row's real tokens moved to its front, cut to the longest row."""
    longest = int(mask.sum(1).max())
    if bool((mask[:, 1:] <= mask[:, :-1]).all()):  # right-padded, as captures are
        return values[:, :longest], mask[:, :longest]
    order = (~mask).to(torch.int8).argsort(dim=1, stable=True)[:, :longest]
    return (
        values.gather(1, order[..., None].expand(-1, -1, values.shape[2])),
        mask.gather(1, order),
    )


def _reversed_tokens(z: Float[Tensor, "b t d"], lengths: Tensor) -> Float[Tensor, "b t d"]:
    """Each row's real tokens in reverse; padding stays behind them."""
    place = torch.arange(z.shape[1], device=z.device)[None]
    index = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)
    return z.gather(1, index[..., None].expand_as(z))
