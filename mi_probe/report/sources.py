"""What a results folder holds: estimates, gaps, ladders, tokens, records of the runs."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from mi_probe.errors import InputError
from mi_probe.folder_tables import ResultFolders
from mi_probe.legible import legible_within
from mi_probe.results import read_runs

GAP_COLUMNS = ("task", "pooling", "gap_nats", "ci_low", "ci_high", "verdict")
PAIR_COLUMNS = ("task", "between", "a", "b", "same", "difference_nats", "p_holm")
RUNG_COLUMNS = ("task", "pooling", "full_nats", "pooled_nats", "gap_nats")
"""Columns without which no gap, no pair, and no rung of a ladder, can be shown."""


@dataclass(frozen=True)
class TokenTable:
    """The tokens of one subject at one site: what it is of, and a row a token."""

    about: dict[str, Any]
    """``subject, site, layer, task, target, n, H_Y_nats`` ..., as they were written."""
    tokens: pd.DataFrame
    beside: dict[str, pd.DataFrame] = field(default_factory=dict)
    """``types``, ``words``, ``positions``, ``generated``, where they were written."""


@dataclass(frozen=True)
class Sources:
    """All that a page is made of. Tables that were not there are empty."""

    folders: ResultFolders
    comparisons: pd.DataFrame
    gaps: pd.DataFrame
    capacity: pd.DataFrame
    noise: pd.DataFrame
    tokens: tuple[TokenTable, ...]
    runs: tuple[dict[str, Any], ...]
    """The records of provenance.json, oldest first."""

    @property
    def results(self) -> pd.DataFrame:
        """One row an estimate and seed."""
        return self.folders.results

    @property
    def points(self) -> pd.DataFrame:
        """One row an estimate in nats, of `over_seeds`."""
        return self.folders.points("nats")


def read_sources(folders: Sequence[str]) -> Sources:
    """Everything in the folders that the page can show.

    Raises:
        InputError: a folder without anything known in it, or a table that is damaged.
    """
    found = ResultFolders(folders)
    places = [path for path in found.paths if path.is_dir()]
    sources = Sources(
        folders=found,
        comparisons=_checked(found, "comparisons.csv", PAIR_COLUMNS),
        gaps=_checked(found, "gaps.csv", GAP_COLUMNS),
        capacity=_checked(found, "capacity.csv", (*RUNG_COLUMNS, "rung")),
        noise=_checked(found, "noise.csv", (*RUNG_COLUMNS, "sigma")),
        tokens=tuple(
            TokenTable(
                {"stem": one.stem, **one.about},
                one.tokens,
                {name: table for name, table in one.beside.items() if not table.empty},
            )
            for one in found.token_sets
        ),
        runs=tuple(
            sorted(
                (legible_within(run) for place in places for run in read_runs(place)),
                key=lambda run: str(run.get("started", "")),
            )
        ),
    )
    if sources.points.empty and sources.gaps.empty and not sources.tokens:
        raise InputError(
            f"results must hold estimates, gaps or tokens; {', '.join(folders)} hold none."
        )
    return sources


def _checked(folders: ResultFolders, name: str, needed: Sequence[str]) -> pd.DataFrame:
    table = folders.table(name)
    missing = [column for column in needed if column not in table]
    if len(table) and missing:
        raise InputError(
            f"{name} must have the columns {', '.join(needed)}; it lacks "
            f"{', '.join(missing)}. Write it with this version."
        )
    return table
