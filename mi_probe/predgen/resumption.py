"""What an interrupted training goes on from, and what is left of it in the end."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mi_probe.backbones.modules import user_files
from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import PREDGEN_CONFIG
from mi_probe.predgen.rank_updates import load_rank_state, rank_state, split_rank_state
from mi_probe.predgen.records import LOSSES
from mi_probe.predgen.systems import System

RESUME = "training_state.safetensors"
"""The trained weights and the buffers as they were, bit for bit, and AdaLoRA's memory."""
STATE = "trainer_state.json"
"""The Trainer's: steps done, and the best of them."""
ONLY_TO_RESUME = (RESUME, "optimizer.pt", "scheduler.pt", "scaler.pt", "rng_state*.pth")

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
