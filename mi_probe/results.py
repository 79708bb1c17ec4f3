"""Results: one tidy row an estimate, in a folder that survives an interruption.

    rows/ROW_ID.json              one estimate, written when it is finished: the truth
    pointwise/ROW_ID.safetensors  i(y; x) of each example in nats, its label, id and group
    gaps/PIECE_ID.json            gaps, or a ladder of critics, measured in one go
    results.csv, results.parquet  all rows as a table, rebuilt from rows/: for people, and
                                  with its types for programs
    gaps.csv, noise.csv, capacity.csv   rebuilt from gaps/ (`mi_probe.analysis.gap_tables`)
    provenance.json               a record of each run: configuration, versions, hashes
    activations/                  hidden states, where they were kept

``ROW_ID`` is a hash of what defines the estimate, so a row that exists is not computed
again, and two runs with other settings can share a folder. A row holds the sha256 of
itself and of its pointwise file: one that is not what was written is named, and only it
is computed again.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mi_probe.atomic import check_writable, write_atomically
from mi_probe.brief import brief_html
from mi_probe.contents import digest, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.gap_rows import Compared
from mi_probe.locks import locked
from mi_probe.row_files import (
    Finished,
    id_numbers,
    intact_rows,
    read_finished,
    read_kept,
    read_pointwise,
    write_finished,
)
from mi_probe.rows import COLUMNS, SCHEMA_VERSION, Row, table_of, typed

__all__ = [
    "COLUMNS",
    "SCHEMA_VERSION",
    "Results",
    "Row",
    "id_numbers",
    "read_kept",
    "read_pointwise",
    "read_results",
    "table_of",
    "write_atomically",
]


class Results:
    """A results folder, to write into; `read_results` reads.

    Nothing is made on disk before the first `add` or `record`.

    Several processes may write into one at a time.

    Args:
        folder: where.
        say: is told of each row that is not what was written; it counts as not there.

    Raises:
        InputError: if the path is a file, a folder with something else in it, or one that
            cannot be made or written; or the record of its runs is damaged.
    """

    def __init__(
        self, folder: str | Path, say: Callable[[str], object] = warnings.warn
    ) -> None:
        self.folder = Path(folder)
        check_writable(self.folder)
        if self.folder.is_dir() and not _is_results(self.folder):
            names = sorted(p.name for p in self.folder.iterdir())
            others = [name for name in names if not name.startswith(".")]
            if others:
                raise InputError(
                    "out must be a new or empty folder, or one of results; "
                    f"{self.folder} holds {', '.join(others[:3])}. Choose another."
                )
        read_runs(self.folder)
        self._finished, damaged = read_finished(self.folder, pointwise=True)
        for line in damaged:
            say(f"{line} It counts as not there: the run that made it makes it again.")

    def refresh(self) -> None:
        """Take in what other processes have finished meanwhile."""
        self._finished, _ = read_finished(self.folder, pointwise=True)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._finished

    def add(
        self,
        rows: Row | Sequence[Compared],
        key: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
        history: Any = (),
    ) -> None:
        """Keep one finished estimate, or gaps; see `write_finished`."""
        made = write_finished(self.folder, rows, key, arrays, history)
        self._finished[digest(key)] = made

    def record(self, run: Mapping[str, Any]) -> None:
        """Add a run to ``provenance.json``, or renew the one that began as it did."""
        with self._alone():
            runs = [r for r in read_runs(self.folder) if r.get("run_id") != run["run_id"]]
            content = {"schema_version": SCHEMA_VERSION, "runs": [*runs, plain(run)]}
            write_atomically(self.folder / "provenance.json", sealed(content))

    def table(self) -> pd.DataFrame:
        """All finished estimates, tidy."""
        return _table(self._finished)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Plain rows of all ``gap`` or ``capacity`` that are finished, oldest first."""
        found = [one for one in self._finished.values() if one.kind == kind]
        rows = [row for one in found for row in one.rows]
        return sorted(rows, key=lambda row: row["created"])

    def _repr_html_(self) -> str:
        return brief_html(self.table())

    def write_table(self) -> Path:
        """Rebuild ``results.csv`` and its Parquet, with the rows of other runs too."""
        return self.write_tables(lambda results: {"results": results.table()})[0]

    def write_tables(
        self, tables: Callable[["Results"], Mapping[str, pd.DataFrame]]
    ) -> list[Path]:
        """Rebuild tables from all that is finished, by other runs too; gives the CSVs.

        Args:
            tables: makes them, by the name of their file.
        """
        with self._alone():
            self.refresh()
            made = {self.folder / f"{k}.csv": t for k, t in tables(self).items()}
            for path, table in made.items():
                write_atomically(path, table.to_csv(index=False).encode())
                if path.stem == "results":
                    content = table.to_parquet(index=False)
                    write_atomically(path.with_suffix(".parquet"), content)
        return list(made)

    def _alone(self) -> AbstractContextManager[None]:
        """A file that several processes rebuild is rebuilt by one at a time."""
        return locked(self.folder / ".lock", lambda _: None)


def read_results(*folders: str | Path) -> pd.DataFrame:
    """The tidy table of one or several results folders, columns as in `Row`.

    Where the same estimate was made with fewer permutations as well, only the one with
    the most is given.

    Raises:
        InputError: if a folder holds no results, or those of another schema version.
    """
    rows: dict[str, Finished] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"results must be a folder that exists; got {folder}.")
        if not _is_results(folder):
            raise InputError(
                f"results must be a folder that `python -m mi_probe.estimate --out` "
                f"wrote; {folder} has no rows/ in it."
            )
        found = intact_rows(folder)
        if not found:
            raise InputError(f"results must hold finished rows; {folder} has none yet.")
        rows |= found
    return _table(rows)


def read_histories(*folders: str | Path) -> dict[str, list[dict[str, Any]]]:
    """The estimators' own records of their training, by row id; see `Estimate.history`.

    Raises:
        InputError: if a row is damaged or of another schema version.
    """
    rows: dict[str, Finished] = {}
    for folder in map(Path, folders):
        rows |= intact_rows(folder)
    return {row_id: one.history for row_id, one in rows.items()}


def read_runs(folder: Path) -> list[dict[str, Any]]:
    """The records of ``provenance.json``, as they were added; none where it is not there.

    Raises:
        InputError: if it is not what was written, or of a newer version.
    """
    path = folder / "provenance.json"
    if not path.is_file():
        return []
    try:
        content = read_json(path)
        version = content.get("schema_version", SCHEMA_VERSION)
        # An older one, or one by hand, has no sha256.
        if version == SCHEMA_VERSION or "sha256" in content:
            content = unsealed(content)
        runs = [dict(run) for run in content["runs"]]
        for run in runs:
            # What the report takes apart.
            dict(dict(run.get("environment") or {}).get("packages") or {})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} must be the record of the runs; it is damaged ({error}). Move it "
            "away: no row is in it, and a new one is begun."
        ) from None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise InputError(
            f"schema_version must be at most {SCHEMA_VERSION}, this program's; {path} has "
            f"{version}. Read it with the version that wrote it."
        )
    return runs


def _is_results(folder: Path) -> bool:
    # Another process may be at its first row, whose pointwise file comes before it.
    begun = any((folder / name).is_dir() for name in ("rows", "pointwise"))
    # Or at its first capture.
    begun = begun or any(folder.glob("activations/*/fingerprint.json"))
    return begun or (folder / "provenance.json").is_file()


def _table(finished: Mapping[str, Finished]) -> pd.DataFrame:
    estimates = [one for one in finished.values() if one.kind == "estimate"]
    best: dict[str, dict[str, Any]] = {}
    # In the order of creation, so that figures list things as they were asked for.
    for one in sorted(estimates, key=lambda one: one.rows[0]["created"]):
        (row,) = one.rows
        same = digest({k: v for k, v in one.key.items() if k != "n_permutations"})
        if row["n_permutations"] > best.setdefault(same, row)["n_permutations"]:
            best[same] = row
    return typed(list(best.values()))
