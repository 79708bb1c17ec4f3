"""The Predictor's head: one vector out of the states, then a linear map."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.errors import InputError
from mi_probe.pooling import POOLINGS


class PooledHead(nn.Module):
    """Z_p = g(Z) and a linear map of it: C logits, or a score.

    This is the representative use of a language model, of which the paper says that it
    throws information away: I(Y;Z_p) <= I(Y;Z).
    """

    def __init__(
        self, hidden_size: int, n_outputs: int, pooling: str = "last", *, seed: int = 0
    ) -> None:
        """Make the head.

        Args:
            hidden_size: units of a state.
            n_outputs: classes, or 1.
            pooling: of `mi_probe.pooling.POOLINGS`.
            seed: of the weights; the global random state is not touched.

        Raises:
            InputError: on an unknown pooling.
        """
        super().__init__()
        if pooling not in POOLINGS:
            raise InputError(
                f"pooling must be one of {', '.join(POOLINGS)}; got '{pooling}'."
            )
        self.pooling = pooling
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):  # its own first draw is replaced
            self.linear = nn.Linear(hidden_size, n_outputs)
        nn.init.normal_(self.linear.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(
        self, states: Float[Tensor, "b t h"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b k"]:
        """The outputs for each row."""
        pooled = POOLINGS[self.pooling](states, mask)
        return self.linear(pooled.to(self.linear.weight.dtype))
