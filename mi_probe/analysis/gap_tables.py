"""The tables of a results folder's gaps and ladders, which are read together.

    gaps.csv      I(Y;Z|Z_p) without noise, a row a pooling; I(Y;Z|C), one a C
    noise.csv     the same along a ladder of noise, the rung without noise included
    capacity.csv  the same along a ladder of critics

P-values are corrected for the number of gaps of a family, whichever run measured them, and
verdicts are by these.
"""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from mi_probe.analysis.verdict import read_together
from mi_probe.gap_rows import GapRow, RungRow
from mi_probe.results import Results
from mi_probe.rows import typed

_SAME = (
    *("subject", "revision", "step", "task", "split", "n", "site", "token_set"),
    *("pooling", "seed", "estimator", "n_draws"),
)


def gap_rows(results: Results, ids: Collection[str]) -> list[dict[str, Any]]:
    """Rows of the gaps with these ids, read together with all others of the folder."""
    rows = read_together(results.rows("gap"))
    return [row for row in rows if row["piece_id"] in ids]


def rung_rows(results: Results, ids: Collection[str]) -> list[dict[str, Any]]:
    """Rows of the ladders of critics with these ids."""
    return [row for row in results.rows("capacity") if row["piece_id"] in ids]


def gap_tables(results: Results) -> dict[str, pd.DataFrame]:
    """The tables that have rows, by name."""
    gaps = read_together(results.rows("gap"))
    noised = {_ladder(row) for row in gaps if row["sigma"] > 0}
    tables = {
        "gaps": typed([row for row in gaps if row["sigma"] == 0], GapRow),
        "noise": typed([row for row in gaps if _ladder(row) in noised], GapRow),
        "capacity": typed(results.rows("capacity"), RungRow),
    }
    return {name: table for name, table in tables.items() if len(table)}


def _ladder(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What rungs of one ladder of noise have in common."""
    return tuple(row[name] for name in _SAME)
