"""The Predictor's head: one vector out of the states, then a linear map or a network."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.errors import check_known
from mi_probe.pooling import POOLINGS


class PooledHead(nn.Module):
    """Z_p = g(Z) and a map of it, linear or a network's: C logits, or a score.

    This is the representative use of a language model, of which the paper says that it
    throws information away: I(Y;Z_p) <= I(Y;Z). PredGen has it in place of its task
    adapter, on its answer's states, where the two are to have heads of one capacity.
    """

    def __init__(
        self,
        hidden_size: int,
        n_outputs: int,
        pooling: str = "last",
        *,
        width: int | None = None,
        seed: int = 0,
    ) -> None:
        """Make the head.

        Args:
            hidden_size: units of a state.
            n_outputs: classes, or 1.
            pooling: of `mi_probe.pooling.POOLINGS`.
            width: units of a hidden layer, which reads the normed vector; None: no such
                layer.
            seed: of the weights; the global random state is not touched.

        Raises:
            InputError: on an unknown pooling.
        """
        super().__init__()
        check_known("pooling", pooling, POOLINGS)
        self.pooling = pooling
        generator = torch.Generator().manual_seed(seed)
        self.inner: nn.Module = nn.Identity()
        with torch.random.fork_rng(devices=[]):  # their own first draws are replaced
            if width is not None:
                hidden = nn.Linear(hidden_size, width)
                self.inner = nn.Sequential(nn.LayerNorm(hidden_size), hidden, nn.GELU())
                nn.init.xavier_uniform_(hidden.weight, generator=generator)
                nn.init.zeros_(hidden.bias)
            self.linear = nn.Linear(width or hidden_size, n_outputs)
        nn.init.normal_(self.linear.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(
        self, states: Float[Tensor, "b t h"], mask: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b k"]:
        """The outputs for each row."""
        pooled = POOLINGS[self.pooling](states, mask)
        return self.linear(self.inner(pooled.to(self.linear.weight.dtype)))
