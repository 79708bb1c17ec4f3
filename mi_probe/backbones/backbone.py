"""A model ready to be read: its sites, its tokenizer and what identifies it."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from peft import PeftModel, PeftType, PromptLearningConfig
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mi_probe.backbones.chat import chat_fingerprint, chat_texts
from mi_probe.backbones.fingerprint import fingerprint_model, fingerprint_tokenizer
from mi_probe.backbones.inside import Inside, resolve_inside
from mi_probe.backbones.naming import select
from mi_probe.backbones.sites import Kind, Site, kind_of, resolve_sites
from mi_probe.backbones.trial import counts_from_zero, embedding_rows, input_device
from mi_probe.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class Backbone:
    """A network whose hidden states are measured.

    Run `runner`, hook the sites on `base`. `load_backbone` and `wrap_backbone` make
    one.
    """

    name: str
    """What the user typed, without unprintable characters."""
    model: nn.Module
    """The model as loaded or given: a PreTrainedModel or a PeftModel, in eval mode."""
    base: PreTrainedModel
    """The module on which `Site.module` resolves: the backbone without its head (where
    the family has such a module), with the adapters injected."""
    tokenizer: PreTrainedTokenizerBase
    """Its tokenizer, which always has a pad token."""
    sites: tuple[Site, ...]
    """The residual stream, from the embeddings up; see `inside` for what is in blocks."""
    kind: Kind
    """Whether it reads left to right, both ways, or is an encoder-decoder."""
    adapter: str | None
    """The PEFT adapter's folder or hub name (or its type, for a wrapped model)."""
    revision: str | None
    """The commit of a model from the hub."""
    step: int | None
    """The optimiser step, from a folder ``checkpoint-<step>``."""
    told_positions: bool
    """Whether capture may give it positions 0, 1, 2, ...: they are what it would count
    itself."""
    fingerprint: dict[str, str]
    """What identifies model, adapter, tokenizer and precision; JSON-able."""
    chat_template: bool = False
    """Whether prompts are put into the tokenizer's chat template."""

    def __repr__(self) -> str:
        held = f"{self.kind}, {self.n_layers} blocks, {self.hidden_size} units"
        adapter = f", adapter {self.adapter}" if self.adapter else ""
        return f"Backbone('{self.name}', {held}{adapter}, {self.device})"

    def prompt_texts(self, prompts: Sequence[str]) -> list[str]:
        """The texts that are tokenised: the prompts, or the chats with their one turn.

        Raises:
            InputError: if the chat template cannot take them.
        """
        return chat_texts(self.tokenizer, prompts) if self.chat_template else [*prompts]

    def tokenise(self, prompts: Sequence[str]) -> list[list[int]]:
        """Token ids of prompts, with the special tokens that belong to a text.

        Raises:
            InputError: as `prompt_texts`.
        """
        if not len(prompts):
            return []
        # A chat template writes its own beginning of a text; a second one is no text's.
        return self.tokenizer(
            self.prompt_texts(prompts),
            add_special_tokens=not self.chat_template,
            verbose=False,
        )["input_ids"]

    @property
    def n_layers(self) -> int:
        """The number of blocks; of an encoder-decoder, those of its deeper stack."""
        return max(self.depth(stack) for stack in self.stacks)

    @property
    def stacks(self) -> tuple[str, ...]:
        """``("",)``, or ``("enc", "dec")`` for an encoder-decoder."""
        return tuple(dict.fromkeys(site.stack for site in self.sites))

    def depth(self, stack: str = "") -> int:
        """The number of blocks of one stack."""
        return sum(site.stack == stack for site in self._blocks)

    @property
    def _blocks(self) -> list[Site]:
        return [site for site in self.sites if "block." in site.name]

    @cached_property
    def inside(self) -> Inside:
        """The sites inside blocks, which a trial finds when they are first asked for."""
        return resolve_inside(self.base, self.runner, self.sites)

    @property
    def hidden_size(self) -> int:
        """Units of a hidden state; of an encoder-decoder, the decoder's."""
        config = getattr(self.base.config, "decoder", None) or self.base.config
        return config.get_text_config(decoder=True).hidden_size

    @property
    def device(self) -> torch.device:
        """Where it takes its inputs; a model over several devices gives states on each."""
        return input_device(self.base)

    @property
    def runner(self) -> nn.Module:
        """The module to call: `base`, or the PEFT wrapper where it learns a prompt.

        A wrapper with a learned prompt must not be given position_ids (PEFT counts its
        own), so pad on the right.
        """
        return _runner(self.model, self.base)

    @property
    def n_virtual_tokens(self) -> int:
        """Learned positions in front of the sequence of every hidden state.

        Prefix tuning adds keys and values, not positions, and counts 0.
        """
        return _virtual_tokens(self.model)

    def select(self, wanted: str | int | Sequence[int | str] = "all") -> tuple[Site, ...]:
        """The sites that a user asks for, in the order of the network.

        Args:
            wanted: ``'all'``, which is `sites`; ``hidden_states`` indices as ``'0,8,16'``
                or ``[0, 8]`` (negative ones count from the end); names as
                ``'block.4,final_norm'``, and inside blocks ``'block.4.attn_out'``, or
                ``'attn_out'`` for every block's; and what other tools call the same
                (`mi_probe.backbones.naming`).

        Raises:
            InputError: if one of them is no site, this model does not have it, or an index
                is ambiguous because the model has two stacks.
        """
        return select(self, wanted)


def wrap_backbone(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str = "model",
    chat_template: bool = False,
) -> Backbone:
    """A backbone from a model that is already in memory.

    The model is put in eval mode; nothing else of it changes. A PEFT model is taken as
    it is: that its adapter does anything is proved by `load_backbone` only.

    Args:
        model: any Hugging Face model, or a PEFT wrapper around one.
        tokenizer: its tokenizer; one without a pad token is copied and given one.
        name: how results call it.
        chat_template: put prompts into the tokenizer's chat template.

    Raises:
        InputError: if the model's blocks cannot be found, or the tokenizer has more
            tokens than the model has embeddings.

    Examples:
        A model of transformers and its tokenizer, in memory:

        >>> from mi_probe.backbones import wrap_backbone
        >>> wrap_backbone(model, tokenizer, name="mine")
        Backbone('mine', decoder, 3 blocks, ... units, cpu)
    """
    adapter, fingerprint = None, fingerprint_model(model)
    if isinstance(model, PeftModel):
        adapter = PeftType(model.active_peft_config.peft_type).value
    elif getattr(model, "rocoft_config", None) is not None:
        adapter = "ROCOFT"
    return assemble(
        model,
        tokenizer,
        name=name,
        adapter=adapter,
        hashes=fingerprint,
        chat_template=chat_template,
    )


def as_backbone(model: Any) -> Backbone:
    """A backbone from one, or from a pair ``(model, tokenizer)`` in memory.

    Raises:
        InputError: for anything else, and as `wrap_backbone` does.
    """
    if isinstance(model, Backbone):
        return model
    pair = isinstance(model, tuple) and len(model) == 2
    if pair and isinstance(model[0], nn.Module) and hasattr(model[1], "pad_token_id"):
        module, tokenizer = model
    else:
        raise InputError(
            "model must be a name, a folder, a Backbone, or (model, tokenizer); got "
            f"{type(model).__name__}."
            + " Give its tokenizer with it."
            * isinstance(model, nn.Module)
        )
    return wrap_backbone(module, tokenizer, name=type(module).__name__)


def assemble(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    *,
    name: str,
    hashes: dict[str, str],
    adapter: str | None = None,
    revision: str | None = None,
    step: int | None = None,
    chat_template: bool = False,
) -> Backbone:
    """Put the parts together; what `load_backbone` and `wrap_backbone` share."""
    base = backbone_module(model)
    sites = find_sites(model)
    tokenizer = _with_pad(tokenizer)
    _check_vocabulary(base, tokenizer)
    blocks = [site.stack for site in sites if "block." in site.name]
    depths = [str(blocks.count(stack)) for stack in dict.fromkeys(blocks)]
    hashes = {
        **hashes,
        **fingerprint_tokenizer(tokenizer),
        **(chat_fingerprint(tokenizer) if chat_template else {}),
        "layers": "+".join(depths),
        # A head, or PEFT's wrapper, is no part of what the states are computed by.
        "class": base.config.model_type,
    }
    return Backbone(
        name="".join(c if c.isprintable() else "?" for c in name),
        model=model.eval(),
        base=base,
        tokenizer=tokenizer,
        sites=sites,
        kind=kind_of(base.config),
        adapter=adapter,
        revision=revision,
        step=step,
        # PEFT puts a learned prompt in front and numbers the positions itself.
        told_positions=_runner(model, base) is base and counts_from_zero(base),
        fingerprint=hashes,
        chat_template=chat_template,
    )


def find_sites(model: nn.Module) -> tuple[Site, ...]:
    """The sites of a model as it is, PEFT's wrapper included, proved by a small run.

    Raises:
        InputError: as `resolve_sites` and `backbone_module` do.
    """
    base = backbone_module(model)
    virtual = _virtual_tokens(model)
    return resolve_sites(base, _runner(model, base), virtual=virtual)


def backbone_module(model: nn.Module) -> PreTrainedModel:
    """The Hugging Face module without its head, out of whatever wraps it."""
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(inner, PreTrainedModel):
        raise InputError(
            "model must be a Hugging Face PreTrainedModel, or a PeftModel around one; "
            f"got {type(inner).__name__}."
        )
    base = inner.base_model
    # BART's decoder alone stands in a wrapper that does nothing itself.
    parts = list(base.children())
    if type(base).__name__.endswith("Wrapper") and len(parts) == 1:
        base = parts[0]
    return base if isinstance(base, PreTrainedModel) else inner


def _prompt_config(model: nn.Module) -> PromptLearningConfig | None:
    config = model.active_peft_config if isinstance(model, PeftModel) else None
    return config if isinstance(config, PromptLearningConfig) else None


def _virtual_tokens(model: nn.Module) -> int:
    config = _prompt_config(model)
    if config is None or config.peft_type == PeftType.PREFIX_TUNING:
        return 0
    return int(config.num_virtual_tokens or 0)


def _runner(model: nn.Module, base: PreTrainedModel) -> nn.Module:
    return base if _prompt_config(model) is None else model


def _with_pad(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    if tokenizer.pad_token_id is not None:
        return tokenizer
    if tokenizer.eos_token_id is None:
        raise InputError(
            "tokenizer must have a pad token, or an eos token to pad with; it has "
            "neither. Set tokenizer.pad_token."
        )
    # The caller's own object stays as it was; padding is masked, so any token will do.
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _check_vocabulary(base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    rows = embedding_rows(base)
    if len(tokenizer) > rows:
        raise InputError(
            "tokenizer must not have more tokens than the model has embeddings, "
            f"{rows}; it has {len(tokenizer)}. Is it another model's tokenizer?"
        )
