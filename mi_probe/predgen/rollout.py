"""The model's own answers in training: written from the prompt, or mixed into gold.

Two ways to let a model read its own tokens in place of gold ones:

- *Whole answers*, as in PredGen's published code: one coin a batch (`batch_coin`), and
  where it says so `roll_out` writes the answer from the prompt.
- *Single tokens in two passes*, after Mihaylova and Martins 2019,
  https://arxiv.org/abs/1906.07651: `predict_answer` gives the model's token at every place
  of the answer, each after the gold tokens before it, and `mix_tokens` replaces some of the
  gold ones by them. One more forward, whatever the answer's length; but the token put in
  at place t followed gold, not the tokens put in before t.

Neither keeps a graph, changes the model's mode or draws from the global generator. Both
move the padding of prompts to where the model bears it, so it may come on either side.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from mi_probe.capture.forward import evaluating
from mi_probe.errors import InputError

AnyMask = Bool[Tensor, "b t"] | Int[Tensor, "b t"]
_CACHES = ("cache", "past_key_values", "cache_params")
"""Names of the cache, as argument and as output; transformers 5.24 renamed it."""


def roll_out(
    model: nn.Module,
    input_ids: Int[Tensor, "b t"],
    attention_mask: AnyMask,
    *,
    max_new_tokens: int,
    eos_id: int | Sequence[int] | None,
    pad_id: int,
    sample: bool = False,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    decoder_start: int | None = None,
) -> tuple[Int[Tensor, "b m"], Bool[Tensor, "b m"]]:
    """Answers that the model writes by itself, with its key-value cache.

    The model's ``generation_config`` is not read: no penalty, no forced token, no beam.
    Every rank that shares a model must make the same number of forwards under FSDP or
    ZeRO-3: give ``eos_id=None`` there, which writes ``max_new_tokens`` tokens always.

    Args:
        model: a causal language model or an encoder-decoder with its language-model head,
            of Hugging Face, wrapped by PEFT or not.
        input_ids: the prompts.
        attention_mask: True or 1 at their real tokens.
        max_new_tokens: tokens an answer at most.
        eos_id: the token, or tokens, that end an answer; None never to stop.
        pad_id: what follows the end.
        sample: draw each token instead of taking the most probable one.
        temperature: of the draw; 1 is the model's own distribution.
        generator: for the draws, on any device.
        decoder_start: the token with which an encoder-decoder begins to write; None for
            its configuration's.

    Returns:
        The tokens, the end token included, and True where there is one. As many columns as
        the longest answer has.

    Raises:
        InputError: on a prompt without a token, no token to write, a draw without a
            generator or at a temperature that is not above 0, or an encoder-decoder
            without a start token.
    """
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens must be 1 or more; got {max_new_tokens}.")
    ends = torch.tensor(
        [] if eos_id is None else [eos_id] if isinstance(eos_id, int) else list(eos_id),
        dtype=torch.long,
        device=input_ids.device,
    )
    draw = _Draw(sample, temperature, generator)
    tokens, mask = [], []
    alive = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    with torch.no_grad(), evaluating(model):
        reader = _Reader(model, input_ids, attention_mask, decoder_start)
        token = draw(reader.open())
        while True:
            tokens.append(token.masked_fill(~alive, pad_id))
            mask.append(alive)
            alive = alive & ~torch.isin(token, ends)
            if len(tokens) == max_new_tokens or (len(ends) and not bool(alive.any())):
                break
            token = draw(reader.after(tokens[-1]))
    return torch.stack(tokens, 1), torch.stack(mask, 1)


def predict_answer(
    model: nn.Module,
    input_ids: Int[Tensor, "b t"],
    attention_mask: AnyMask,
    answer_ids: Int[Tensor, "b m"],
    answer_mask: Bool[Tensor, "b m"] | Int[Tensor, "b m"],
    *,
    sample: bool = False,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    decoder_start: int | None = None,
) -> Int[Tensor, "b m"]:
    """The model's token at each place of a gold answer, after the gold tokens before it.

    The first pass of mixing by tokens. Place t of the result stands for place t of the
    answer: it is read off the logits one position earlier.

    Args:
        model: as for `roll_out`.
        input_ids: the prompts.
        attention_mask: True or 1 at their real tokens.
        answer_ids: the gold answers, padded on the right.
        answer_mask: True or 1 at their real tokens.
        sample: draw each token instead of taking the most probable one.
        temperature: of the draw.
        generator: for the draws.
        decoder_start: as for `roll_out`.

    Returns:
        The tokens; at padding, what the answers hold there.

    Raises:
        InputError: as `roll_out`.
    """
    draw = _Draw(sample, temperature, generator)
    answer_mask = answer_mask.bool()
    with torch.no_grad(), evaluating(model):
        reader = _Reader(model, input_ids, attention_mask, decoder_start)
        logits = reader.along(answer_ids, answer_mask)
    return torch.where(answer_mask, draw(logits), answer_ids)


def mix_tokens(
    gold: Int[Tensor, "b m"],
    own: Int[Tensor, "b m"],
    mask: Bool[Tensor, "b m"] | Int[Tensor, "b m"],
    probability: float,
    generator: torch.Generator,
) -> Int[Tensor, "b m"]:
    """Gold answers in which each real token is the model's own with a probability.

    Args:
        gold: the answers.
        own: what `predict_answer` gave for them.
        mask: True or 1 at the answers' real tokens; nothing else is replaced.
        probability: of the model's own token, each on its own coin.
        generator: for the coins, on any device.
    """
    coins = torch.rand(gold.shape, generator=generator, device=generator.device)
    return torch.where(mask.bool() & (coins < probability).to(gold.device), own, gold)


def batch_coin(probability: float, step: int, seed: int) -> bool:
    """True with a probability: the model's own answers in this step.

    A function of the optimiser's step and the seed, so that every rank, and every
    micro-batch of the step, and a resumed training, sees the same side.
    """
    draw = np.random.default_rng(np.random.SeedSequence([seed, step])).random()
    return bool(draw < probability)


class _Draw:
    """Logits (..., v) to tokens (...)."""

    def __init__(
        self, sample: bool, temperature: float, generator: torch.Generator | None
    ) -> None:
        if sample and generator is None:
            raise InputError(
                "a generator must be given to sample; got None. "
                "Pass torch.Generator().manual_seed(seed)."
            )
        if sample and temperature <= 0:
            raise InputError(
                f"temperature must be above 0; got {temperature}. "
                "For the most probable token, do not sample."
            )
        self.generator = generator if sample else None
        self.temperature = temperature

    def __call__(self, logits: Float[Tensor, "*shape v"]) -> Int[Tensor, "*shape"]:
        if self.generator is None:
            return logits.argmax(-1)
        p = (logits.float() / self.temperature).softmax(-1).to(self.generator.device)
        drawn = torch.multinomial(p.flatten(0, -2), 1, generator=self.generator)
        return drawn.view(logits.shape[:-1]).to(logits.device)


class _Reader:
    """A model that reads a prompt, then an answer, and says what may come next."""

    def __init__(
        self,
        model: nn.Module,
        input_ids: Tensor,
        attention_mask: Tensor,
        decoder_start: int | None,
    ) -> None:
        base: Any = model.get_base_model() if isinstance(model, PeftModel) else model
        self.model = model
        self.known = inspect.signature(base.forward).parameters
        self.is_pair = bool(base.config.is_encoder_decoder)
        mask = attention_mask.bool()
        if not bool(mask.any(1).all()):
            raise InputError(
                "attention_mask must leave each prompt a token; "
                f"{int((~mask.any(1)).sum())} of {len(mask)} prompts have none."
            )
        # A stable sort by the mask moves pads to one end and keeps the order of the rest.
        order = mask.long().argsort(dim=1, descending=self.is_pair, stable=True)
        input_ids, mask = input_ids.gather(1, order), mask.gather(1, order)
        self.prompt: dict[str, Any] = {}
        """What an encoder reads."""
        self.opening, self.opening_mask = input_ids, mask
        """What is read before the answer's first token."""
        if self.is_pair:
            self.prompt = {"input_ids": input_ids, "attention_mask": mask.long()}
            start = _start(base, decoder_start)
            self.opening = torch.full_like(input_ids[:, :1], start)
            self.opening_mask = torch.ones_like(self.opening, dtype=torch.bool)
        self.tokens, self.mask = self.opening[:, :0], self.opening_mask[:, :0]
        self.cache: Any = None

    def open(self) -> Float[Tensor, "b v"]:
        """Logits of the answer's first token."""
        return self._read(self.opening, self.opening_mask, keep=1)[:, -1]

    def after(self, token: Int[Tensor, " b"]) -> Float[Tensor, "b v"]:
        """Logits of the token that follows one more."""
        new = token[:, None]
        return self._read(new, torch.ones_like(new, dtype=torch.bool), keep=1)[:, -1]

    def along(self, answer: Tensor, mask: Tensor) -> Float[Tensor, "b m v"]:
        """Logits of every token of an answer, each after those before it."""
        tokens = torch.cat([self.opening, answer[:, :-1]], 1)
        mask = torch.cat([self.opening_mask, mask[:, :-1]], 1)
        return self._read(tokens, mask, keep=answer.shape[1], use_cache=False)

    def _read(self, tokens: Tensor, mask: Tensor, keep: int, use_cache: bool = True):
        """Logits at the last positions, having read some more."""
        self.tokens = torch.cat([self.tokens, tokens], 1)
        self.mask = torch.cat([self.mask, mask], 1)
        new = self.tokens if self.cache is None else tokens
        # Answers are padded on the right, where a decoder's causal mask suffices.
        inputs = {**self.prompt, "decoder_input_ids" if self.is_pair else "input_ids": new}
        if not self.is_pair:
            inputs["attention_mask"] = self.mask.long()
            if "position_ids" in self.known:
                places = (self.mask.long().cumsum(1) - 1).clamp(min=0)
                inputs["position_ids"] = places[:, -new.shape[1] :]
        if "logits_to_keep" in self.known:
            inputs["logits_to_keep"] = keep
        if "use_cache" in self.known:
            inputs["use_cache"] = use_cache
        name = next((name for name in _CACHES if name in self.known), None)
        if name and self.cache is not None:
            inputs[name] = self.cache
        output = self.model(**inputs)
        if name and use_cache:
            self.cache = output.get(name)
        if self.is_pair and "encoder_outputs" not in self.prompt:
            states = BaseModelOutput(last_hidden_state=output.encoder_last_hidden_state)
            self.prompt = {
                "encoder_outputs": states,
                "attention_mask": self.prompt["attention_mask"],
            }
        return output.logits[:, -keep:]


def _start(base: Any, given: int | None) -> int:
    """The token with which an encoder-decoder begins to write."""
    start = base.config.decoder_start_token_id if given is None else given
    if start is None:
        raise InputError(
            "decoder_start must be given, or decoder_start_token_id set in the model's "
            "configuration; got neither."
        )
    return int(start)
