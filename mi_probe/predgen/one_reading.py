"""The model writes its own answer, and learns from it, after one reading of the prompt.

A roll-out and the pass that learns would each read the prompt, which is most of the work.
Here the prompt is read once, with its graph: the answer is written from that reading's
key-value cache without a graph, the cache is put back as it was, and the whole answer is
read from it with a graph. Losses and gradients are those of two readings, but for rounding
(tests/predgen/test_one_reading.py).
"""

import inspect
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from mi_probe.predgen.reader import CACHES, Reader, Writing


class OwnReading(NamedTuple):
    """An answer of the model's own, and what one pass over it gives."""

    tokens: Int[Tensor, "b m"]
    mask: Bool[Tensor, "b m"]
    before: Float[Tensor, "b m v"]
    """The logits that predict each token."""
    after: Float[Tensor, "b m v"]
    """The logits that each token predicts the next one by."""
    states: Float[Tensor, "b m h"]
    """The last states of the tokens."""


def can_read_once(model: nn.Module) -> bool:
    """Whether one reading can stand for two.

    Not with dropout, which is off while an answer is written; not with gradient
    checkpointing, which keeps no cache; not for an encoder-decoder, or a model whose memory
    is not a list of keys and values.
    """
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    config = base.config.get_text_config()
    rates = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
    # Some models keep the rates of functional dropout, or of left out layers, here alone.
    rates += [value for name, value in config.to_dict().items() if "drop" in name]
    if (
        base.config.is_encoder_decoder
        or any(rates)
        or any(getattr(m, "gradient_checkpointing", False) for m in model.modules())
        or not {*CACHES} & {*inspect.signature(base.forward).parameters}
    ):
        return False
    layers = DynamicCache(config=config).layers
    # Layers of a window, or of a state, forget what a step back would need.
    return bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def read_own(
    model: nn.Module,
    prompt_ids: Int[Tensor, "b n"],
    prompt_mask: Bool[Tensor, "b n"],
    writing: Writing,
) -> OwnReading:
    """Write an answer to each prompt and read it, with a graph.

    Args:
        model: a decoder, for which `can_read_once` is true.
        prompt_ids: the prompts.
        prompt_mask: true at real tokens.
        writing: how the answers are written.
    """
    reader = Reader(model, prompt_ids, prompt_mask, None)
    first = reader.open()
    layers = reader.cache.layers
    read = [(layer.keys, layer.values) for layer in layers]
    tokens, mask = reader.tokens, reader.mask
    with torch.no_grad():
        written, there = writing.written(reader, first.detach())
    for layer, (keys, values) in zip(layers, read, strict=True):
        layer.keys, layer.values = keys, values
    reader.tokens, reader.mask = tokens, mask
    after = reader.answer(written, there)
    assert reader.states is not None
    before = torch.cat([first[:, None], after[:, :-1]], 1)
    return OwnReading(written, there, before, after, reader.states)
