"""Where hidden states are read: one name a site, the same for every family of models.

A table of dotted paths finds the blocks; no family is named in the code. The rule:
``embed`` is what block 0 is given; ``block.i`` is what block i+1 is given, so that a
family which adds something between two blocks is read as it runs; the last block is its
own output; ``final_norm`` is what leaves the norm (or projection) after the blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from mi_probe.errors import InputError

Kind = Literal["decoder", "encoder", "encoder-decoder"]


@dataclass(frozen=True)
class Site:
    """One place in a backbone where hidden states are read."""

    name: str
    """``embed``, ``block.0`` ... ``block.L-1``, ``final_norm``; in an encoder-decoder
    with ``enc.`` or ``dec.`` in front."""
    index: int | None
    """The entry of Hugging Face's ``hidden_states`` (of that stack) that it equals;
    None for the last block before a final norm, which equals none."""
    module: str
    """Dotted path of the hooked module, on `Backbone.base`."""
    point: Literal["input", "output"]
    """Whether the state is the module's first input or its (first) output."""
    stack: Literal["", "enc", "dec"] = ""
    """The stack of an encoder-decoder; empty for the others."""


# Paths from a stack to its list of blocks, in the order in which they are tried.
_HOLDERS = (
    *("", "encoder", "decoder", "transformer", "model", "language_model"),
    *("text_model", "model.decoder", "model.language_model"),
)
_LISTS = ("layers", "h", "block", "blocks", "layer")
# What may follow the blocks, beside their list. The last one there decides: OPT-350m
# has no norm but a projection, and Hugging Face's last hidden state leaves it.
_AFTER = (
    *("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f", "layer_norm"),
    *("final_norm", "ln_out", "project_out"),
)
_COUNTS = (
    *("num_hidden_layers", "encoder_layers", "decoder_layers"),
    *("num_layers", "num_decoder_layers", "n_layer", "n_layers"),
)


def resolve_sites(base: PreTrainedModel) -> tuple[Site, ...]:
    """The sites of a backbone, from the embeddings up; the encoder's come first.

    Args:
        base: a backbone, with or without adapters injected; no PEFT wrapper around it.

    Raises:
        InputError: if no list of blocks is found.
    """
    return tuple(
        site for stack, root in _stacks(base) for site in _stack_sites(base, stack, root)
    )


def resolve_blocks(base: PreTrainedModel) -> tuple[nn.ModuleList, ...]:
    """The list of blocks of each stack of a backbone; the encoder's comes first.

    Raises:
        InputError: if no list of blocks is found.
    """
    return tuple(_find_blocks(root)[1] for _, root in _stacks(base))


def kind_of(config: PreTrainedConfig) -> Kind:
    """Whether a model reads left to right, both ways, or is an encoder-decoder."""
    from transformers.models.auto import modeling_auto as auto

    if config.is_encoder_decoder:
        return "encoder-decoder"
    if getattr(config, "is_decoder", False):
        return "decoder"
    # BERT and its kin are in both tables; a masked LM reads both ways.
    if config.model_type in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        return "encoder"
    text = config.get_text_config().model_type
    causal = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return "decoder" if config.model_type in causal or text in causal else "encoder"


def _stacks(
    base: PreTrainedModel,
) -> Iterator[tuple[Literal["", "enc", "dec"], nn.Module]]:
    if not base.config.is_encoder_decoder:
        yield "", base
        return
    # The decoder of an EncoderDecoderModel is a language model with its head.
    encoder, decoder = base.get_encoder(), base.get_decoder()
    yield "enc", getattr(encoder, "base_model", encoder)
    yield "dec", getattr(decoder, "base_model", decoder)


def _stack_sites(
    base: PreTrainedModel, stack: Literal["", "enc", "dec"], root: nn.Module
) -> Iterator[Site]:
    paths = {id(module): path for path, module in base.named_modules()}
    holder, blocks = _find_blocks(root)
    n, prefix = len(blocks), f"{stack}." if stack else ""

    def site(name: str, index: int | None, module: nn.Module, point) -> Site:
        return Site(prefix + name, index, paths[id(module)], point, stack)

    yield site("embed", 0, blocks[0], "input")
    for i in range(n - 1):
        yield site(f"block.{i}", i + 1, blocks[i + 1], "input")
    after = [
        module
        for name in _AFTER
        if isinstance(module := getattr(holder, name, None), nn.Module)
    ]
    # DeBERTa convolves what leaves block 0; only where block 0 is also the last does
    # no next block show it.
    convolution = getattr(holder, "conv", None)
    last = convolution if n == 1 and isinstance(convolution, nn.Module) else None
    yield site(f"block.{n - 1}", None if after else n, last or blocks[n - 1], "output")
    if after:
        yield site("final_norm", n, after[-1], "output")


def _find_blocks(root: nn.Module) -> tuple[nn.Module, nn.ModuleList]:
    """The list of blocks of one stack, and the module that holds it."""
    config = getattr(root, "config", None)
    text = config.get_text_config() if config is not None else None
    counts = {getattr(c, name, None) for c in (config, text) for name in _COUNTS}
    lists = {
        path: module
        for path, module in root.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) in counts
    }
    known = (f"{h}.{name}".lstrip(".") for h in _HOLDERS for name in _LISTS)
    # An unknown family: the outermost list as long as the configuration says.
    unknown = sorted(lists, key=lambda path: path.count("."))
    for path in (*known, *unknown):
        if path in lists:
            return root.get_submodule(path.rpartition(".")[0]), lists[path]
    raise InputError(
        f"model must hold its blocks in a ModuleList of {sorted(filter(None, counts))} "
        f"entries (the layers of its configuration); {type(root).__name__} has none. "
        "Models that share one block among all layers (ALBERT) cannot be captured."
    )
