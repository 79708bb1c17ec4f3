"""Pooling: Z_p = g(Z), one vector an example.

Every pooling reads unmasked positions only, so padding never changes it. States in 16
bits are pooled in float32, because a mean of a thousand bfloat16 numbers is not one.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mi_probe.backbones import Backbone
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
                "mask; got None. Take them from head_positions(backbone, token_ids)."
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


HeadRule = Literal["last_not_pad", "first", "last_eos", "none"]


def head_rule(backbone: Backbone) -> HeadRule:
    """Which position the architecture's ...ForSequenceClassification head reads.

    ``none`` where it reads no single token: a head that averages, or a prompt-tuned
    model, whose classifier reads a virtual token or a pad.
    """
    config = backbone.base.config
    if backbone.n_virtual_tokens:
        return "none"
    if backbone.kind == "encoder-decoder":
        return "last_eos"
    if backbone.kind == "decoder":
        return "last_not_pad"
    return "first" if getattr(config, "classifier_pooling", "cls") == "cls" else "none"


def head_positions(
    backbone: Backbone, token_ids: Sequence[Sequence[int]]
) -> Int[Tensor, " n"]:
    """Where the architecture's own classification head reads; -1 where nowhere.

    Decoders: the right-most token whose id is not ``config.pad_token_id``. That is not
    the last unmasked one: where the pad token doubles as the end-of-sequence token and
    a text ends with it, the head reads the token *before* the end, and so does this.
    Encoders: the first token. Encoder-decoders: the position of the input's last
    end-of-sequence token, in a decoder that reads the input shifted right by one.

    Args:
        backbone: the model whose rule is wanted.
        token_ids: the input's ids, an example a sequence, without padding.
    """
    rule, config = head_rule(backbone), backbone.base.config
    # Some configurations (CodeGen, RWKV) have no such entry at all.
    pad = getattr(config.get_text_config(), "pad_token_id", None)
    end = getattr(config, "eos_token_id", None)
    rules: dict[str, Callable[[Sequence[int]], int]] = {
        "none": lambda ids: -1,
        "first": lambda ids: 0,
        # An example of nothing but pads: the head's argmax over zeros gives 0.
        "last_not_pad": lambda ids: max(_last(ids, pad, equal=False), 0),
        "last_eos": lambda ids: _last(ids, end, equal=True),
    }
    return torch.tensor([rules[rule](ids) for ids in token_ids], dtype=torch.long)


def _last(ids: Sequence[int], token: int | None, *, equal: bool) -> int:
    hits = [i for i, one in enumerate(ids) if (one == token) is equal]
    return hits[-1] if hits else -1


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()
