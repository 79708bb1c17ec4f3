"""Checks that readers share: the columns are there, a label can be read."""

import math
from collections.abc import Sequence
from pathlib import Path

from mi_probe.errors import InputError
from mi_probe.tasks.delimited import NUMBER
from mi_probe.tasks.entry import Table
from mi_probe.tasks.tables import Rows

# Without 'nan' and 'inf', which float() takes.


def need(rows: Rows, columns: Sequence[str], path: Path | str) -> Rows:
    """The rows, if each has these columns filled.

    Raises:
        InputError: for the first column that is missing or empty: it is the wrong file,
            or a split without labels.
    """
    _present(rows, columns, path)
    for column in columns:
        empty = [i for i, row in enumerate(rows) if row[column] in (None, "")]
        if empty:
            raise InputError(
                f"column '{column}' of {_name(path)} must be filled; {len(empty)} of "
                f"{len(rows)} cells are empty, the first in data row {empty[0] + 1}."
            )
    return rows


def _present(rows: Rows, columns: Sequence[str], path: Path | str) -> None:
    for column in columns:
        lacking = [row for row in rows if column not in row]
        if lacking:
            has = ", ".join(map(repr, lacking[0]))
            raise InputError(
                f"{_name(path)} must have the columns {', '.join(columns)}; '{column}' is "
                f"missing in {len(lacking)} of {len(rows)} rows, the first of which has "
                f"{has}. Is it the right file, and a split with labels?"
            )


def _name(path: Path | str) -> str:
    return path.name if isinstance(path, Path) else path


def class_of(value: object, classes: Sequence[str], where: str) -> int:
    """The place of a label among the classes as the file writes them.

    Raises:
        InputError: if it is none of them.
    """
    text = str(value).strip()
    if text not in classes:
        raise InputError(
            f"label of {where} must be one of {', '.join(classes)}; got {text!r}. Is it "
            "the right file, and a split with labels?"
        )
    return classes.index(text)


def scored(rows: Rows, column: str, path: Path | str) -> Table:
    """The rows whose column is a number, as ``label``; and how many are not.

    Organisers publish test files with ``NONE`` for a score: such a row has no Y, and is
    counted as dropped.

    Raises:
        InputError: if the column is missing.
    """
    _present(rows, (column,), path)
    kept: Rows = []
    for row in rows:
        value = row[column]
        if isinstance(value, str):
            value = float(value) if NUMBER.fullmatch(value.strip()) else None
        if value is not None and not isinstance(value, bool) and math.isfinite(value):
            # Without the column itself: a prompt that shows it gives Y away.
            shown = {name: cell for name, cell in row.items() if name != column}
            kept.append({**shown, "label": float(value)})
    lost = len(rows) - len(kept)
    note = f"{lost} rows dropped: no number in '{column}'"
    return Table(kept, (note,) if lost else ())
