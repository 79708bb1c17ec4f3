"""Tables of nats in the unit that a figure shows."""

import math
from collections.abc import Sequence

import pandas as pd

from mi_probe.errors import InputError, check_known

UNITS = {"nats": 1.0, "bits": 1.0 / math.log(2.0)}
"""How many of the unit one nat is."""

BOUNDS = (
    *("ci_low", "ci_high", "full_low", "full_high", "pooled_low", "pooled_high"),
    *("added_low", "added_high", "increment_low", "increment_high"),
    *("cumulative_low", "cumulative_high"),
    *("random_low", "random_high", "control_task_low", "control_task_high"),
)
"""Columns that hold information without saying so in their name."""

_RENAMED = {"H_Y": "ceiling", "ci_low": "low", "ci_high": "high"}


def unit_factor(unit: str) -> float:
    """How many of the unit one nat is.

    Raises:
        InputError: an unknown unit.
    """
    check_known("unit", unit, UNITS)
    return UNITS[unit]


def in_unit(
    table: pd.DataFrame,
    unit: str = "nats",
    *,
    needs: Sequence[str] = (),
    source: str = "table",
) -> pd.DataFrame:
    """A table of nats as a figure's points: ``gap_nats`` becomes ``gap``, and so on.

    Columns named ``*_nats`` lose that ending, ``H_Y`` is then called ``ceiling`` and
    ``ci_low``, ``ci_high`` become ``low``, ``high``; all are in `unit`, which a column
    names.

    Args:
        table: as a command wrote it.
        unit: nats or bits.
        needs: columns of `table` that must be there.
        source: what to call the table in an error.

    Raises:
        InputError: an unknown unit, a column missing, words in one of nats, or no row.
    """
    factor = unit_factor(unit)
    missing = [column for column in needs if column not in table.columns]
    if missing:
        raise InputError(
            f"{source} lacks the columns {', '.join(missing)}; give one that this "
            "version's commands wrote."
        )
    if table.empty:
        raise InputError(f"{source} holds no rows; there is nothing to draw.")
    points = table.copy()
    for column in table.columns:
        if column.endswith("_nats") or column in BOUNDS:
            try:
                points[column] = points[column].astype("float64") * factor
            except (ValueError, TypeError) as error:
                raise InputError(
                    f"{source} must hold numbers in the column {column}; {error}."
                ) from None
    points = points.rename(columns=lambda name: name.removesuffix("_nats"))
    points = points.rename(columns=_RENAMED)
    return points.assign(unit=unit).reset_index(drop=True)
