"""Trained systems as folders that any Hugging Face loader reads, with all that made them.

A folder holds a model (``config.json``, ``model.safetensors``) or an adapter
(``adapter_config.json``, ``adapter_model.safetensors``), the tokenizer,
``head.safetensors`` with what the objective put on the model, and
``predgen_config.json``, which comes last: a folder without it is not finished.
There is no pickle in what is read here.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from mi_probe.atomic import write_atomically
from mi_probe.backbones import Backbone, load_backbone
from mi_probe.backbones.adapters import read_adapter
from mi_probe.backbones.folders import ADAPTER_CONFIG
from mi_probe.backbones.modules import user_files
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.errors import InputError
from mi_probe.predgen.adapters import save_model
from mi_probe.predgen.build import build_system
from mi_probe.predgen.data import Source
from mi_probe.predgen.design import read_design
from mi_probe.predgen.systems import System

PREDGEN_CONFIG = "predgen_config.json"
HEAD = "head.safetensors"
SCHEMA = 3
_KEYS = (
    *("schema", "objective", "backbone", "revision", "base", "task", "task_options"),
    *("label_names", "target", "peft", "design", "settings", "seed", "data_sha256"),
    *("reserved_split", "reserved_ids", "train_ids_sha256", "prompt_tokens", "notes"),
    *("trainable", "step", "versions", "metrics"),
)
_SETTINGS = ("seed", "train_rows", "validation_rows", "reserve", "dtype")
"""Those by which the rows are drawn and the model is read again."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained system, read back."""

    folder: Path
    config: dict[str, Any]
    """The content of ``predgen_config.json``."""
    system: System
    """In eval mode."""
    backbone: Backbone
    """The system's, whose states are to be measured."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The backbone's."""
        return self.backbone.tokenizer

    @property
    def source(self) -> Source:
        """Where the task's rows come from."""
        return source_of(self.config)

    @property
    def reserved_ids(self) -> tuple[str, ...]:
        """Rows of the test split that are kept for measuring."""
        return tuple(self.config["reserved_ids"])


def is_checkpoint(folder: str | Path) -> bool:
    """Whether a folder holds a finished system of ours."""
    return (Path(folder).expanduser() / PREDGEN_CONFIG).is_file()


def source_of(config: dict[str, Any]) -> Source:
    """Where the rows of a checkpoint's task come from."""
    known = {field.name for field in fields(Source)}
    given = config["task_options"]
    if set(given) - known:
        raise InputError(
            f"task_options in {PREDGEN_CONFIG} must be of {', '.join(sorted(known))}; got "
            f"{', '.join(sorted(set(given) - known))}."
        )
    return Source(**given)


def save_checkpoint(folder: str | Path, system: System, config: dict[str, Any]) -> None:
    """Write a system; ``predgen_config.json`` comes last.

    Args:
        folder: where to; made if it is not there.
        system: what to save, with its backbone and tokenizer.
        config: what made it; see `mi_probe.predgen.training`. It must have exactly the
            keys that `load_checkpoint` asks for, besides ``schema``, ``design`` and
            ``trainable``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(system.model, folder)
    with quiet_transformers():
        system.backbone.tokenizer.save_pretrained(str(folder))
    weights = {name: t.detach().cpu().contiguous() for name, t in _on_top(system).items()}
    save_file(weights, folder / HEAD, metadata={"format": "pt"})
    made = {"design": asdict(system.design), "trainable": system.trainable}
    content = {"schema": SCHEMA, **made, **config}
    assert set(content) == set(_KEYS), set(content) ^ set(_KEYS)
    # PEFT's model card is a form that nobody has filled in.
    (folder / "README.md").unlink(missing_ok=True)
    for path in folder.iterdir():
        _synchronise(path)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_atomically(folder / PREDGEN_CONFIG, text.encode())


def read_config(folder: str | Path) -> dict[str, Any]:
    """What made the system in a folder.

    Raises:
        InputError: if it is not a finished one, is damaged or of another version.
    """
    path = Path(folder).expanduser() / PREDGEN_CONFIG
    if not path.is_file():
        raise InputError(
            f"checkpoint must hold {PREDGEN_CONFIG}, which `python -m mi_probe.train` "
            f"writes last; {str(path.parent)!r} has none. Was the training interrupted, "
            "or is it another program's folder?"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} must be whole JSON with a schema; reading gave "
            f"{type(error).__name__}: {error}. Copy the checkpoint again."
        ) from None
    if schema != SCHEMA:
        raise InputError(
            f"schema of a checkpoint must be {SCHEMA}, this program's; {path} has "
            f"{schema}. Read it with the version that wrote it."
        )
    if set(content) != set(_KEYS):
        differ = sorted(set(content) ^ set(_KEYS))
        raise InputError(
            f"{path} must have exactly the keys of schema {SCHEMA}; it differs in "
            f"{', '.join(differ)}. Copy the checkpoint again."
        )
    missing = [name for name in _SETTINGS if name not in content["settings"]]
    if missing:
        raise InputError(
            f"settings in {path} must say {', '.join(_SETTINGS)}; they lack "
            f"{', '.join(missing)}. Copy the checkpoint again."
        )
    return content


def load_checkpoint(
    folder: str | Path,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    local_files_only: bool = False,
    task: str | None = None,
) -> Checkpoint:
    """Read a trained system back, in eval mode.

    Args:
        folder: one that `save_checkpoint` wrote.
        device: as torch names it.
        dtype: of the weights; None for that of the training.
        local_files_only: no network for an adapter's base.
        task: the declared one that the caller means to give it, see `check_task`.

    Raises:
        InputError: if a file is absent, damaged or of another system, the base is not
            the one that was trained, or the task is another.
    """
    place = Path(folder).expanduser()
    check_files(place)
    config = read_config(place)
    if task is not None:
        check_task(config, task, place)
    with user_files(PREDGEN_CONFIG, place):
        design = read_design(config["design"])
    backbone = load_backbone(
        str(place),
        device=device,
        dtype=dtype or config["settings"]["dtype"],
        local_files_only=local_files_only,
        lm_head=design.objective != "predictor",
        # It says itself at which step it was saved; after one of rate 0 it is the base.
        untrained=True,
    )
    _check_base(config, backbone)
    system = build_system(backbone, design)
    _load_on_top(system, place)
    return Checkpoint(place, config, system.eval(), backbone)


def check_task(config: Mapping[str, Any], task: str, folder: str | Path) -> None:
    """Raise unless a checkpoint was trained on this declared task.

    A user's file is none, even where it has the name of one.

    Raises:
        InputError: as said.
    """
    options = config["task_options"]
    if task != options["task"]:
        file = options["data"] and f"the file {Path(options['data']).name}"
        raise InputError(
            f"task must be the declared one that {str(folder)!r} was trained on, "
            f"{file or repr(options['task'])}; got '{task}'. Leave the task out: the "
            "checkpoint knows its rows."
        )


def _on_top(system: System) -> dict[str, torch.Tensor]:
    """What the objective put on the model: the head, and a learned alignment."""
    parts = {"head": system.head, "alignment": system.alignment}
    found = {
        f"{name}.{key}": tensor
        for name, part in parts.items()
        if part is not None
        for key, tensor in part.state_dict().items()
    }
    return found


def check_files(folder: str | Path) -> None:
    """Raise, before anything is loaded, where a checkpoint lacks its head or adapter.

    Raises:
        InputError: as said, or as `read_config`.
    """
    place = Path(folder).expanduser()
    read_config(place)
    if not (place / HEAD).is_file():
        raise InputError(
            f"checkpoint must hold {HEAD}, the weights of its head; {str(place)!r} has "
            "none. Copy it again."
        )
    if (place / ADAPTER_CONFIG).is_file():
        read_adapter(place)


def _load_on_top(system: System, folder: Path) -> None:
    path = folder / HEAD
    with user_files(HEAD, folder):
        given = load_file(path)
    wanted = _on_top(system)
    differ = sorted(set(given) ^ set(wanted)) or [
        key for key in wanted if given[key].shape != wanted[key].shape
    ]
    if differ:
        raise InputError(
            f"{HEAD} must hold exactly the weights that {PREDGEN_CONFIG} calls for; that "
            f"in {str(folder)!r} differs in {', '.join(differ[:3])}. Is it from another "
            "system?"
        )
    for name, part in (("head", system.head), ("alignment", system.alignment)):
        if part is not None:
            cut = {k.removeprefix(f"{name}."): t for k, t in given.items()}
            part.load_state_dict({k: cut[k] for k in part.state_dict()})


def _check_base(config: dict[str, Any], backbone: Backbone) -> None:
    """Raise where an adapter's base is not, byte for byte, the one that was trained.

    What counts is the base that was loaded, which PEFT's own ``adapter_config.json``
    names: of the same shape, another one would be measured without a word.
    """
    found, trained = backbone.fingerprint["model"], config["base"]
    if backbone.adapter is not None and found != trained:
        raise InputError(
            f"base of the adapter must be the one that it was trained on, "
            f"'{config['backbone']}' with hash {trained[:12]}; the one that "
            f"{ADAPTER_CONFIG} names now has {found[:12]}. Restore that base, or write "
            "into base_model_name_or_path there where it lies."
        )


def _synchronise(path: Path) -> None:
    if path.is_file():
        # Some are made private, as temporary files are; a checkpoint may be a group's.
        path.chmod(0o644)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
