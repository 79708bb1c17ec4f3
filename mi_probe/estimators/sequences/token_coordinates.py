r"""Tokens in a few coordinates of their own: projected once, without looking at Y.

A network that reads (n, t, d) learns d numbers for each feature of a token before it
learns anything else, from n labels. But there are n t tokens, and what is written in them
shows without labels: noise is Gaussian in every direction, a marker, a sign or a code is
not. So tokens are whitened in their leading principal directions (of columns scaled by
their middle half, so that what is rare and large stays so) and rotated to the eigenvectors
of

.. math:: E[\lVert u \rVert^2 u u^\top] - (r + 2) I

(r dimensions), which is 0 in a Gaussian direction, above 0 in one that is rarely active and
below 0 in one of several codes. Directions are scaled by how far they stand out, so that a
network learns from these first; none of the kept ones is lost.

The rows that are reported take part in it, their labels do not: given every x, the label of
a held-out row still follows p(y|x), so the bound stays one.

References:
    Cardoso 1989, Source separation using higher order moments (fourth-order blind
    identification).
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mi_probe.estimators.core.states import as_they_stand, chunk_rows, room_for
from mi_probe.hidden import HiddenStates
from mi_probe.scratch import let_go, on_disk, pieces

WIDTH = 24
"""Coordinates of a token that are kept, at most."""
_PRINCIPAL = 64
"""Leading principal directions that are looked at, at most."""
_SAMPLE = 120_000
"""Tokens that the directions are found from, at most."""
_SAMPLE_NUMBERS = 4 * 10**7
"""Numbers that these hold, at most."""
_FULL_LIMIT = 1024
"""Dimensions up to which the covariance is formed; above, subspace iteration."""
_ROUNDS = 4
_FLOOR = 0.1
"""Scale of a direction in which tokens look like noise."""
_QUANTILE_TOKENS = 4096
"""Tokens that the columns' quartiles are found from, at most."""
_SHUT = 1e-5
"""Spread of the middle half, in standard deviations, below which it says nothing."""
_NORMAL_MIDDLE = 1.349
"""Between the quartiles of a standard normal."""
_FAR = 10.0
"""Standard deviations at which a coordinate is cut: one massive activation is enough."""


@dataclass(frozen=True)
class TokenCoordinates:
    """Every row's real tokens, in order from the left, in a few coordinates."""

    values: Float[Tensor, "n t q"]
    """0 where a row has no more tokens."""
    lengths: Int[Tensor, " n"]
    room: np.ndarray | None = None
    """The array on the disk that the values are; None in memory."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def coordinates(self) -> int:
        """Coordinates of a token."""
        return self.values.shape[2]

    def to(self, device: str) -> "TokenCoordinates":
        """The same coordinates on another device."""
        values = self.values.to(device)
        room = self.room if values.is_cpu else None
        return TokenCoordinates(values, self.lengths.to(device), room)


def token_coordinates(z: HiddenStates, width: int = WIDTH) -> TokenCoordinates:
    """Project all tokens of Z; padding, holes in the mask and what they hold are left out.

    Z is read in chunks, in whatever precision it is held, and twice.
    """
    project = _directions(z, width)
    lengths = z.mask.sum(1).cpu()
    longest, q = int(lengths.max()), project.directions.shape[1]
    shape = (len(z), longest, q)
    room = room_for(z, shape)
    values = torch.zeros(shape) if room is None else torch.from_numpy(room)
    for rows in as_they_stand(z):
        u = project(_tokens(z, rows))
        front = torch.arange(longest)[None] < lengths[rows][:, None]
        part = torch.zeros(len(front), longest, q)
        # Real tokens come out row by row, in order: so they go in.
        part[front] = u.clamp(-_FAR, _FAR)
        values[rows] = part
        let_go([room])
    return TokenCoordinates(values, lengths, room)


def _tokens(z: HiddenStates, rows: slice | np.ndarray | Tensor) -> Float[Tensor, "m d"]:
    part = z[rows]
    return part.values[part.mask].float().cpu()


@dataclass(frozen=True)
class _Projection:
    """Tokens in coordinates: columns scaled and cut first, as directions are found."""

    centre: Float[Tensor, " d"]
    scale: Float[Tensor, " d"]
    shift: Float[Tensor, " d"]
    """The mean of what was scaled and cut."""
    directions: Float[Tensor, "d q"]

    def scaled(self, tokens: Float[Tensor, "m d"]) -> Float[Tensor, "m d"]:
        """Columns of about unit spread, no token far off in any of them."""
        cut = ((tokens - self.centre) * self.scale).clamp_(-_FAR, _FAR)
        return cut.sub_(self.shift)

    def __call__(self, tokens: Float[Tensor, "m d"]) -> Float[Tensor, "m q"]:
        """The tokens' coordinates."""
        return self.scaled(tokens) @ self.directions


def _directions(z: HiddenStates, width: int) -> _Projection:
    """The scaled directions that tokens are projected on."""
    tokens = _sample(z)
    centre, spread, varies = _middle(tokens)
    scale = torch.where(varies, 1 / spread.clamp(min=1e-30), 0.0)
    raw = _Projection(centre, scale, torch.zeros_like(centre), torch.zeros(len(centre), 1))
    shift = raw.scaled(tokens).mean(0)
    raw = replace(raw, shift=shift)
    tokens = raw.scaled(tokens)
    values, vectors = _principal(tokens)
    kept = values > 1e-6 * values[-1].clamp(min=1e-30)
    kept[: max(0, len(kept) - _PRINCIPAL)] = False
    if not kept.any():  # constant states
        return raw
    whitening = (vectors[:, kept] / values[kept].sqrt()).float()
    u = tokens @ whitening
    r = u.shape[1]
    # Cut as the coordinates are, so that a few massive tokens do not decide alone.
    u = u.clamp(-_FAR, _FAR)
    excess = (u * u.square().sum(1, keepdim=True)).T @ u / len(u)
    excess -= (r + 2) * torch.eye(r)
    strength, rotation = torch.linalg.eigh((excess + excess.T) / 2)
    order = strength.abs().argsort(descending=True)
    strength, rotation = strength.abs()[order], rotation[:, order]
    noise = 1.5 * strength.median()
    outstanding = ((strength - noise) / (noise + 0.3)).clamp(0, 1)
    weights = _FLOOR + (1 - _FLOOR) * outstanding
    if float(outstanding.max()) == 0:
        weights = torch.ones_like(weights)
    return replace(raw, directions=(whitening @ (rotation * weights))[:, :width])


def _middle(
    tokens: Float[Tensor, "m d"],
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"], Bool[Tensor, " d"]]:
    """Middle and spread of columns, and which vary.

    By their quartiles, so that what is rare and large stays large: by its standard
    deviation a marker on a column of its own would be as loud as noise. Where the middle
    half hardly varies, as in a gate that is nearly always shut, by mean and deviation.
    """
    usual = tokens[:: max(1, len(tokens) // _QUANTILE_TOKENS)]
    low, median, high = torch.quantile(usual, torch.tensor([0.25, 0.5, 0.75]), dim=0)
    middle = (high - low) / _NORMAL_MIDDLE
    mean = tokens.mean(0)
    deviation = (tokens - mean).std(0, correction=0)
    varies = deviation > 1e-6 * mean.abs().clamp(min=1e-30)
    by_quartiles = middle > _SHUT * deviation
    centre = torch.where(by_quartiles, median, mean)
    return centre, torch.where(by_quartiles, middle, deviation), varies


def _principal(
    tokens: Float[Tensor, "m d"],
) -> tuple[Float[Tensor, " k"], Float[Tensor, "d k"]]:
    """Variances, smallest first, and directions of centred tokens; leading ones of many."""
    m, d = tokens.shape
    if d <= _FULL_LIMIT:
        return torch.linalg.eigh((tokens.T @ tokens).double() / m)
    draw = torch.Generator().manual_seed(0)
    block = torch.randn(d, 2 * _PRINCIPAL, generator=draw)
    for _ in range(_ROUNDS):
        block = torch.linalg.qr(tokens.T @ (tokens @ block))[0]
    scores = tokens @ block
    values, rotation = torch.linalg.eigh((scores.T @ scores).double() / m)
    return values, block.double() @ rotation


def _sample(z: HiddenStates) -> Float[Tensor, "m d"]:
    """Tokens of evenly spread rows."""
    wanted = min(_SAMPLE, _SAMPLE_NUMBERS // z.shape[2])
    step = max(1, int(z.mask.sum()) // max(1, wanted))
    rows = torch.arange(0, len(z), step)
    return torch.cat([_tokens(z, part) for part in rows.split(chunk_rows(z))])


PLACES = 3
"""Columns of where a token stands: first, last, and the share of the way."""
MARKS = 2
"""Columns behind them: padding, and 1."""


@dataclass(frozen=True)
class TokenInputs:
    """Every row's tokens as columns that networks read, and how many are real.

    Everything that does not depend on weights is laid out once for all rows. Two columns
    save passes over every token of every step: a 1, whose weights are the bias, and one
    that marks padding, whose weight is so low that nothing of it comes through.
    """

    values: Float[Tensor, "n t k"]
    """Coordinates, `PLACES`, `MARKS`; coordinates are 0 in padding."""
    lengths: Int[Tensor, " n"]
    room: np.ndarray | None = None
    """The array on the disk that the values are; None in memory."""

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def coordinates(self) -> int:
        """Columns of coordinates."""
        return self.values.shape[2] - PLACES - MARKS

    def batch(
        self, rows: Int[Tensor, "m b"]
    ) -> tuple[Float[Tensor, "m s b k"], Int[Tensor, "m b"]]:
        """The tokens of these rows, time before rows, cut to the longest; and lengths.

        Sums and maxima over tokens then run over whole rows of numbers.
        """
        lengths = self.lengths[rows]
        _, t, k = self.values.shape
        steps = torch.arange(int(lengths.max()), device=lengths.device)
        places = rows[:, None] * t + steps[:, None]
        flat = self.values.flatten(0, 1).index_select(0, places.flatten())
        return flat.view(*places.shape, k), lengths


def token_inputs(tokens: TokenCoordinates) -> TokenInputs:
    """Lay out all rows; what padding holds is never read."""
    if tokens.room is None:
        return TokenInputs(_laid(tokens.values, tokens.lengths), tokens.lengths)
    n, t, q = tokens.values.shape
    room = on_disk((n, t, q + PLACES + MARKS))
    for rows in pieces(tokens.room):
        room[rows] = _laid(tokens.values[rows], tokens.lengths[rows]).numpy()
        let_go([tokens.room, room])
    return TokenInputs(torch.from_numpy(room), tokens.lengths, room)


def _laid(
    values: Float[Tensor, "n t q"], lengths: Int[Tensor, " n"]
) -> Float[Tensor, "n t k"]:
    n, t, _ = values.shape
    place = torch.arange(t, device=lengths.device)
    last = lengths[:, None] - 1
    padding = (place > last)[..., None]
    standing = [place == 0, place == last, place / last.clamp(min=1) - 0.5]
    columns = torch.stack([column.expand(n, t) for column in standing], 2)
    values = torch.where(padding, 0.0, torch.cat([values, columns], 2))
    return torch.cat([values, padding, torch.ones_like(padding)], 2)


def ends(tokens: TokenInputs | TokenCoordinates) -> Float[np.ndarray, "n k"]:
    """First, last and mean token of every row, side by side."""
    found, q = [], tokens.coordinates
    for part in pieces(tokens.values if tokens.room is None else tokens.room):
        values, lengths = tokens.values[part, :, :q].cpu(), tokens.lengths[part].cpu()
        rows = torch.arange(len(values))
        mean = values.sum(1, dtype=torch.float64) / lengths[:, None]
        found.append(torch.cat([values[:, 0], values[rows, lengths - 1], mean], 1))
        let_go([tokens.room])
    return torch.cat(found).numpy()
