"""Whether a folder's weights and its configuration are of one model.

Shapes are compared before the weights are read, and cost no memory: the file's header
says them.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from safetensors import safe_open
from transformers import PreTrainedModel

from mi_probe.backbones.backbone import backbone_module
from mi_probe.backbones.folders import CONFIG
from mi_probe.errors import InputError

HEADS = (
    *("lm_head", "cls", "score", "classifier", "classification_head", "qa_outputs"),
    *("final_logits_bias", "pooler", "lm_loss"),
)
"""Modules behind the hidden states, which a file may hold and a backbone has not."""
Shapes = Mapping[str, tuple[int, ...]]


def stored_shapes(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in safetensors files, from their headers."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                shapes[name] = tuple(file.get_slice(name).get_shape())
    return shapes


def check_shapes(model: PreTrainedModel, shapes: Shapes, folder: Path) -> None:
    """Raise if a weight has another shape in the file than in the model.

    Args:
        model: built from the configuration on the device "meta", where nothing is
            allocated.
        shapes: those of the file.
        folder: named in the message.

    Raises:
        InputError: naming the weight, both shapes, and the entry of the configuration
            that asks for it, where one has that number.
    """
    if getattr(model.config, "quantization_config", None) is not None:
        return  # packed weights have other shapes than those they stand for
    prefix = f"{model.base_model_prefix}."
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for key, shape in shapes.items():
        names = (key, key.removeprefix(prefix), prefix + key)
        asked = next((wanted[name] for name in names if name in wanted), shape)
        if asked == shape or len(asked) != len(shape):
            continue
        sizes = {a for a, b in zip(asked, shape, strict=True) if a != b}
        parts = {id(c): c for c in (model.config, model.config.get_text_config())}
        entries = [
            f"{name} is {value}"
            for part in parts.values()
            for name, value in part.to_dict().items()
            if isinstance(value, int) and value in sizes and not isinstance(value, bool)
        ]
        because = f" ({entries[0]})" if entries else ""
        raise InputError(
            f"weights must be whole and fit together with {CONFIG}; in {str(folder)!r} "
            f"{key} has the shape {shape}, and the configuration calls for "
            f"{asked}{because}. Is one of them another model's?"
        )


def check_complete(
    model: PreTrainedModel, missing: set[str], folder: Path, *, lm_head: bool
) -> None:
    """Raise if the file lacks a weight of the backbone, which would then be random."""
    base = backbone_module(model)
    path = next(path for path, module in model.named_modules() if module is base)
    # A pooler or a head does not touch the hidden states.
    own = {
        f"{path}.{name}".lstrip(".")
        for name in base.state_dict()
        if name.split(".")[0] not in HEADS
    }
    lost = sorted(key for key in missing if lm_head or key in own)
    if lost:
        raise InputError(
            f"weights must hold every weight of {type(model).__name__}; those in "
            f"{str(folder)!r} lack {len(lost)}, such as {lost[0]}. Are they another "
            "model's?"
        )


def check_places(
    model: PreTrainedModel,
    unexpected: Iterable[str],
    stored: Sequence[str],
    folder: Path,
    *,
    layers: int | None,
) -> None:
    """Raise if the file holds a weight of the backbone that the model has no place for.

    A configuration with fewer blocks, or without a norm, than the weights are of gives
    the states of a model that nobody trained.

    Args:
        model: as loaded.
        unexpected: the file's keys that were not used.
        stored: all its keys.
        folder: named in the message.
        layers: blocks that were asked for; those of later ones are left out on purpose.

    Raises:
        InputError: naming the first of them.
    """
    prefix = f"{model.base_model_prefix}."
    # Saved with a head, the backbone's weights have its prefix and the head's have not.
    prefixed = any(key.startswith(prefix) for key in stored)
    buffers = {name for name, _ in model.named_buffers()}

    def harmless(key: str) -> bool:
        inner = key.removeprefix(prefix)
        cut_off = layers is not None and any(
            part.isdecimal() and int(part) >= layers for part in key.split(".")
        )
        head = (prefixed and inner == key) or inner.split(".")[0] in HEADS
        constant = not buffers.isdisjoint((key, inner, prefix + key))
        return cut_off or head or constant

    lost = sorted(key for key in unexpected if not harmless(key))
    if lost:
        raise InputError(
            f"weights must all have a place in {type(model).__name__} as {CONFIG} "
            f"describes it; of those in {str(folder)!r} {len(lost)} have none, such as "
            f"{lost[0]}. Is {CONFIG} another model's?"
        )
