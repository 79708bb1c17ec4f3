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
    _, t, _ = tokens.values.shape
    place = torch.arange(t, device=tokens.lengths.device)
    last = tokens.lengths[:, None] - 1
    padding = (place > last)[..., None]
    standing = [place == 0, place == last, place / last.clamp(min=1) - 0.5]
    columns = torch.stack([column.expand(len(tokens), t) for column in standing], 2)
    values = torch.where(padding, 0.0, torch.cat([tokens.values, columns], 2))
    laid = torch.cat([values, padding, torch.ones_like(padding)], 2)
    return TokenInputs(laid, tokens.lengths)


def ends(tokens: TokenInputs | TokenCoordinates) -> Float[np.ndarray, "n k"]:
    """First, last and mean token of every row, side by side."""
    rows, q = torch.arange(len(tokens)), tokens.coordinates
    values, lengths = tokens.values[..., :q].cpu(), tokens.lengths.cpu()
    mean = values.sum(1, dtype=torch.float64) / lengths[:, None]
    return torch.cat([values[:, 0], values[rows, lengths - 1], mean], 1).numpy()
