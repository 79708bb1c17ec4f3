"""Losses as sums and counts: those of many batches are those of one that holds them all.

A mean over batches of means over tokens would give a token of a batch with few of them
more weight; and an alignment of each batch's two losses would be another objective for
each size of batch. So batches are summed, tokens and rows are counted, over all of an
optimiser step's batches and ranks, and the two losses are joined once.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float64
from torch import Tensor

from mi_probe.predgen.systems import System

Sums = Float64[Tensor, "4"]
"""The writer's nats, the tokens they are of, the director's losses, the rows of these."""


def sums_of(found: Mapping[str, Tensor]) -> Sums:
    """The sums of a batch, from what `System.forward` gives; without a graph."""
    tokens, rows = found["tokens"].double(), found["rows"].double()
    none = torch.zeros_like(rows)
    writer, director = (
        found[name].detach().double() if name in found else none
        for name in ("writer", "director")
    )
    return torch.stack([writer * tokens, tokens, director * rows, rows])


def means_of(sums: Sums) -> dict[str, Tensor]:
    """``writer`` and ``director``, a token and a row."""
    counts = sums[1::2].clamp(min=1)
    writer, director = (sums[::2] / counts).float()
    return {"writer": writer, "director": director}


def loss_of(system: System, sums: Sums) -> float:
    """The joint loss of what was summed."""
    with torch.no_grad():
        return float(system.join(**means_of(sums)))


def share_of_step(system: System, found: Mapping[str, Tensor], step: Sums) -> Tensor:
    """What a batch adds to the loss of its optimiser step, with the graph of the batch.

    Values and gradients of a step's batches add up to those of one batch that holds all
    of their rows.

    Args:
        system: that read the batch.
        found: what `System.forward` gave.
        step: the sums of all of the step's batches. Of these, an alignment that is
            affine needs the counts alone.
    """
    share = found["rows"] / step[3].float()
    parts = {"writer": torch.zeros_like(share), "director": torch.zeros_like(share)}
    if "writer" in found:
        parts["writer"] = found["writer"] * (found["tokens"] / step[1]).float()
    if "director" in found:
        parts["director"] = found["director"] * share
    if system.alignment is None:
        return system.join(**parts)
    if system.alignment.affine:
        weighed = {name: part / share for name, part in parts.items()}
        return share * system.join(**weighed)
    whole = means_of(step)
    # The values of the whole step, the gradient of this batch.
    joint = system.join(
        **{name: whole[name] + (part - part.detach()) for name, part in parts.items()}
    )
    return joint - (1 - share) * joint.detach()
