"""A system out of a backbone and a design."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from mi_probe.backbones import Backbone
from mi_probe.predgen.alignment import ALIGNMENTS
from mi_probe.predgen.design import Design
from mi_probe.predgen.director import (
    DIRECTORS,
    LogitsAdapter,
    TaskAdapter,
    cross_entropy,
)
from mi_probe.predgen.heads import PooledHead
from mi_probe.predgen.systems import System

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
