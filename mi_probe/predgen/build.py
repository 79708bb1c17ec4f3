"""A system out of a backbone and a design, and the head that the Predictor has."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.backbones import Backbone
from mi_probe.errors import check_known
from mi_probe.pooling import POOLINGS
from mi_probe.predgen.alignment import ALIGNMENTS
from mi_probe.predgen.design import Design
from mi_probe.predgen.director import DIRECTORS, LogitsAdapter, TaskAdapter, cross_entropy
from mi_probe.predgen.systems import System


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


WIDTH = 256
"""Units of a head's hidden layer."""


def build_system(backbone: Backbone, design: Design, *, seed: int = 0) -> System:
    """The system, with a new head.

    Args:
        backbone: with its PEFT method on.
        design: what goes on it.
        seed: of the head's first weights; the global random state is not touched.

    Raises:
        InputError: if the model cannot follow the objective.
    """
    head = _head(backbone, design, seed)
    predgen = design.objective == "predgen"
    alignment = ALIGNMENTS[design.alignment]() if predgen else None
    director: Callable[[Tensor, Tensor], Tensor] = DIRECTORS[design.director]
    if design.class_weights is not None:
        director = partial(cross_entropy, weights=torch.tensor(design.class_weights))
    system = System(backbone, design, head=head, alignment=alignment, director=director)
    for part in (head, alignment):
        if part is not None:
            part.to(backbone.device)
    return system


def _head(backbone: Backbone, design: Design, seed: int) -> nn.Module | None:
    size, n = backbone.hidden_size, design.n_outputs
    width = WIDTH if design.head == "network" else None
    if design.objective == "predictor":
        return PooledHead(size, n, design.pooling, width=width, seed=seed)
    if design.objective == "generator":
        return None
    if design.head != "own":
        return PooledHead(size, n, "mean", width=width, seed=seed)
    if design.adapter == "logits":
        vocabulary = backbone.base.config.get_text_config(decoder=True).vocab_size
        return LogitsAdapter(vocabulary, n, seed=seed)
    return TaskAdapter(size, n, width=WIDTH, seed=seed)
