"""The rows on which a trained system may be measured: those that it was not trained on.

A checkpoint names its task, its files and the seeds of every draw, so that the same rows
are drawn again; hashes prove that they are the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from mi_probe.errors import InputError
from mi_probe.predgen.checkpoints import source_of
from mi_probe.predgen.data import Splits, read_splits, sha256_of_ids
from mi_probe.tasks import Task
from mi_probe.tasks.ties import ties


def splits_of(
    config: Mapping[str, Any], *, data_folder: str | Path | None = None
) -> Splits:
    """The parts of the task as the training drew them.

    Args:
        config: a checkpoint's ``predgen_config.json``.
        data_folder: where the original files lie now, if not where they lay then.

    Raises:
        InputError: as the readers do; or if the rows are not those of the training.
    """
    source = source_of(dict(config))
    if data_folder is not None:
        if source.data is not None:
            raise InputError(
                "data-folder belongs to a declared task; the checkpoint was trained on a "
                f"file of its own, {Path(source.data).name}. Leave it out."
            )
        source = replace(source, data_folder=str(data_folder))
    drawn = config["settings"]
    splits = read_splits(
        source,
        train_rows=drawn["train_rows"],
        validation_rows=drawn["validation_rows"],
        reserve=drawn["reserve"],
        seed=drawn["seed"],
    )
    differ = [k for k, v in splits.sha256().items() if v != config["data_sha256"][k]]
    if (
        differ
        or sha256_of_ids(splits.train) != config["train_ids_sha256"]
        or list(splits.test.ids) != list(config["reserved_ids"])
    ):
        raise InputError(
            f"rows of task '{config['task']}' must be those of the training, of which "
            "the checkpoint keeps a hash; those there now are others "
            f"({', '.join(differ) or 'ids'}). Give the files that it was trained on "
            "(--data-folder)."
        )
    return splits


def refuse_trained(task: Task, splits: Splits, *, where: str) -> None:
    """Raise where rows to be measured are tied to those that trained the system.

    A network knows the labels of its training rows by heart: what its states hold of them
    says nothing about others. Rows are tied as `mi_probe.tasks.ties` has it, by which the
    parts of a training were cut too; and in the very file of the training, whatever its
    name, where their ids or groups are the same, so that another template hides nothing.
    A text that was edited, or copied into another template from another file, is not found
    out.

    Args:
        task: the rows to be measured.
        splits: of the training.
        where: the checkpoint, for the message.

    Raises:
        InputError: if one is.
    """
    trained = np.flatnonzero(tied_to(task, splits.train))
    if len(trained):
        raise InputError(
            f"rows to be measured must be none that the system was trained on; "
            f"{len(trained)} of {len(task)} trained {where}, for instance "
            f"'{task.ids[trained[0]]}'. Leave --split and --data out: the rows that the "
            "training reserved are found by themselves."
        )


def tied_to(task: Task, others: Task) -> Bool[np.ndarray, " n"]:
    """Where rows of a task are tied to rows of another."""
    named: list[list[str]] = []
    # The same name says nothing of rows of another file.
    if task.file_sha256 is not None and task.file_sha256 == others.file_sha256:
        named.append([*task.ids, *others.ids])
        if task.groups is not None and others.groups is not None:
            named.append([*task.groups, *others.groups])
    tied = ties([*task.prompts, *others.prompts], *named)
    return np.isin(tied[: len(task)], tied[len(task) :])
