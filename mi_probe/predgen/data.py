"""The rows that a system is trained, selected and measured on, which never meet."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from mi_probe.errors import InputError
from mi_probe.tasks import Task, load_splits, read_table
from mi_probe.tasks.cut import SHARES, cut

FEWEST_MEASURED = 10
"""Rows, or groups of them, two a fold, that an estimate of information is made of."""
_LOOKED_FOR_COPIES = 1_000
"""More rows than that are not so few groups by copies alone."""


@dataclass(frozen=True)
class Source:
    """Where a task's rows come from; a checkpoint keeps it, to find them again."""

    task: str | None = None
    """A declared data set."""
    data_folder: str | None = None
    """Its original files, if those are read."""
    answer: Literal["label", "text"] = "label"
    """How an answer to a question with options is written."""
    without_train: Literal["refuse", "cut"] = "refuse"
    """Cut the labelled rows that are there, where the training files are not."""
    data: str | None = None
    """The user's own file, instead of a declared data set."""
    text_column: str | None = None
    label_column: str = "label"
    id_column: str | None = None
    group_column: str | None = None
    label_kind: Literal["classes", "scores"] | None = None
    quoting: Literal["standard", "none"] | None = None
    encoding: str | None = None
    template: str | None = None
    split_seed: int = 0
    """Of what is cut, where there are no official splits, and of the held-out rows that
    are drawn."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Parts of a task that share no row and no prompt."""

    train: Task
    validation: Task
    """On which a model is selected."""
    test: Task
    """On which it is reported, and its information measured: never seen in training."""

    def sha256(self) -> dict[str, str]:
        """A hash a part: of ids, prompts, labels and what Y is."""
        return {name: part.sha256() for name, part in vars(self).items()}


def read_splits(
    source: Source,
    *,
    train_rows: int | None = None,
    validation_rows: int | None = None,
    reserve: int | None = None,
    seed: int = 0,
) -> Splits:
    """The three parts of a task, each cut down by a draw where asked for.

    A user's own file is cut in 80, 10 and 10 per cent, as `load_splits` does with data
    that have no official splits.

    Args:
        source: where the rows come from.
        train_rows: how many to draw; None takes all, and so below. A part that has fewer
            is taken whole.
        validation_rows: as above.
        reserve: how many test rows.
        seed: of the training rows' draw; the others are drawn by the source's
            ``split_seed``, so that trainings of several seeds are scored on the same rows.

    Raises:
        InputError: as the readers do; or unless one of task and data is given.
    """
    parts = _whole(source)
    # What is held out does not hang on the training's seed: seeds are compared on it.
    held_out = source.split_seed
    wanted = {
        "train": (train_rows, seed),
        "validation": (validation_rows, held_out),
        "test": (reserve, held_out),
    }
    for name, (rows, drawn_by) in wanted.items():
        if rows is not None and rows < 1:
            raise InputError(f"rows of '{name}' must be at least 1; got {rows}.")
        if rows is not None and rows < len(parts[name]):
            parts[name] = parts[name].sample(rows, seed=drawn_by)
        # As many as there are is what the default of the validation rows means.
        elif rows is not None and rows > len(parts[name]) and name != "validation":
            fewer = f"all {len(parts[name]):,} rows; {rows:,} were asked for"
            parts[name] = _noted(parts[name], fewer)
    found = Splits(**parts)
    if found.train.kind == "classes" and len(set(found.train.labels.tolist())) < 2:
        raise InputError(
            f"training rows must be of two classes or more; the {len(found.train)} drawn "
            "are of one. Draw more of them."
        )
    return replace(found, test=_measurable(found.test))


def _noted(task: Task, note: str) -> Task:
    return replace(task, notes=(*task.notes, note))


def _measurable(test: Task) -> Task:
    """The reserved rows, with a note where they are too few to be measured."""
    told = test.groups if len(test) > _LOOKED_FOR_COPIES else test.grouped().groups
    units, what = len(test), "rows"
    if told is not None and len(set(told)) < units:
        units, what = len(set(told)), "groups of rows that depend on one another"
    if units >= FEWEST_MEASURED:
        return test
    return _noted(
        test,
        f"{units} {what}: information is measured on {FEWEST_MEASURED} or more. The "
        "training may be scored on these, but not measured; give more data",
    )


def _whole(source: Source) -> dict[str, Task]:
    if (source.task is None) == (source.data is None):
        got = "neither" if source.task is None else "both"
        raise InputError(
            f"one of task and data must be given; got {got}. --task is a declared data "
            "set; --data FILE is your own."
        )
    # A shell hands a backslash and an n on; nobody means these two by it.
    template = source.template and source.template.replace("\\n", "\n")
    if source.data is None:
        return load_splits(
            source.task or "",
            data_folder=source.data_folder,
            template=template,
            answer=source.answer,
            without_train=source.without_train,
            seed=source.split_seed,
        )
    foreign: dict[str, Any] = {
        "data_folder": source.data_folder is not None,
        "answer": source.answer != "label",
        "without_train": source.without_train != "refuse",
    }
    if given := [name for name, is_given in foreign.items() if is_given]:
        raise InputError(
            f"{given[0].replace('_', '-')} belongs to a declared task, --task; with "
            "--data FILE, that file is all there is. Leave it out."
        )
    whole = read_table(
        source.data,
        source.text_column,
        source.label_column,
        id_column=source.id_column,
        group_column=source.group_column,
        template=template,
        label_kind=source.label_kind,
        quoting=source.quoting,
        encoding=source.encoding,
    )
    whole = replace(whole, split="all")
    parts = cut(whole, SHARES, seed=source.split_seed, groups=whole.groups)
    return {name: parts[name] for name in ("train", "validation", "test")}


def sha256_of_ids(task: Task) -> str:
    """One hash of the rows' ids."""
    return hashlib.sha256(json.dumps(task.ids).encode()).hexdigest()
