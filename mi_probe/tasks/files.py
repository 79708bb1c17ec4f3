"""A user's own file as a task: CSV, TSV, JSON lines, JSON or Parquet.

Values stay what the file says they are: ``None``, ``null`` and ``NA`` in a CSV are
text, never a missing value. Missing is an empty or blank cell there, a null in the others.
In a column of numbers such words are refused, as they are neither.
"""

import difflib
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mi_probe.errors import InputError
from mi_probe.tasks.labels import classes_or_scores
from mi_probe.tasks.prompts import fill
from mi_probe.tasks.tables import (
    Rows,
    checked,
    json_lines,
    json_list,
    parquet,
    separated,
)
from mi_probe.tasks.task import Task

READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": lambda path: separated(path, ","),
    ".tsv": lambda path: separated(path, "\t"),
    ".jsonl": json_lines,
    ".json": json_list,
    ".parquet": parquet,
}


# JSON can escape what no text can hold, and no tokenizer takes.
_HALF = re.compile("[\ud800-\udfff]")


def _rows(path: Path) -> Rows:
    read = READERS.get(path.suffix.lower())
    if read is None and path.is_file():
        raise InputError(
            f"data must end in {', '.join(READERS)}; got '{path.name}'. "
            "Convert it, or rename it if only the ending differs."
        )
    return checked(path, read or json_list)


def _column(rows: Rows, name: str, role: str, path: Path) -> list[Any]:
    """A column without a gap.

    JSON objects may differ in their keys, hence the union over the rows.
    """
    names = list(dict.fromkeys(key for row in rows for key in row))
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise InputError(
            f"{role} must be a column of {path.name}, which has "
            f"{', '.join(map(repr, names))}; got '{name}'.{hint}"
        )
    values = [row.get(name) for row in rows]
    _check_characters(values, f"{role} '{name}'")
    empty = [
        i
        for i, v in enumerate(values)
        if v is None
        or (isinstance(v, str) and not v.strip())
        or (isinstance(v, float) and v != v)
    ]
    if empty:
        raise InputError(
            f"{role} '{name}' must be filled in every row; {len(empty)} of {len(rows)} "
            f"are empty, the first in data row {empty[0] + 1}. Fill or remove them."
        )
    return values


def _check_characters(texts: Sequence[Any], what: str) -> None:
    broken = [i for i, t in enumerate(texts) if isinstance(t, str) and _HALF.search(t)]
    if broken:
        raise InputError(
            f"{what} must hold whole characters; {len(broken)} of {len(texts)} rows have "
            f"half of one (a lone surrogate), the first is data row {broken[0] + 1}. Mend "
            "or remove them."
        )


def read_file(
    path: str | Path,
    text_column: str | None = None,
    label_column: str = "label",
    *,
    id_column: str | None = None,
    group_column: str | None = None,
    template: str | None = None,
    label_kind: Literal["classes", "scores"] | None = None,
    name: str | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> Task:
    """A task from the user's own file.

    Args:
        path: .csv, .tsv, .jsonl, .json (a list of objects) or .parquet; UTF-8.
        text_column: the column with the text; None means ``text``, or no such column
            where the template names others.
        label_column: the column with Y.
        id_column: a unique name a row; None numbers the rows.
        group_column: the column that says which rows depend on each other: the document,
            speaker or question that several rows are of.
        template: the prompt, with the file's columns as ``{column}``; None is the text
            alone.
        label_kind: ``classes`` or ``scores``; None takes words, truth values and whole
            numbers as classes, and other numbers as scores.
        name: of the task; None takes the file's.
        rows: how many rows to draw, without replacement; None takes all.
        seed: of that draw.

    Raises:
        InputError: if the file is absent, empty, not UTF-8 or malformed, a column is
            missing or has gaps, ids repeat, or the labels are of one class or of mixed
            types.
    """
    path = Path(path)
    table = _rows(path)
    text = text_column or (None if template else "text")
    if text is not None:
        _column(table, text, "text-column", path)
    column = _column(table, label_column, "label-column", path)
    if text == label_column:
        raise InputError(f"text-column and label-column must differ; both are '{text}'.")
    labels, names = classes_or_scores(column, label_column, label_kind)
    ids = _ids(table, id_column, path)
    shown = template or "{" + str(text) + "}"
    prompts = (
        fill(template, _full(table), hidden=[label_column])
        if template
        else tuple(str(row[str(text)]) for row in table)
    )
    _check_characters(prompts, "prompts")
    blank = [i for i, prompt in enumerate(prompts) if not prompt.strip()]
    if blank:
        raise InputError(
            f"prompts must hold text; {len(blank)} of {len(prompts)} are blank, the "
            f"first in data row {blank[0] + 1}. Fill or remove them."
        )
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    task = Task(
        name=name or path.stem,
        prompts=prompts,
        answers=tuple(
            f" {value:g}" if names is None else f" {names[int(value)]}" for value in labels
        ),
        labels=labels,
        label_names=names,
        target=f"column '{label_column}' of {path.name}",
        ids=ids,
        source=(f"{path.name}, sha256 {sha[:16]}, prompt {shown!r}"),
        file_sha256=sha,
        groups=_groups(table, group_column, label_column, path),
    ).grouped()
    return task if rows is None else task.sample(rows, seed=seed)


def _full(table: Rows) -> Rows:
    """Every row with every column; a gap in a column that a prompt shows is empty."""
    names = list(dict.fromkeys(key for row in table for key in row))
    return [{n: "" if row.get(n) is None else row[n] for n in names} for row in table]


def _groups(
    table: Rows, group_column: str | None, label_column: str, path: Path
) -> tuple[str, ...] | None:
    if group_column is None:
        return None
    if group_column == label_column:
        raise InputError(
            f"group-column and label-column must differ; both are '{group_column}', and "
            "rows of one label are no group."
        )
    groups = tuple(str(v) for v in _column(table, group_column, "group-column", path))
    if len(set(groups)) < 2 and len(groups) > 1:
        raise InputError(
            f"group-column '{group_column}' must hold several groups, which are held out "
            f"in turn; all {len(groups)} rows are of '{groups[0]}'."
        )
    return groups


def _ids(table: Rows, id_column: str | None, path: Path) -> tuple[str, ...]:
    if id_column is None:
        return tuple(str(i) for i in range(len(table)))
    ids = tuple(str(v) for v in _column(table, id_column, "id-column", path))
    if len(set(ids)) < len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise InputError(
            f"id-column '{id_column}' must be unique; {int((counts > 1).sum())} ids "
            f"repeat, for instance '{values[counts > 1][0]}'. Name another column, or "
            "leave --id-column out to number the rows."
        )
    return ids
