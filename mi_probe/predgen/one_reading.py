"""Answers written and read after one reading of their prompt.

A roll-out and the pass that learns would each read the prompt, which is most of the work;
a validation would read it three times. Here it is read once, with its graph where there is
one: an answer is written from that reading's key-value cache without a graph, the cache is
put back as it was, and the whole answer, or another one, is read from it with a graph.
Losses and gradients are those of two readings, but for rounding
(tests/predgen/test_one_reading.py).
"""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from transformers.cache_utils import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

from mi_probe.predgen.reader import CACHES, Reader, Writing


class AnswerRead(NamedTuple):
    """What one pass over an answer gives."""

    before: Float[Tensor, "b m v"]
    """The logits that predict each token."""
    after: Float[Tensor, "b m v"]
    """The logits that each token predicts the next one by."""
    states: Float[Tensor, "b m h"]
    """The last states of the tokens."""


class ReadPrompt:
    """Prompts that have been read, after which answers are written and read.

    Only for a model for which `can_read_once` is true.
    """

    def __init__(
        self,
        model: nn.Module,
        ids: Int[Tensor, "b n"],
        mask: Bool[Tensor, "b n"],
    ) -> None:
        """Read the prompts; ``mask`` is true at real tokens."""
        self.reader = Reader(model, ids, mask, None)
        self.first = self.reader.open()
        """Logits (b, v) of an answer's first token."""
        # A layer of the cache never writes into a tensor: a shallow copy keeps it.
        self._layers = [dict(vars(layer)) for layer in self.reader.cache.layers]
        self._read = self.reader.tokens, self.reader.mask

    def write(self, writing: Writing) -> tuple[Int[Tensor, "b m"], Bool[Tensor, "b m"]]:
        """Answers of the model's own, without a graph; True where there is a token."""
        self._go_back()
        with torch.no_grad():
            return writing.written(self.reader, self.first.detach())

    def answer(self, tokens: Int[Tensor, "b m"], mask: Bool[Tensor, "b m"]) -> AnswerRead:
        """The pass over an answer to each prompt."""
        self._go_back()
        after = self.reader.answer(tokens, mask)
        states = self.reader.states
        assert states is not None
        before = torch.cat([self.first[:, None], after[:, :-1]], 1)
        return AnswerRead(before, after, states)

    def _go_back(self) -> None:
        for layer, kept in zip(self.reader.cache.layers, self._layers, strict=True):
            vars(layer).update(kept)
        self.reader.tokens, self.reader.mask = self._read


def can_read_once(model: nn.Module, *, training: bool = True) -> bool:
    """Whether one reading can stand for two.

    Not with dropout in training, which is off while an answer is written; not with gradient
    checkpointing, which keeps no cache; not for an encoder-decoder, or a model whose memory
    is not a list of keys and values.
    """
    base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    if (
        base.config.is_encoder_decoder
        or (training and any(rate > 0 for rate in _dropouts(model, base.config)))
        or any(getattr(m, "gradient_checkpointing", False) for m in model.modules())
        or not {*CACHES} & {*inspect.signature(base.forward).parameters}
    ):
        return False
    layers = DynamicCache(config=base.config.get_text_config()).layers
    # Layers of a state write into it; those of a window keep what they had.
    kinds = (DynamicLayer, DynamicSlidingWindowLayer)
    return bool(layers) and all(type(layer) in kinds for layer in layers)


def _dropouts(model: nn.Module, config: Any) -> Iterator[float]:
    """The rates of what is dropped: by modules, or by functions that ask them for it.

    A configuration names more of them: of heads that the model has not, or of tokens.
    """
    for module in model.modules():
        if isinstance(module, _DropoutNd):
            yield module.p
        for name, value in vars(module).items():
            if "drop" in name and isinstance(value, float):
                yield value
    for name in ("dropout", "layerdrop"):  # some functions read these there
        value = getattr(config.get_text_config(), name, 0.0)
        yield value if isinstance(value, float) else 0.0
