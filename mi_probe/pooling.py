"""Pooling: Z_p = g(Z), one vector an example.

Every pooling reads unmasked positions only, so padding never changes it. States in 16
bits are pooled in float32, because a mean of a thousand bfloat16 numbers is not one.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mi_probe.errors import InputError, check_known
from mi_probe.hidden import HiddenStates

Pooling = Callable[[Tensor, Tensor], Tensor]


def mean(values: Float[Tensor, "n t d"], mask: Bool[Tensor, "n t"]):
    """The average over unmasked positions."""
    # masked_fill and not a product: 0 * NaN is NaN, and pads may hold anything.
    kept = _wide(values).masked_fill(~mask.unsqueeze(-1), 0.0)
    return kept.sum(1) / mask.sum(1, keepdim=True)


def last(values: Float[Tensor, "n t d"], mask: Bool[Tensor, "n t"]):
    """The state at the last unmasked position."""
    steps = torch.arange(mask.shape[1], device=mask.device)
    return at(values, (steps * mask).argmax(1))


def first(values: Float[Tensor, "n t d"], mask: Bool[Tensor, "n t"]):
    """The state at the first unmasked position."""
    return at(values, mask.int().argmax(1))


def largest(values: Float[Tensor, "n t d"], mask: Bool[Tensor, "n t"]):
    """The largest value of each coordinate over unmasked positions."""
    return _wide(values).masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1)


POOLINGS: dict[str, Pooling] = {
    "mean": mean,
    "last": last,
    "first": first,
    "max": largest,
}


def at(
    values: Float[Tensor, "n t d"], positions: Int[Tensor, " n"]
) -> Float[Tensor, "n d"]:
    """The state at one given position an example."""
    rows = torch.arange(len(values), device=values.device)
    return _wide(values[rows, positions.to(values.device)])


def pool(
    z: HiddenStates, pooling: str, *, positions: Int[Tensor, " n"] | None = None
) -> Float[Tensor, "n d"]:
    """Z_p of one kind, in float32 (float64 states stay so).

    Args:
        z: the states.
        pooling: ``mean``, ``last``, ``first``, ``max`` or ``head``.
        positions: where the architecture's own classifier reads; only ``head`` needs
            them, and `head_positions` finds them.

    Raises:
        InputError: on an unknown pooling, an example without an unmasked position, or
            ``head`` without a position for each example.
    """
    check_known("pooling", pooling, (*POOLINGS, "head"))
    if pooling == "head":
        if positions is None:
            raise InputError(
                "positions must be given for pooling 'head', which needs more than the "
                "mask; got None. Take them from "
                "mi_probe.backbones.head.head_positions(backbone, token_ids)."
            )
        if bool((positions < 0).any()):
            raise InputError(
                "pooling 'head' must find the position that the architecture's "
                f"classifier reads; {int((positions < 0).sum())} of {len(z)} examples "
                "have none (no end-of-sequence token, a gold answer's token, learned "
                "virtual tokens in front, a head that averages, or a decoder that did "
                "not read the prompt). "
                "Use another pooling."
            )
        return at(z.values, positions)
    if not bool(z.mask.any(1).all()):
        raise InputError(
            "mask must leave each example a position; "
            f"{int((~z.mask.any(1)).sum())} of {len(z)} examples have none."
        )
    return POOLINGS[pooling](z.values, z.mask)


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
