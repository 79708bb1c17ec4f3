"""What training needs of a declared task: three splits that share no prompt."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mi_probe.errors import InputError
from mi_probe.tasks.catalogue import TASKS
from mi_probe.tasks.cut import SHARES, cut
from mi_probe.tasks.hub import has_datasets
from mi_probe.tasks.load import load_task
from mi_probe.tasks.originals import splits_there
from mi_probe.tasks.task import Task
from mi_probe.tasks.ties import ties

_HELD_OUT = {"train": 0.9, "validation": 0.1}


def load_splits(
    name: str,
    *,
    data_folder: str | Path | None = None,
    template: str | None = None,
    answer: Literal["label", "text"] = "label",
    without_train: Literal["refuse", "cut"] = "refuse",
    seed: int = 0,
) -> dict[str, Task]:
    """``train`` to fit, ``validation`` to select, ``test`` to report, and nothing else.

    Official splits where there are some. Without an official validation split, a tenth of
    the training rows is cut off for it; without any, the rows are cut in 80, 10 and 10
    per cent, as `load_task` does with seed 0. A row that is tied (`mi_probe.tasks.ties`) to
    one of a later split, such as one whose prompt is the same but for case, is left out;
    notes count what was left out.

    Args:
        name: one of `TASKS`.
        data_folder: as `load_task` takes it; a file stands for its folder.
        template: as `load_task` takes it.
        answer: as `load_task` takes it.
        without_train: ``cut`` cuts the labelled rows that are there, where the training
            files are not: an experiment, whose test rows are not those of the papers.
        seed: of what is cut.

    Raises:
        InputError: as `load_task` does; or if there is no training split, or none of its
            rows is its own.
    """
    if data_folder is not None and Path(data_folder).is_file():
        data_folder = Path(data_folder).parent
    there = _there(name, data_folder)
    how: dict[str, Any] = {
        "data_folder": data_folder,
        "template": template,
        "answer": answer,
    }
    if "all" in there:
        parts = cut(load_task(name, split="all", **how), SHARES, seed=seed)
    elif {"train", "test"} <= set(there):
        parts = {split: load_task(name, split=split, **how) for split in ("train", "test")}
        if "validation" in there:
            parts["validation"] = load_task(name, split="validation", **how)
        else:
            parts |= cut(parts["train"], _HELD_OUT, seed=seed)
    elif without_train == "cut" and there:
        whole = "test" if "test" in there else there[0]
        parts = cut(load_task(name, split=whole, **how), SHARES, seed=seed)
    else:
        load_task(name, split="train", **how)  # says which files, where and how many rows
        raise InputError(
            f"task '{name}' must have the splits train and test to train on; there is "
            f"only {', '.join(there)}."
        )
    return _disjoint(parts)


def _there(name: str, folder: str | Path | None) -> list[str]:
    entry = TASKS.get(name)
    if entry is None:
        return []
    if folder is not None:
        original, place = entry.original, Path(folder)
        return splits_there(original, place) if original and place.exists() else []
    if entry.wheel is not None and entry.wheel.split == "all":
        return ["all"]
    if entry.hub is not None and has_datasets():
        return list(entry.hub.splits)
    return [entry.wheel.split] if entry.wheel is not None else []


def _disjoint(
    parts: dict[str, Task],
    groups: Mapping[str, Sequence[Hashable | None]] | None = None,
) -> dict[str, Task]:
    """The parts without the rows that are tied to those of a later part."""
    ordered = {name: parts[name] for name in ("train", "validation", "test")}
    prompts = [prompt for part in ordered.values() for prompt in part.prompts]
    given = [] if groups is None else [[g for name in ordered for g in groups[name]]]
    sizes = np.cumsum([len(part) for part in ordered.values()])[:-1]
    tied = dict(zip(ordered, np.split(ties(prompts, *given), sizes), strict=True))
    for name, later in (("train", ("validation", "test")), ("validation", ("test",))):
        part = ordered[name]
        kept = ~np.isin(tied[name], np.concatenate([tied[other] for other in later]))
        if not kept.any():
            raise InputError(
                f"split '{name}' of task '{part.name}' must have rows of its own; all "
                f"{len(part)} prompts are in {' or '.join(later)} too. Is a file copied?"
            )
        if not kept.all():
            note = (
                f"{int((~kept).sum())} rows dropped: their prompt is in "
                f"{' or '.join(later)} too"
            )
            whole = part.rows(np.flatnonzero(kept))
            ordered[name] = replace(whole, notes=(*part.notes, note))
    return ordered
