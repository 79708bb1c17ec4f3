"""A model that reads a prompt and then writes, or reads, an answer to it."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from peft import PeftModel
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from mi_probe.errors import InputError

CACHES = ("cache", "past_key_values", "cache_params")
"""Names of the cache, as argument and as output; transformers 5.24 renamed it."""


class Draw:
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
        """The likeliest tokens, or drawn ones."""
        if self.generator is None:
            return logits.argmax(-1)
        p = (logits.float() / self.temperature).softmax(-1).to(self.generator.device)
        drawn = torch.multinomial(p.flatten(0, -2), 1, generator=self.generator)
        return drawn.view(logits.shape[:-1]).to(logits.device)


class Reader:
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
            start = start_token(base, decoder_start)
            self.opening = torch.full_like(input_ids[:, :1], start)
            self.opening_mask = torch.ones_like(self.opening, dtype=torch.bool)
        self.tokens, self.mask = self.opening[:, :0], self.opening_mask[:, :0]
        self.cache: Any = None
        self.states: Tensor | None = None
        """The last reading's (b, t, h), where they are asked for."""

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

    def answer(self, tokens: Tensor, mask: Tensor) -> Float[Tensor, "b m v"]:
        """Logits at each token of an answer, read at once; its states are kept."""
        return self._read(tokens, mask, keep=tokens.shape[1], states=True)

    def _read(
        self,
        tokens: Tensor,
        mask: Tensor,
        keep: int,
        use_cache: bool = True,
        states: bool = False,
    ) -> Tensor:
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
        name = next((name for name in CACHES if name in self.known), None)
        if name and self.cache is not None:
            inputs[name] = self.cache
        output = self.model(**inputs, **({"output_hidden_states": True} if states else {}))
        self.states = output.hidden_states[-1] if states else None
        if name and use_cache:
            self.cache = output.get(name)
        if self.is_pair and "encoder_outputs" not in self.prompt:
            encoded = BaseModelOutput(last_hidden_state=output.encoder_last_hidden_state)
            self.prompt = {
                "encoder_outputs": encoded,
                "attention_mask": self.prompt["attention_mask"],
            }
        return output.logits[:, -keep:]


@dataclass(frozen=True)
class Writing:
    """How answers are written, token after token.

    Raises:
        InputError: for no token to write.
    """

    max_new_tokens: int
    eos_id: int | Sequence[int] | None
    """The token, or tokens, that end an answer; None never to stop."""
    pad_id: int
    draw: Draw

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise InputError(
                f"max_new_tokens must be 1 or more; got {self.max_new_tokens}."
            )

    def written(
        self, reader: Reader, logits: Float[Tensor, "b v"]
    ) -> tuple[Int[Tensor, "b m"], Bool[Tensor, "b m"]]:
        """Tokens, the end included, and True where there is one.

        Args:
            reader: has read the prompt.
            logits: of the first token.
        """
        end, device = self.eos_id, logits.device
        ends = [] if end is None else [end] if isinstance(end, int) else list(end)
        stops = torch.tensor(ends, dtype=torch.long, device=device)
        alive = torch.ones(len(logits), dtype=torch.bool, device=device)
        tokens, mask = [], []
        token = self.draw(logits)
        while True:
            tokens.append(token.masked_fill(~alive, self.pad_id))
            mask.append(alive)
            alive = alive & ~torch.isin(token, stops)
            full = len(tokens) == self.max_new_tokens
            if full or (ends and not bool(alive.any())):
                return torch.stack(tokens, 1), torch.stack(mask, 1)
            token = self.draw(reader.after(tokens[-1]))


def start_token(base: Any, given: int | None) -> int:
    """The token with which an encoder-decoder begins to write."""
    start = base.config.decoder_start_token_id if given is None else given
    if start is None:
        raise InputError(
            "decoder_start must be given, or decoder_start_token_id set in the model's "
            "configuration; got neither."
        )
    return int(start)
