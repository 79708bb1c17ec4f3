"""Which layers of a model an adapter may change: the linear ones of its blocks."""

from collections.abc import Iterable, Sequence

from torch import nn
from transformers.pytorch_utils import Conv1D

from mi_probe.backbones.backbone import backbone_module
from mi_probe.backbones.blocks import resolve_blocks
from mi_probe.errors import InputError


def linear_layers(
    model: nn.Module, names: Sequence[str] | None = None
) -> dict[str, nn.Linear | Conv1D]:
    """The linear layers of the blocks (GPT-2's Conv1D too), by their path in the model.

    Embeddings, the LM head and task heads stand outside the blocks, so they are never
    among these. A layer whose weight is shared with another is left out.

    Args:
        model: a Hugging Face model without adapters.
        names: keep those whose path ends so (whole parts: ``q_proj``, not ``proj``);
            None for all.

    Raises:
        InputError: if a name fits none of the layers, or the blocks are not found.
    """
    base = backbone_module(model)
    paths = {id(module): path for path, module in model.named_modules()}
    tied = tied_weights(model)
    layers = {
        paths[id(layer)]: layer
        for blocks in resolve_blocks(base)
        for layer in blocks.modules()
        if isinstance(layer, nn.Linear | Conv1D) and id(layer.weight) not in tied
    }
    if names is None:
        return layers
    chosen = {path for name in names for path in ending(layers, name)}
    lost = [name for name in names if not ending(layers, name)]
    if lost or not names:
        ends = dict.fromkeys(path.rpartition(".")[2] for path in layers)
        raise InputError(
            "target_modules must name linear layers of the blocks: "
            f"{', '.join(ends)}; got {lost[0] if lost else 'none'!r}. Heads and "
            "embeddings are not adapted."
        )
    return {path: layer for path, layer in layers.items() if path in chosen}


def whole_modules(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Modules that are to be trained whole, by their path in the model.

    Raises:
        InputError: if a name fits no module with weights of its own, or one that holds
            a weight which another module shares: a copy of it would untie the two.
    """
    tied = tied_weights(model)
    # A path within another would be saved twice.
    known = {path: module for path, module in model.named_modules() if path}
    chosen: dict[str, nn.Module] = {}
    for name in names:
        found = [path for path in ending(known, name) if list(known[path].parameters())]
        if not found:
            own = [p for p, m in known.items() if [*m.parameters(recurse=False)]]
            ends = dict.fromkeys(path.rpartition(".")[2] for path in own)
            raise InputError(
                f"also_train must name modules with weights of {type(model).__name__}, "
                f"such as {', '.join(ends)}; got {name!r}."
            )
        for path in found:
            if any(id(weight) in tied for weight in known[path].parameters()):
                raise InputError(
                    "also_train must leave out modules with tied weights, which "
                    f"training would untie; got {name!r}. Use method 'none' to train "
                    "them all."
                )
            chosen[path] = known[path]
    inner = {p for p in chosen for q in chosen if p.startswith(f"{q}.")}
    return {path: module for path, module in chosen.items() if path not in inner}


def tied_weights(model: nn.Module) -> set[int]:
    """The ids of weights that stand under more than one name."""
    seen: set[int] = set()
    tied: set[int] = set()
    for _, weight in model.named_parameters(remove_duplicate=False):
        (tied if id(weight) in seen else seen).add(id(weight))
    return tied


def ending(paths: Iterable[str], name: str) -> list[str]:
    """Those paths that are `name`, or end in it after a dot."""
    return [path for path in paths if path == name or path.endswith(f".{name}")]
