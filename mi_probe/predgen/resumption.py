"""What an interrupted training goes on from, and what is left of it in the end."""

import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mi_probe.atomic import write_atomically
from mi_probe.backbones.fingerprint import sha256_file
from mi_probe.backbones.modules import user_files
from mi_probe.contents import read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import (
    PREDGEN_CONFIG,
    check_files,
    is_checkpoint,
    read_config,
)
from mi_probe.predgen.rank_updates import load_rank_state, rank_state, split_rank_state
from mi_probe.predgen.records import LOSSES, losses_sha256
from mi_probe.predgen.systems import System

RESUME = "training_state.safetensors"
"""The trained weights and the buffers as they were, bit for bit, and AdaLoRA's memory."""
STATE = "trainer_state.json"
"""The Trainer's: steps done, and the best of them."""
CHECKED = "resumption.json"
"""The sha256 of each of these files, of the lines of losses until then, and of itself."""
ONLY_TO_RESUME = (
    RESUME,
    "optimizer.pt",
    "scheduler.pt",
    "scaler.pt",
    "rng_state*.pth",
)

# Neither what is computed nor what is read depends on them.
_IMMATERIAL = ("report_to", "keep_checkpoints", "device", "local_files_only")


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """The finished ``checkpoint-<step>`` folders of a run, by step."""
    if not folder.is_dir():
        return []
    found = [
        (int(match[1]), path)
        for path in folder.iterdir()
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and path.is_dir()
    ]
    return sorted(found)


def drop_resumption(folder: Path, *, but: Path | None = None) -> None:
    """Remove what only serves to go on, from all checkpoints of a run but one."""
    for _, place in checkpoints(folder):
        if place != but:
            for pattern in ONLY_TO_RESUME:
                for path in place.glob(pattern):
                    path.unlink()


def seal_resumption(folder: Path, losses: str) -> None:
    """Write down what the files are from which training goes on.

    Args:
        folder: of the checkpoint.
        losses: `losses_sha256` of the training so far.
    """
    write_atomically(folder / CHECKED, sealed({"files": _files(folder), "losses": losses}))


def damaged_resumption(folder: Path, *, over: bool = False) -> str | None:
    """What of them is not as it was written; None where all is.

    Args:
        folder: of the checkpoint.
        over: the training may have ended, and what is gone only served to go on.
    """
    try:
        written, found = unsealed(read_json(folder / CHECKED))["files"], _files(folder)
        read_config(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    names = {*found} if over else {*written, *found}
    differ = sorted(n for n in names if written.get(n) != found.get(n))
    return ", ".join(differ) or None


def say_damaged_losses(place: Path, step: int, say: Callable[[str], None]) -> None:
    """Name ``losses.csv`` where its lines are not those that a checkpoint was saved with.

    Nothing is computed from them, so that nothing is refused.
    """
    path = place.parent / LOSSES
    try:
        written = unsealed(read_json(place / CHECKED))["losses"]
        if losses_sha256(path, step) == written:
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    say(
        f"{path} is not as it was written until step {step}. No number hangs on it; do not "
        "draw it."
    )


def _files(folder: Path) -> dict[str, str]:
    paths = [p for pattern in (STATE, *ONLY_TO_RESUME) for p in folder.glob(pattern)]
    return {path.name: sha256_file(path) for path in paths}


def save_state(system: System, folder: Path) -> None:
    """Write what training changes, beside the checkpoint."""
    save_file(_state(system) | rank_state(system), folder / RESUME)


def load_state(system: System, folder: Path) -> None:
    """Put it back into a system made by the same settings.

    Raises:
        InputError: if the file is damaged, or of another system.
    """
    with user_files(RESUME, folder):
        ranks, given = split_rank_state(load_file(folder / RESUME))
    wanted = _state(system)
    if set(given) != set(wanted):
        differ = sorted(set(given) ^ set(wanted))
        raise InputError(
            f"{RESUME} must hold the weights that these settings train; that in "
            f"{str(folder)!r} differs in {differ[0]}. Train into another folder."
        )
    named = dict(system.named_parameters()) | dict(system.named_buffers())
    with torch.no_grad():
        for name, tensor in given.items():
            named[name].copy_(tensor)
    load_rank_state(system, ranks)


def _state(system: System) -> dict[str, Tensor]:
    """What training changes: the trained weights, and the buffers."""
    weights = {n: p for n, p in system.named_parameters() if p.requires_grad}
    found = weights | dict(system.named_buffers())
    # A copy each: tied weights are one tensor, which safetensors would refuse.
    return {name: t.detach().cpu().clone().contiguous() for name, t in found.items()}


def check_folder(folder: Path) -> None:
    """Raise unless a training may write there: none of the files there is to be lost.

    Raises:
        InputError: if it is a file, or a folder with something else in it.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"out must be a folder; {str(folder)!r} is a file. Name another.")
    ours = [folder, *(place for _, place in checkpoints(folder))]
    if (folder / LOSSES).is_file() or any((p / PREDGEN_CONFIG).is_file() for p in ours):
        return
    others = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if others:
        raise InputError(
            f"out must be a new or empty folder, or a training's own; {str(folder)!r} "
            f"holds {', '.join(others[:3])}. Name another folder."
        )


def check_same(found: dict[str, Any], wanted: dict[str, Any], folder: Path) -> None:
    """Raise where a folder's training had other settings.

    Raises:
        InputError: with what differs.
    """
    wanted = json.loads(json.dumps(wanted))
    differ = [
        f"{name} was {found.get(name)!r}, now {wanted[name]!r}"
        for name in wanted
        if name not in _IMMATERIAL and found.get(name) != wanted[name]
    ]
    if differ:
        raise InputError(
            f"out must be a folder of its own for each training; {str(folder)!r} holds "
            f"another ({'; '.join(differ[:3])}). Name another folder, or remove it."
        )


def finished(
    folder: Path, settings: dict[str, Any], say: Callable[[str], None]
) -> dict[str, Any] | None:
    """The configuration of a folder's finished training; None where there is none.

    Args:
        folder: of the training.
        settings: what it was told.
        say: is told where there was one that is not as it was written.

    Raises:
        InputError: if it is of other settings.
    """
    if not is_checkpoint(folder):
        return None
    try:
        config = read_config(folder)
        check_files(folder)
    except InputError as error:
        say(f"{error} It is made again.")
        return None
    check_same(config["settings"], settings, folder)
    for step, place in checkpoints(folder)[-1:]:
        say_damaged_losses(place, step, say)
    return config


def resumable(
    folder: Path, config: dict[str, Any], last: int, say: Callable[[str], None]
) -> Path | None:
    """The newest checkpoint from which a training can go on, or which ends it.

    Args:
        folder: of the training.
        config: of what it is about to save.
        last: its last step.
        say: is told of those that are passed over, as they are not what was written.

    Raises:
        InputError: if the folder's training was another.
    """
    for step, place in reversed(checkpoints(folder)):
        if not is_checkpoint(place):
            continue
        try:
            found = read_config(place)
            check_files(place)
        except InputError as error:
            say(f"{error} It is passed over.")
            continue
        check_same(found["settings"], config["settings"], folder)
        if found["data_sha256"] != config["data_sha256"]:
            raise InputError(
                f"out must be a folder of its own for each training; the rows of the "
                f"one in {str(folder)!r} were others. Name another folder."
            )
        over = step == last and (place / STATE).is_file()
        if over or (place / RESUME).is_file():
            if (damage := damaged_resumption(place, over=over)) is None:
                say_damaged_losses(place, step, say)
                return place
            say(f"{place} cannot be gone on from: {damage} is not as it was written.")
    return None


@contextmanager
def global_random_state_kept() -> Iterator[None]:
    """Put the global random states back: the Trainer seeds them all."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    cuda = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
