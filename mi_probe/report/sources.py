"""What a results folder holds: estimates, gaps, ladders, tokens, records of the runs."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mi_probe.analysis.summaries import over_seeds
from mi_probe.errors import InputError
from mi_probe.folder_tables import read_folders

TABLES = {
    "gaps": ("task", "pooling", "gap_nats", "ci_low", "ci_high", "verdict"),
    "capacity": ("task", "pooling", "rung", "full_nats", "pooled_nats", "gap_nats"),
    "noise": ("task", "pooling", "sigma", "full_nats", "pooled_nats", "gap_nats"),
}
"""Tables beside the estimates, ``NAME.csv``, and the columns that they must have."""

TOKEN_COLUMNS = ("row_id", "position", "token", "label", "pointwise_nats")
"""Columns without which no token can be shown."""


@dataclass(frozen=True)
class TokenTable:
    """The tokens of one subject at one site: what it is of, and a row a token."""

    about: dict[str, Any]
    """``subject, site, layer, task, target, n, H_Y_nats`` ..., as they were written."""
    tokens: pd.DataFrame
    beside: dict[str, pd.DataFrame] = field(default_factory=dict)
    """``types``, ``words`` and ``positions``, where they were written."""


@dataclass(frozen=True)
class Sources:
    """All that a page is made of. Tables that were not there are empty."""

    results: pd.DataFrame
    """One row an estimate and seed."""
    points: pd.DataFrame
    """One row an estimate, of `over_seeds`."""
    gaps: pd.DataFrame
    capacity: pd.DataFrame
    noise: pd.DataFrame
    tokens: tuple[TokenTable, ...]
    runs: tuple[dict[str, Any], ...]
    """The records of provenance.json, oldest first."""


def read_sources(folders: Sequence[str]) -> Sources:
    """Everything in the folders that the page can show.

    Raises:
        InputError: a folder without estimates, or a table that is damaged.
    """
    results = read_folders(folders)
    places = [Path(folder) for folder in folders if Path(folder).is_dir()]
    beside = {name: _read_tables(places, name) for name in TABLES}
    tokens = [
        _read_tokens(path)
        for place in places
        for path in sorted((place / "tokens").glob("*.tokens.parquet"))
    ]
    runs = [run for place in places for run in _read_runs(place / "provenance.json")]
    return Sources(
        results=results,
        points=over_seeds(results),
        tokens=tuple(tokens),
        runs=tuple(sorted(runs, key=lambda run: str(run.get("started", "")))),
        **beside,
    )


def _read_tables(places: Sequence[Path], name: str) -> pd.DataFrame:
    found = [p / f"{name}.csv" for p in places if (p / f"{name}.csv").is_file()]
    tables = [_read_csv(path, TABLES[name]) for path in found]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _read_csv(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    try:
        # A task may be called "NA"; only an empty cell is no value.
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except ValueError as error:
        raise InputError(
            f"{path} must be a table; it is damaged ({str(error).splitlines()[0]}). "
            "Remove it, and write it again."
        ) from None
    missing = [column for column in needed if column not in table]
    if missing:
        raise InputError(
            f"{path} must have the columns {', '.join(needed)}; it lacks "
            f"{', '.join(missing)}. Write it with this version."
        )
    return table


def _read_tokens(path: Path) -> TokenTable:
    stem = path.name.removesuffix(".tokens.parquet")
    try:
        tokens = pd.read_parquet(path)
        about = path.with_name(f"{stem}.json")
        content = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    except (ValueError, OSError) as error:
        raise InputError(
            f"{path} must be a table of tokens; it is damaged "
            f"({str(error).splitlines()[0]}). Remove it, and write it again."
        ) from None
    missing = [column for column in TOKEN_COLUMNS if column not in tokens]
    if missing:
        raise InputError(
            f"{path} must have the columns {', '.join(TOKEN_COLUMNS)}; it lacks "
            f"{', '.join(missing)}. Write it with this version."
        )
    needed = {
        "positions": ("anchor", "position", "value_nats"),
        "types": ("token", "n", "value_nats"),
        "words": ("predicted_word", "word", "value_nats"),
    }
    beside = {
        name: _read_csv(path.with_name(f"{stem}.{name}.csv"), columns)
        for name, columns in needed.items()
        if path.with_name(f"{stem}.{name}.csv").is_file()
    }
    return TokenTable({"stem": stem, **content}, tokens, beside)


def _read_runs(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        return [dict(run) for run in runs]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} must be the record of the runs; it is damaged ({error})."
        ) from None
