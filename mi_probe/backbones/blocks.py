"""The lists of blocks of a model: one a stack, found by a table of dotted paths.

No family is named. What a list holds is only a guess here; `resolve_sites` proves it.
"""

from collections.abc import Iterator
from typing import Literal

from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from mi_probe.errors import InputError

Stack = Literal["", "enc", "dec"]

# Paths from a stack to its list of blocks, in the order in which they are tried.
_HOLDERS = (
    *("", "encoder", "decoder", "transformer", "model", "language_model"),
    *("text_model", "model.decoder", "model.language_model"),
)
_LISTS = ("layers", "h", "block", "blocks", "layer")
COUNTS = (
    *("num_hidden_layers", "encoder_layers", "decoder_layers"),
    *("num_layers", "num_decoder_layers", "n_layer", "n_layers"),
)
"""Entries of a configuration that say how many blocks there are."""


def resolve_blocks(base: PreTrainedModel) -> tuple[nn.ModuleList, ...]:
    """The likeliest list of blocks of each stack; the encoder's comes first.

    Raises:
        InputError: if no list of blocks is found.
    """
    return tuple(block_lists(root, base.config)[0] for _, root in stacks(base))


def stacks(base: PreTrainedModel) -> Iterator[tuple[Stack, nn.Module]]:
    """The name of each stack of a backbone, and the module that runs it."""
    if not base.config.is_encoder_decoder:
        yield "", base
        return
    # The decoder of an EncoderDecoderModel is a language model with its head.
    encoder, decoder = base.get_encoder(), base.get_decoder()
    yield "enc", getattr(encoder, "base_model", encoder)
    yield "dec", getattr(decoder, "base_model", decoder)


def layer_counts(config: PreTrainedConfig) -> list[tuple[str, int]]:
    """The entries of a configuration that say how many blocks there are."""
    parts = (config, config.get_text_config())
    found = {name: getattr(part, name, None) for part in parts for name in COUNTS}
    return [(name, count) for name, count in found.items() if isinstance(count, int)]


def block_lists(root: nn.Module, config: PreTrainedConfig) -> list[nn.ModuleList]:
    """Every list in a stack that may be its blocks, the likeliest first.

    Args:
        root: the module that runs the stack.
        config: the whole model's, where the stack has none of its own.

    Raises:
        InputError: if there is none.
    """
    counts = {n for _, n in layer_counts(getattr(root, "config", config))}
    lists = {
        path: module
        for path, module in root.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) in counts
    }
    known = [f"{h}.{name}".lstrip(".") for h in _HOLDERS for name in _LISTS]
    # An unknown family: the outermost list as long as the configuration says.
    unknown = sorted(lists, key=lambda path: path.count("."))
    found = [lists[path] for path in dict.fromkeys((*known, *unknown)) if path in lists]
    if not found:
        raise InputError(
            f"model must hold its blocks in a ModuleList of "
            f"{sorted(counts)} entries (the layers of its configuration); "
            f"{type(root).__name__} has none. Models that share one block among all "
            "layers (ALBERT) cannot be captured."
        )
    return found
