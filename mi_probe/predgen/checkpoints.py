"""Trained systems as folders that any Hugging Face loader reads, with all that made them.

A folder holds a model (``config.json``, ``model.safetensors``) or an adapter
(``adapter_config.json``, ``adapter_model.safetensors``), the tokenizer,
``head.safetensors`` with what the objective put on the model, and
``predgen_config.json``, which comes last: a folder without it is not finished. That file
holds the sha256 of each other one and of itself, so that what is not as it was trained is
named. There is no pickle in what is read here.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from mi_probe.atomic import write_atomically
from mi_probe.backbones import Backbone, load_backbone
from mi_probe.backbones.adapters import read_adapter
from mi_probe.backbones.fingerprint import sha256_file
from mi_probe.backbones.folders import ADAPTER_CONFIG
from mi_probe.backbones.modules import user_files
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.contents import canonical, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.predgen.adapters import save_model
from mi_probe.predgen.build import build_system
from mi_probe.predgen.data import Source
from mi_probe.predgen.design import read_design
from mi_probe.predgen.systems import System

PREDGEN_CONFIG = "predgen_config.json"
HEAD = "head.safetensors"
SCHEMA = 3
_MAYBE = NoneType
_KEYS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("objective", "backbone", "base", "task", "target", "peft"), (str,)),
    **dict.fromkeys(("reserved_split", "train_ids_sha256"), (str,)),
    **dict.fromkeys(("schema", "seed", "step", "prompt_tokens"), (int,)),
    **dict.fromkeys(("task_options", "design", "settings", "data_sha256"), (dict,)),
    **dict.fromkeys(("notes", "versions", "metrics", "files", "trainable"), (dict,)),
    **{"revision": (str, _MAYBE), "label_names": (list, _MAYBE), "reserved_ids": (list,)},
}
"""What ``predgen_config.json`` must hold, and of which type."""
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
    given = config["task_options"]
    known = {field.name: field.type for field in fields(Source)}
    differ = sorted(set(given) - set(known)) or [
        f"{name}, {value!r}"[:80]
        for name, value in given.items()
        if not _is_one(value, known[name])
    ]
    if differ:
        raise InputError(
            f"task_options in {PREDGEN_CONFIG} must be of {', '.join(sorted(known))}, as "
            f"they were written; got {', '.join(differ)}."
        )
    return Source(**given)


def _is_one(value: Any, kind: Any) -> bool:
    """Whether a plain value is of a field's type."""
    kinds = get_args(kind) if get_origin(kind) is not Literal else (kind,)
    return any(
        value in get_args(one) if get_origin(one) is Literal else type(value) is one
        for one in kinds or (kind,)
    )


def save_checkpoint(folder: str | Path, system: System, config: dict[str, Any]) -> None:
    """Write a system; ``predgen_config.json`` comes last.

    Args:
        folder: where to; made if it is not there.
        system: what to save, with its backbone and tokenizer.
        config: what made it; see `mi_probe.predgen.training`. It must have exactly the
            keys that `load_checkpoint` asks for, besides ``schema``, ``design``,
            ``trainable`` and ``files``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_model(system.model, folder)
    with quiet_transformers():
        system.backbone.tokenizer.save_pretrained(str(folder))
    weights = {name: t.detach().cpu().contiguous() for name, t in _on_top(system).items()}
    save_file(weights, folder / HEAD, metadata={"format": "pt"})
    # PEFT's model card is a form that nobody has filled in.
    (folder / "README.md").unlink(missing_ok=True)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        _synchronise(path)
    content = {
        **{"schema": SCHEMA, "design": asdict(system.design)},
        **{"trainable": system.trainable, **config},
        "files": {p.name: _sha256(p) for p in files if p.name != PREDGEN_CONFIG},
    }
    assert set(content) == set(_KEYS), set(content) ^ set(_KEYS)
    write_atomically(folder / PREDGEN_CONFIG, sealed(content))


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
        content = read_json(path)
        schema = content["schema"]
        if schema == SCHEMA:
            content = unsealed(content)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} must be whole JSON with a schema, as it was written; reading gave "
            f"{type(error).__name__}: {error}. Copy the checkpoint again."
        ) from None
    if schema != SCHEMA:
        raise InputError(
            f"schema of a checkpoint must be {SCHEMA}, this program's; {path} has "
            f"{schema!r}. Read it with the version that wrote it."
        )
    differ = sorted(set(content) ^ set(_KEYS)) or [
        f"{name}, {content[name]!r}"[:80]
        for name, kinds in _KEYS.items()
        if type(content[name]) not in kinds
    ]
    if differ:
        raise InputError(
            f"{path} must have exactly the keys of schema {SCHEMA}, and values of their "
            f"types; it differs in {', '.join(differ)}. Copy the checkpoint again."
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
        chat_template=bool(config["settings"].get("chat_template", False)),
    )
    _check_base(config, backbone)
    with user_files(PREDGEN_CONFIG, place):
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
    """Raise, before anything is loaded, where a checkpoint's files are not as written.

    Of ``adapter_config.json`` the name of the base may have changed: it may lie elsewhere
    now, and is compared itself.

    Raises:
        InputError: as said, naming the files, or as `read_config`.
    """
    place = Path(folder).expanduser()
    written = read_config(place)["files"]
    # Names that lead elsewhere are none that were written.
    gone = [n for n in {HEAD: "", **written} if "/" in n or not (place / n).is_file()]
    if gone:
        raise InputError(
            f"checkpoint must hold every file that it was written with; {str(place)!r} "
            f"lacks {', '.join(sorted(gone)[:3])}. Copy it again."
        )
    other = [name for name, sha in written.items() if _sha256(place / name) != sha]
    if other:
        raise InputError(
            "files of a checkpoint must be as they were written, of which "
            f"{PREDGEN_CONFIG} has the sha256; in {str(place)!r} {', '.join(other[:3])} "
            f"{'is' if len(other) == 1 else 'are'} damaged or another's. Copy the "
            "checkpoint again."
        )
    if (place / ADAPTER_CONFIG).is_file():
        read_adapter(place)


def _sha256(path: Path) -> str:
    if path.name == ADAPTER_CONFIG:
        try:
            kept = dict(read_json(path), base_model_name_or_path=None)
            return hashlib.sha256(canonical(kept).encode()).hexdigest()
        except (ValueError, TypeError):
            pass  # what is no JSON object is not what was written either
    return sha256_file(path)


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
