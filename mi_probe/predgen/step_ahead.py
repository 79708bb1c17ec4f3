"""Losses as sums and counts, and what a step's batches know of each other before the first.

A mean over batches of means over tokens would give a token of a batch with few of them
more weight; and an alignment of each batch's two losses would be another objective for
each size of batch. So batches are summed, tokens and rows are counted, over all of an
optimiser step's batches and ranks, and the two losses are joined once: those of many
batches are those of one that holds them all.

One batch on one rank knows it all. Of several, the tokens that count, which hang on what
the model writes by itself, come first; and where losses are not joined by a sum, the losses
themselves, by one more pass without a graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from mi_probe.predgen.systems import System
from mi_probe.predgen.writer import writer_tokens

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


@dataclass(frozen=True)
class Step:
    """What is known of an optimiser step before its first batch is learned from."""

    longest: int = 0
    """Tokens of the longest right answer."""
    sums: Sums | None = None
    """Of all its batches; None where there is one."""
    fed: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Own answers, by batch, where they are written already."""


def longest_answer(batches: Sequence[Mapping[str, Tensor]]) -> int:
    """Tokens of the longest right answer, its end included."""
    return max((b["answer_ids"].shape[1] for b in batches if "answer_ids" in b), default=0)


def sums_ahead(
    system: System,
    batches: Sequence[dict[str, Tensor]],
    fed: Mapping[int, dict[str, Any]],
) -> Sums:
    """The sums of a step's batches: the counts alone, where no more is asked for.

    Args:
        system: in training mode. What it drops is drawn again afterwards.
        batches: as `collate` made them.
        fed: own answers, by batch, that are read in place of the right ones.
    """
    device = batches[0]["labels"].device
    alignment, found = system.alignment, []
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        for i, batch in enumerate(batches):
            if alignment is None or alignment.affine:
                counts = 0, _tokens(system, batch, fed[i]), 0, len(batch["labels"])
                found.append(torch.tensor(counts, dtype=torch.float64, device=device))
            else:
                found.append(sums_of(system(**batch, **fed[i])))
    return torch.stack(found).sum(0)


def _tokens(system: System, batch: dict[str, Tensor], fed: Mapping[str, Any]) -> int:
    if system.objective == "predictor":
        return 0
    masks = batch["prompt_mask"], batch["answer_mask"], fed.get("fed_mask")
    return int(writer_tokens(*masks, prompts=system.design.loss_on == "all"))
