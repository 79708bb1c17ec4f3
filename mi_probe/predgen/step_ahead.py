"""What the batches of an optimiser step have to know of each other, before the first.

One batch on one rank knows it all. Of several, the tokens that count, which hang on what
the model writes by itself, come first; and where losses are not joined by a sum, the losses
themselves, by one more pass without a graph.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mi_probe.predgen.loss_sums import Sums, sums_of
from mi_probe.predgen.systems import System
from mi_probe.predgen.writer import writer_tokens


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
