"""A RoCoFT adapter's folder: PEFT's layout, holding only what was trained.

``adapter_config.json`` has the peft_type ``ROCOFT``, which PEFT itself does not know;
``adapter_model.safetensors`` has ``base_model.model.PATH.rocoft_row`` (rank, inputs) or
``...rocoft_column`` (outputs, rank) for each adapted layer, the trained rows or columns
themselves and not their change, and biases and whole modules where these were trained.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from safetensors.torch import load_file, save
from torch import Tensor, nn
from transformers import PreTrainedModel

from mi_probe.atomic import write_atomically
from mi_probe.backbones.folders import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from mi_probe.backbones.modules import user_files
from mi_probe.backbones.rocoft import AXES, Axis, part_hash, put_rocoft, rocoft_layers
from mi_probe.errors import InputError

ROCOFT = "ROCOFT"
_PREFIX = "base_model.model."


@dataclass(frozen=True)
class RocoftConfig:
    """What was trained of which base; the content of ``adapter_config.json``."""

    base_model_name_or_path: str
    revision: str | None
    base_class: str
    """The class in transformers that was adapted."""
    axis: Axis
    r: int
    target_modules: tuple[str, ...]
    """Paths of the adapted layers."""
    modules_to_save: tuple[str, ...]
    """Paths of the modules trained whole."""
    bias: bool
    """Whether the adapted layers' biases were trained."""
    base_sha256: str
    """Hash of the base's own rows or columns, in `base_dtype`."""
    base_dtype: str


def attach_rocoft(
    model: PreTrainedModel,
    paths: Iterable[str],
    *,
    axis: Axis,
    count: int,
    whole: Iterable[str] = (),
    bias: bool = False,
) -> PreTrainedModel:
    """Freeze the model but for RoCoFT layers at the paths and the modules in `whole`.

    Returns:
        The same model, changed in place; `rocoft_config` says what was done.
    """
    model.requires_grad_(False)
    put_rocoft(model, paths, axis, count, bias=bias)
    for path in whole:
        model.get_submodule(path).requires_grad_(True)
    config = RocoftConfig(
        base_model_name_or_path=str(model.name_or_path),
        revision=None,
        base_class=type(model).__name__,
        axis=axis,
        r=count,
        target_modules=tuple(rocoft_layers(model)),
        modules_to_save=tuple(whole),
        bias=bias,
        base_sha256=part_hash(model),
        base_dtype=str(model.dtype).removeprefix("torch."),
    )
    set_rocoft_config(model, config)
    return model


def rocoft_config(model: nn.Module) -> RocoftConfig | None:
    """What a model in memory was adapted with; None without RoCoFT."""
    return getattr(model, "rocoft_config", None)


def set_rocoft_config(model: nn.Module, config: RocoftConfig | None) -> None:
    """Say what a model in memory was adapted with."""
    vars(model)["rocoft_config"] = config


def write_rocoft(model: PreTrainedModel, folder: Path) -> None:
    """Write an adapter's folder; each file appears whole or not at all."""
    config = rocoft_config(model)
    if config is None:
        raise InputError("model must have a RoCoFT adapter to be saved; it has none.")
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: tensor.detach().cpu().contiguous() for key, tensor in _weights(model).items()
    }
    form = {"peft_type": ROCOFT, **asdict(config), "inference_mode": True}
    text = json.dumps(form, indent=2, sort_keys=True) + "\n"
    write_atomically(folder / ADAPTER_WEIGHTS, save(weights, {"format": "pt"}))
    write_atomically(folder / ADAPTER_CONFIG, text.encode())


def read_rocoft(folder: Path) -> RocoftConfig:
    """An adapter's configuration.

    Raises:
        InputError: if it lacks an entry, or has one that means nothing here.
    """
    with user_files(ADAPTER_CONFIG, folder):
        given = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        entries = {field.name: given[field.name] for field in fields(RocoftConfig)}
        for name in ("target_modules", "modules_to_save"):
            entries[name] = tuple(entries[name])
    if entries["axis"] not in AXES or not isinstance(entries["r"], int):
        raise InputError(
            f"axis in {ADAPTER_CONFIG} must be one of {', '.join(AXES)}, and r a whole "
            f"number; {str(folder)!r} has {entries['axis']!r} and {entries['r']!r}."
        )
    return RocoftConfig(**entries)


def load_rocoft(
    model: PreTrainedModel,
    config: RocoftConfig,
    folder: Path,
    *,
    layers: int | None = None,
) -> PreTrainedModel:
    """Put a saved adapter on its base, which is changed in place.

    Args:
        model: the base, without adapters.
        config: what `read_rocoft` read.
        folder: the adapter's.
        layers: blocks that the base was cut to; weights of later ones are left out.

    Raises:
        InputError: if a weight is missing, unexpected or of another shape, or the base
            has other weights in the trained places than the one that was adapted.
    """
    with user_files("adapter", folder):
        given = load_file(folder / ADAPTER_WEIGHTS)

    def there(path: str) -> bool:
        return layers is None or not any(
            part.isdecimal() and int(part) >= layers for part in path.split(".")
        )

    targets = [path for path in config.target_modules if there(path)]
    paths = {path for path, _ in model.named_modules()}
    if lost := [p for p in (*targets, *config.modules_to_save) if p not in paths]:
        raise InputError(
            f"adapter must fit its base; {str(folder)!r} adapts {lost[0]}, which "
            f"{config.base_model_name_or_path!r} does not have. Is it for another base?"
        )
    attach_rocoft(
        model,
        targets,
        axis=config.axis,
        count=config.r,
        whole=config.modules_to_save,
        bias=config.bias,
    )
    _check_base(model, config, folder)
    wanted = _weights(model)
    given = {key: tensor for key, tensor in given.items() if there(key)}
    missing, unexpected = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing or unexpected:
        example = f"lacks {missing[0]}" if missing else f"also has {unexpected[0]}"
        raise InputError(
            f"adapter must have exactly the keys that its base and {ADAPTER_CONFIG} "
            f"call for; {str(folder)!r} lacks {len(missing)} and has {len(unexpected)} "
            f"others (it {example}). Copy or save it again."
        )
    for key, weight in wanted.items():
        if given[key].shape != weight.shape:
            raise InputError(
                f"{key} must have the shape {tuple(weight.shape)} for its base; in "
                f"{str(folder)!r} it has {tuple(given[key].shape)}. Is it for another "
                "base?"
            )
        weight.data.copy_(given[key])
    for layer in rocoft_layers(model).values():
        layer.write()
    set_rocoft_config(model, config)
    return model


def _check_base(model: PreTrainedModel, config: RocoftConfig, folder: Path) -> None:
    # In another precision, or cut short, the numbers are others for good reason.
    whole = len(rocoft_layers(model)) == len(config.target_modules)
    same_dtype = str(model.dtype) == f"torch.{config.base_dtype}"
    if whole and same_dtype and part_hash(model) != config.base_sha256:
        raise InputError(
            "base must have the weights that the adapter was made on; those of "
            f"{config.base_model_name_or_path!r} are others than {str(folder)!r} was "
            "trained from. Give the base's revision, or its own folder."
        )


def _weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """What an adapter's file holds, by its key there."""
    found = {}
    for path, layer in rocoft_layers(model).items():
        found[f"{path}.{layer.name}"] = layer.trained
        if layer.bias is not None and layer.bias.requires_grad:
            found[f"{path}.bias"] = layer.bias
    config = rocoft_config(model)
    for path in () if config is None else config.modules_to_save:
        for name, tensor in model.get_submodule(path).state_dict(keep_vars=True).items():
            found[f"{path}.{name}"] = tensor
    return {_PREFIX + name: tensor for name, tensor in found.items()}
