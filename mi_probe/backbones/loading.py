"""Loading a model by name: an alias, a folder, a name on the hub, or an adapter."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mi_probe.backbones.adapters import load_adapter, read_adapter
from mi_probe.backbones.backbone import Backbone, assemble
from mi_probe.backbones.fingerprint import fingerprint_folder, fingerprint_precision
from mi_probe.backbones.folders import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    find_folder,
    split_layers,
    step_of,
)
from mi_probe.backbones.modules import load_module, moved, user_files, weight_files
from mi_probe.backbones.untrusted import check_folder
from mi_probe.errors import InputError, check_known

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json"),
    *("sentencepiece.bpe.model", "spm.model"),
)


def load_backbone(
    name: str | Path,
    *,
    revision: str | None = None,
    local_files_only: bool = False,
    dtype: str = "float32",
    device: str | Mapping[str, int | str] = "cpu",
    num_hidden_layers: int | None = None,
    lm_head: bool = False,
    trust_remote_code: bool = False,
    untrained: bool = False,
    chat_template: bool = False,
) -> Backbone:
    """Load a model whose hidden states are to be measured.

    Only safetensors are read. A PEFT adapter must fit its base key for key, and must
    change the base's hidden states. Without a pad token, the tokenizer pads with eos.

    Args:
        name: an alias (``smollm2-135m``, ``minilm-l6``); a local folder of a model, of
            a PEFT adapter, or of a Trainer's checkpoints (the last is taken, unless the
            folder holds a model itself); or a name on the hub. ``name:4`` keeps the
            first four blocks only: a quick look, not the model.
        revision: branch, tag or commit on the hub.
        local_files_only: use what was downloaded before, and no network.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: as torch names it, ``cpu`` or ``cuda:0``; ``cuda`` is the GPU of a
            launcher's process (``LOCAL_RANK``). ``auto`` puts a model that is
            larger than one device over all GPUs, and what they cannot hold into the CPU's
            memory, to be fetched block by block, which is slow; a mapping from modules to
            devices says where (transformers' ``device_map``; ``disk`` is a place, too).
            States are the same, and pooled where their layer is.
        num_hidden_layers: keep only so many blocks, as ``name:4`` does.
        lm_head: load the language model's head too, so that ``Backbone.model`` can write
            text; the states, and the fingerprint, are the same.
        trust_remote_code: run Python code that the model brings. Off unless you have
            read it.
        untrained: take an adapter that changes nothing too, as in a training's first
            steps, where the learning rate is still 0.
        chat_template: put prompts into the chat template that the tokenizer brings, as
            instruct models are used.

    Raises:
        InputError: if anything of this cannot be done; the message says what to do.

    Examples:
        A folder, ``my-model``, of a Llama of three blocks:

        >>> from mi_probe import load_backbone
        >>> backbone = load_backbone("my-model")
        >>> backbone
        Backbone('my-model', decoder, 3 blocks, ... units, cpu)
        >>> [site.name for site in backbone.sites]
        ['embed', 'block.0', 'block.1', 'block.2', 'final_norm']
        >>> [site.name for site in backbone.select("-1")]
        ['final_norm']
    """
    name = str(name) if isinstance(name, Path) else name
    if not isinstance(name, str):
        raise InputError(
            f"name must be text; got {type(name).__name__}. A model in memory is taken by "
            "wrap_backbone(model, tokenizer)."
        )
    number, place = _dtype(dtype), _device(device)
    stem, layers = split_layers(name)
    if None not in (layers, num_hidden_layers) and layers != num_hidden_layers:
        raise InputError(
            f"num_hidden_layers must agree with the name; got {num_hidden_layers} with "
            f"{name!r}. Give one of the two."
        )
    layers = num_hidden_layers if layers is None else layers
    options = {
        "local_files_only": local_files_only,
        "trust_remote_code": trust_remote_code,
    }
    folder, commit = find_folder(stem, revision=revision, **options)
    hashes, adapter, base_folder = {}, None, folder
    if (folder / ADAPTER_CONFIG).is_file():
        config = read_adapter(folder)
        base_name, base_layers = split_layers(str(config.base_model_name_or_path))
        layers = base_layers if layers is None else layers
        base_folder, base_commit = find_folder(
            base_name, revision=config.revision, **options
        )
        commit = commit or base_commit
        if not isinstance(place, torch.device):
            raise InputError(
                f"device must be one for a model with an adapter; got {device!r}. Merge it "
                "(merge_and_unload, save_pretrained) and name that folder."
            )
        form = _form(number, layers, lm_head, trust_remote_code)
        form["untrained"] = untrained
        model, adapter = load_adapter(folder, config, base_folder, **form), str(folder)
        model = moved(model, place)
        hashes["adapter"] = fingerprint_folder(folder, [ADAPTER_CONFIG, ADAPTER_WEIGHTS])
    else:
        form = _form(number, layers, lm_head, trust_remote_code)
        model = load_module(folder, **form, device=place)
    hashes["model"] = fingerprint_folder(base_folder, weight_files(base_folder))
    hashes |= fingerprint_precision(model)
    return assemble(
        model,
        _tokenizer(folder, base_folder, trust_remote_code),
        name=name,
        hashes=hashes,
        adapter=adapter,
        revision=commit,
        step=step_of(folder),
        chat_template=chat_template,
    )


def _form(
    dtype: torch.dtype, layers: int | None, lm_head: bool, trusted: bool
) -> dict[str, Any]:
    return {
        "dtype": dtype,
        "layers": layers,
        "lm_head": lm_head,
        "trust_remote_code": trusted,
    }


def _tokenizer(
    folder: Path, base_folder: Path, trust_remote_code: bool
) -> PreTrainedTokenizerBase:
    # A Trainer that was not given the tokenizer saves none in its checkpoints; the
    # script then often saved it beside them.
    for place in (folder, base_folder, folder.parent):
        if any((place / name).is_file() for name in _TOKENIZER_FILES):
            check_folder(place)
            with user_files("tokenizer", place):
                return AutoTokenizer.from_pretrained(
                    place, local_files_only=True, trust_remote_code=trust_remote_code
                )
    raise InputError(
        f"tokenizer must be in the model's folder; {str(folder)!r} has none. Save it "
        f"there: AutoTokenizer.from_pretrained(...).save_pretrained({str(folder)!r})."
    )


def _dtype(dtype: str) -> torch.dtype:
    name = str(dtype).removeprefix("torch.")
    check_known("dtype", name, DTYPES)
    return DTYPES[name]


def _device(
    device: str | Mapping[str, int | str],
) -> torch.device | str | Mapping[str, int | str]:
    if device == "auto" or isinstance(device, Mapping):
        return device
    local = os.environ.get("LOCAL_RANK", "")
    if device == "cuda" and local.isdecimal() and (count := torch.cuda.device_count()):
        # A launcher's processes have a GPU each.
        device = f"cuda:{int(local) % count}"
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    # A device that torch was built without raises AssertionError, others RuntimeError.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = "auto, cpu" + (", cuda" if torch.cuda.is_available() else "")
        raise InputError(
            f"device must be one that torch can use here ({there}); got {device!r}."
        ) from error
    return place
