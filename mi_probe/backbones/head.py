"""Where the architecture's own classification head reads, for the pooling ``head``."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from mi_probe.backbones.backbone import Backbone

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
