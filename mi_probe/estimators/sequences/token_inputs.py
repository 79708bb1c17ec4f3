"""What evidence networks read: coordinates of tokens and where these stand, time first.

Everything that does not depend on weights is laid out once for all rows. Two columns save
passes over every token of every step: a 1, whose weights are the bias, and one that marks
padding, whose weight is so low that nothing of it comes through.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.sequences.token_coordinates import TokenCoordinates
from mi_probe.scratch import let_go, on_disk, pieces

PLACES = 3
"""Columns of where a token stands: first, last, and the share of the way."""
MARKS = 2
"""Columns behind them: padding, and 1."""


@dataclass(frozen=True)
class TokenInputs:
    """Every row's tokens as columns that networks read, and how many are real."""

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
