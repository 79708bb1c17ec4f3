"""Applying a fine-tuning method to a model: which weights are trained, and how.

Low-rank methods are PEFT's, RoCoFT is ours (`mi_probe.backbones.rocoft`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from peft import AdaLoraConfig, LoraConfig, PeftConfig, PeftModel, TaskType, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from mi_probe.backbones.backbone import backbone_module
from mi_probe.backbones.blocks import resolve_blocks
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.backbones.rocoft_folder import attach_rocoft, rocoft_config, set_rocoft_config
from mi_probe.errors import InputError
from mi_probe.predgen.peft_settings import PeftSettings


def linear_layers(
    model: nn.Module,
    names: Sequence[str] | None = None,
    *,
    within: nn.Module | None = None,
) -> dict[str, nn.Linear | Conv1D]:
    """The linear layers of the blocks (GPT-2's Conv1D too), by their path in the model.

    Embeddings, the LM head and task heads stand outside the blocks, so they are never
    among these. A layer whose weight is shared with another is left out.

    Args:
        model: a Hugging Face model without adapters.
        names: keep those whose path ends so (whole parts: ``q_proj``, not ``proj``);
            None for all.
        within: a part of the model, such as its encoder; None for all of it.

    Raises:
        InputError: if a name fits none of the layers, or the blocks are not found.
    """
    base = backbone_module(model)
    paths = {id(module): path for path, module in model.named_modules()}
    tied, inside = tied_weights(model), {*(model if within is None else within).modules()}
    layers = {
        paths[id(layer)]: layer
        for blocks in resolve_blocks(base)
        for layer in blocks.modules()
        if isinstance(layer, nn.Linear | Conv1D) and id(layer.weight) not in tied
        if layer in inside
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


def whole_modules(
    model: nn.Module, names: Sequence[str], *, within: nn.Module | None = None
) -> dict[str, nn.Module]:
    """Modules that are to be trained whole, by their path in the model.

    Args:
        model: a Hugging Face model without adapters.
        names: ends of their paths.
        within: a part of the model, such as its encoder; None for all of it.

    Raises:
        InputError: if a name fits no module with weights of its own, or one that holds
            a weight which another module shares: a copy of it would untie the two.
    """
    tied = tied_weights(model)
    # A path within another would be saved twice.
    inside = {*(model if within is None else within).modules()}
    known = {path: m for path, m in model.named_modules() if path and m in inside}
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


# (model, settings, optimiser steps) -> the model to be trained
Method = Callable[[PreTrainedModel, PeftSettings, int], nn.Module]


def apply_peft(
    model: nn.Module,
    settings: PeftSettings,
    *,
    total_steps: int,
    seed: int = 0,
    base_name: str | None = None,
    revision: str | None = None,
) -> nn.Module:
    """The model with only the weights trainable that the method trains.

    The model is changed in place; its output is the same as before. The global random
    state is not touched. A head outside the model is the caller's to train.

    Args:
        model: a Hugging Face model without adapters.
        settings: the method and its ranks.
        total_steps: optimiser steps of the training to come (AdaLoRA's schedule).
        seed: of the adapter's first weights.
        base_name: how a saved adapter calls its base; None for the model's own
            ``name_or_path``.
        revision: of the base on the hub, saved with the adapter.

    Raises:
        InputError: if the model has an adapter already, a name in the settings fits no
            module, or the schedule leaves no step.
    """
    has = getattr(model, "peft_config", None) or rocoft_config(model)
    if not isinstance(model, PreTrainedModel) or has:
        what = "one with an adapter" if has else type(model).__name__
        raise InputError(
            "model must be a Hugging Face PreTrainedModel without an adapter; got "
            f"{what}. Merge the adapter, or load the base."
        )
    if total_steps < 1:
        raise InputError(f"total_steps must be at least 1; got {total_steps}.")
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed every GPU as well.
        torch.default_generator.manual_seed(seed)
        adapted = PEFT_METHODS[settings.method](model, settings, total_steps)
    if isinstance(adapted, PeftModel):
        config = adapted.active_peft_config
        config.base_model_name_or_path = base_name or model.name_or_path
        config.revision = revision
    elif (rocoft := rocoft_config(adapted)) is not None:
        name = base_name or str(model.name_or_path)
        named = replace(rocoft, base_model_name_or_path=name, revision=revision)
        set_rocoft_config(adapted, named)
    return adapted


def _train_all(
    model: PreTrainedModel, settings: PeftSettings, total_steps: int
) -> nn.Module:
    if not settings.encoder_alone:
        return model.requires_grad_(True)
    model.requires_grad_(False)
    model.get_encoder().requires_grad_(True)
    return model


def _lora(model: PreTrainedModel, settings: PeftSettings, total_steps: int) -> nn.Module:
    form = {"use_dora": settings.method == "dora"}
    return _wrap(model, LoraConfig(r=settings.rank, **form, **_common(model, settings)))


def _adalora(model: PreTrainedModel, settings: PeftSettings, total_steps: int) -> nn.Module:
    if total_steps < 2:
        raise InputError(
            "total_steps of AdaLoRA must be at least 2, one to see which ranks are of use "
            f"and one to cut the others; got {total_steps}."
        )
    # Few steps: what settles goes first, then the warm-up, and one is left in between.
    settling = min(round(settings.settling * total_steps), total_steps - 2)
    warm_up = min(round(settings.warm_up * total_steps), total_steps - settling - 1)
    schedule = {
        "init_r": settings.starting_rank,
        "target_r": settings.rank,
        "tinit": warm_up,
        "tfinal": settling,
        "deltaT": settings.update_every,
        "total_step": total_steps,
        "orth_reg_weight": settings.orthogonality,
    }
    return _wrap(model, AdaLoraConfig(**schedule, **_common(model, settings)))


def _rocoft(model: PreTrainedModel, settings: PeftSettings, total_steps: int) -> nn.Module:
    layers, whole = _parts(model, settings)
    return attach_rocoft(
        model,
        layers,
        axis="row" if settings.method == "rocoft_row" else "column",
        count=settings.rank,
        whole=whole,
        bias=settings.bias,
    )


PEFT_METHODS: dict[str, Method] = {
    "none": _train_all,
    "lora": _lora,
    "adalora": _adalora,
    "dora": _lora,
    "rocoft_row": _rocoft,
    "rocoft_column": _rocoft,
}
"""The methods by their name in `PeftSettings.method`."""


def _common(model: PreTrainedModel, settings: PeftSettings) -> dict:
    layers, whole = _parts(model, settings)
    return {
        "target_modules": list(layers),
        "modules_to_save": list(whole) or None,
        "lora_alpha": settings.scale,
        "lora_dropout": settings.dropout,
        "bias": "lora_only" if settings.bias else "none",
        "fan_in_fan_out": any(isinstance(layer, Conv1D) for layer in layers.values()),
        "task_type": _task_type(model),
    }


def _parts(
    model: PreTrainedModel, settings: PeftSettings
) -> tuple[dict[str, nn.Linear | Conv1D], dict[str, nn.Module]]:
    """The layers to be adapted, and the modules to be trained whole."""
    part = model.get_encoder() if settings.encoder_alone else model
    whole = whole_modules(model, settings.also_train, within=part)
    layers = linear_layers(model, settings.target_modules, within=part)
    inside = tuple(f"{path}." for path in whole)
    free = {
        path: layer for path, layer in layers.items() if not f"{path}.".startswith(inside)
    }
    return (free if inside else layers), whole


def _task_type(model: PreTrainedModel) -> TaskType | None:
    """What lets others load it; none for classifiers, whose head PEFT would train."""
    name = type(model).__name__
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        return TaskType.CAUSAL_LM
    return TaskType.SEQ_2_SEQ_LM if name.endswith("ForConditionalGeneration") else None


def _wrap(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
    adapted = get_peft_model(model, config)
    assert isinstance(adapted, PeftModel)
    return adapted
