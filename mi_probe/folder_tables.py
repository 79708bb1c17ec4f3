"""The tables in results folders, read once each."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mi_probe.analysis.bands import with_bands
from mi_probe.analysis.control_points import states_of
from mi_probe.analysis.convergence import training_curves
from mi_probe.analysis.paired import PairedDifference, compare
from mi_probe.analysis.scored import Stored, are_of_the_same_rows
from mi_probe.analysis.summaries import over_seeds
from mi_probe.analysis.tokens.files import read_about
from mi_probe.errors import InputError
from mi_probe.legible import legible_table, legible_within
from mi_probe.results import SCHEMA_VERSION, Row, read_histories, read_results

TABLES = ("gaps.csv", "capacity.csv", "noise.csv", "comparisons.csv")
"""Tables that commands other than `estimate` write: beside the rows, or alone."""
TOKEN_COLUMNS = ("row_id", "position", "token", "label", "pointwise_nats")
"""Columns without which no token can be shown."""
BESIDE = {
    "positions": ("anchor", "position", "value_nats"),
    "types": ("token", "n", "value_nats"),
    "words": ("predicted_word", "word", "value_nats"),
    "generated": ("generated_position", "input_from_end", "value_nats"),
    "spans": ("kind", "span", "number", "value_nats", "cumulative_nats"),
}
"""Tables beside the tokens', and the columns without which nothing of them can be shown."""
_TOKENS = ".tokens.parquet"
_NONE_GIVEN = (
    "results must name at least one folder that `python -m mi_probe.estimate --out` "
    "wrote; got none."
)
_TEXT = (
    *("subject", "objective", "task", "site", "token_set", "pooling", "rung"),
    *("reading", "verdict", "token", "word", "predicted_word", "anchor"),
    *("between", "a", "b", "same", "over", "status"),
)
_NUMBERS = [
    column.name
    for column in fields(Row)
    if column.type in (int, int | None, float, float | None)
]


@dataclass(frozen=True)
class TokenSet:
    """The token tables of one subject, task and site."""

    stem: str
    """Of the files' names."""
    about: Mapping[str, Any]
    """Subject, site, layer, task, n ... as written; empty where they were not."""
    tokens: pd.DataFrame
    """One row a token."""
    beside: Mapping[str, pd.DataFrame]
    """The tables of `BESIDE`; empty where not written."""


class ResultFolders:
    """Result folders, or results.csv and results.parquet files, as one.

    The rows in a folder are the truth. Where they are not there, as in what is shared
    beside a paper, its results.csv is read, and where that is absent its results.parquet.

    Raises:
        InputError: none is given, or one is not there or holds nothing that is known.
    """

    def __init__(self, folders: Sequence[str | Path]):
        if not folders:
            raise InputError(_NONE_GIVEN)
        self.paths = [Path(folder) for folder in folders]
        # One that holds no known table must hold estimates; reading them says if not.
        self._with_rows = [p for p in self.paths if _has_rows(p) or not _has_tables(p)]
        self._points: dict[str, pd.DataFrame] = {}
        self._tables: Mapping[str, pd.DataFrame] = {}

    @classmethod
    def of_tables(
        cls,
        tables: Mapping[str, pd.DataFrame],
        *,
        results: pd.DataFrame | None = None,
        stored: Stored | None = None,
    ) -> "ResultFolders":
        """Tables in memory, as if they lay in a folder.

        Args:
            tables: by their file's name, of `TABLES`.
            results: rows of estimates.
            stored: the pointwise values of the estimates.
        """
        folders = cls.__new__(cls)
        folders.paths, folders._with_rows, folders._points = [], [], {}
        folders._tables = tables
        # Where they are given, they need not be read.
        folders.__dict__["results"] = pd.DataFrame() if results is None else results
        folders.__dict__["stored"] = stored or Stored()
        return folders

    @cached_property
    def results(self) -> pd.DataFrame:
        """Rows of all estimates; empty where there are none."""
        if not self._with_rows:
            return pd.DataFrame()
        return legible_table(read_folders(self._with_rows))

    @cached_property
    def stored(self) -> Stored:
        """The pointwise values of the estimates; a results.csv alone has none."""
        return Stored(path for path in self._with_rows if path.is_dir())

    def paired(self, a: str, b: str) -> PairedDifference | None:
        """The paired difference of two points, by their `row_ids`, in nats.

        None where the pointwise values are not kept, or are of other rows.

        Raises:
            InputError: if a file of them is not what was written.
        """
        one, two = (self.stored.all_of(ids, ids) for ids in (a, b))
        if not one or not two or not are_of_the_same_rows([*one, *two]):
            return None
        return compare(one, two)

    def points(self, unit: str) -> pd.DataFrame:
        """`over_seeds` of the estimates, `with_bands`; empty where there are none."""
        if unit not in self._points:
            rows = self.results
            self._points[unit] = (
                rows if rows.empty else with_bands(over_seeds(rows, unit=unit), self.stored)
            )
        return self._points[unit]

    def curves(self, unit: str) -> pd.DataFrame:
        """`training_curves` of the estimates; empty where no critic was trained.

        A results.csv alone holds none.
        """
        if self.results.empty:
            return self.results
        # A control's critic is no critic of the states.
        states = states_of(self.results)
        histories = read_histories(*(path for path in self._with_rows if path.is_dir()))
        return training_curves(states, histories, unit)

    def table(self, name: str) -> pd.DataFrame:
        """Rows of a CSV of `TABLES` in all folders; empty where none has it.

        Raises:
            InputError: if one cannot be read.
        """
        files = [path / name for path in self.paths if (path / name).is_file()]
        tables = [_read(file) for file in files]
        tables += [self._tables[name]] if name in self._tables else []
        if not tables:
            return pd.DataFrame()
        return legible_table(pd.concat(tables, ignore_index=True))

    @cached_property
    def token_sets(self) -> tuple[TokenSet, ...]:
        """What `python -m mi_probe.tokens` wrote, one a subject, task and site.

        Raises:
            InputError: if a table cannot be read.
        """
        return tuple(
            _token_set(file)
            for path in self.paths
            for file in sorted((path / "tokens").glob(f"*{_TOKENS}"))
        )


def read_folders(folders: Sequence[str | Path]) -> pd.DataFrame:
    """Estimates of all folders, of a results.csv alone where that is all there is.

    Raises:
        InputError: none given, or one is missing, empty or damaged.
    """
    if not folders:
        raise InputError(_NONE_GIVEN)
    lone = {Path(folder): _lone_table(Path(folder)) for folder in folders}
    whole = [path for path, table in lone.items() if table is None]
    tables = [read_results(*whole)] if whole else []
    tables += [_read_rows(table) for table in lone.values() if table is not None]
    return pd.concat(tables, ignore_index=True)


def _has_rows(path: Path) -> bool:
    return (path / "rows").is_dir() or _lone_table(path) is not None


def _has_tables(path: Path) -> bool:
    tokens = next(iter((path / "tokens").glob(f"*{_TOKENS}")), None)
    return tokens is not None or any((path / name).is_file() for name in TABLES)


def _read(file: Path) -> pd.DataFrame:
    try:
        _check_end(file)
        return pd.read_csv(
            file, dtype=dict.fromkeys(_TEXT, "str"), keep_default_na=False, na_values=[""]
        )
    except (ValueError, OSError) as error:
        raise _not_a_table(file, error) from None


def _check_end(file: Path) -> None:
    """Raise where the last line was cut off, which pandas fills up with gaps."""
    if not file.read_bytes().endswith((b"\n", b"\r")) and file.stat().st_size:
        raise ValueError("its last line is cut off")


def _token_set(file: Path) -> TokenSet:
    stem = file.name.removesuffix(_TOKENS)
    path = file.with_name(f"{stem}.json")
    about = read_about(path) if path.is_file() else {}
    try:
        tokens = pd.read_parquet(file)
    except (ValueError, OSError) as error:
        raise _not_a_table(file, error) from None
    _check_columns(file, tokens, TOKEN_COLUMNS)
    beside = {}
    for name, needed in BESIDE.items():
        other = file.with_name(f"{stem}.{name}.csv")
        beside[name] = _read(other) if other.is_file() else pd.DataFrame()
        if other.is_file():
            _check_columns(other, beside[name], needed)
    beside = {name: legible_table(table) for name, table in beside.items()}
    return TokenSet(stem, legible_within(about), legible_table(tokens), beside)


def _check_columns(path: Path, table: pd.DataFrame, needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in table]
    if missing:
        raise InputError(
            f"{path} must have the columns {', '.join(needed)}; it lacks "
            f"{', '.join(missing)}. Write it with this version."
        )


def _lone_table(path: Path) -> Path | None:
    if path.is_file():
        return path
    if (path / "rows").is_dir():
        return None
    known = (path / f"results.{ending}" for ending in ("csv", "parquet"))
    return next((table for table in known if table.is_file()), None)


def _read_rows(path: Path) -> pd.DataFrame:
    try:
        table = _cells(path)
        for column in table.columns.intersection(_NUMBERS):
            table[column] = pd.to_numeric(table[column])
        if "objective" in table:  # an empty text there is a value, and not a gap
            table["objective"] = table["objective"].fillna("")
    except (ValueError, OSError) as error:
        raise _not_a_table(path, error) from None
    if table.empty:
        raise InputError(f"results must hold finished rows; {path} has none.")
    # A column that is missing is named by `over_seeds`, with all others.
    found = set(table.get("schema_version", [])) - {SCHEMA_VERSION}
    if found:
        raise InputError(
            f"schema_version must be {SCHEMA_VERSION}, this program's; {path} has "
            f"{found.pop()}. Read it with the version that wrote it."
        )
    for column in table.columns.intersection(["model", "estimator", "site", "view", "n"]):
        empty = np.flatnonzero(table[column].isna().to_numpy())
        if len(empty):
            raise InputError(
                f"{column} must be filled in every row of {path}; data row "
                f"{int(empty[0]) + 1} has none. Write it again."
            )
    return table


def _cells(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    _check_end(path)
    # Every cell as text first: a revision may be all digits, a task called "NA".
    return pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])


def _not_a_table(path: Path, error: Exception) -> InputError:
    reason = str(error).splitlines()[0]
    return InputError(
        f"results must be whole tables; {path} is none ({reason}). Write it again."
    )
