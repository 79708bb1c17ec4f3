"""Results: one tidy row an estimate, in a folder that survives an interruption.

    rows/ROW_ID.json              one estimate, written when it is finished: the truth
    pointwise/ROW_ID.safetensors  i(y; x) of each example in nats, labels, null
    results.csv                   all rows as a table, rebuilt from rows/
    provenance.json               a record of each run: configuration, versions, hashes
    activations/                  hidden states, where they were kept

``ROW_ID`` is a hash of what defines the estimate, so a row that exists is not computed
again, and two runs with other settings can share a folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save

from mi_probe.atomic import write_atomically
from mi_probe.brief import brief_html
from mi_probe.contents import digest, plain
from mi_probe.errors import InputError
from mi_probe.rows import COLUMNS, SCHEMA_VERSION, Row, table_of, typed
from mi_probe.writable import check_writable

__all__ = [
    "COLUMNS",
    "SCHEMA_VERSION",
    "Results",
    "Row",
    "read_pointwise",
    "read_results",
    "table_of",
    "write_atomically",
]


class Results:
    """A results folder, to write into; `read_results` reads.

    Nothing is made on disk before the first `add` or `record`.

    Raises:
        InputError: if the path is a file, a folder with something else in it, or one that
            cannot be made or written.
    """

    def __init__(self, folder: str | Path):
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
        self._rows = _read_rows(self.folder)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def add(
        self,
        row: Row,
        key: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        history: Any = (),
    ) -> None:
        """Keep one finished estimate.

        Args:
            row: the tidy row.
            key: what defines the estimate; ``digest(key)`` is the row's id.
            arrays: kept beside it under ``pointwise/``.
            history: the estimator's own record of its training.
        """
        content = {
            "schema_version": SCHEMA_VERSION,
            "row": plain(row),
            "key": plain(key),
            "history": plain(history),
        }
        kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        write_atomically(
            self.folder / "pointwise" / f"{row.row_id}.safetensors",
            save(kept, metadata={"schema": f"mi_probe.pointwise/{SCHEMA_VERSION}"}),
        )
        # Last: a row is finished if and only if this file is there.
        write_atomically(
            self.folder / "rows" / f"{row.row_id}.json",
            (json.dumps(content, indent=1, allow_nan=False) + "\n").encode(),
        )
        self._rows[row.row_id] = content

    def history(self, row_id: str) -> list[dict[str, Any]]:
        """The estimator's own record of a finished row."""
        return self._rows[row_id]["history"]

    def record(self, run: Mapping[str, Any]) -> None:
        """Add a run to ``provenance.json``, or renew the one that began as it did."""
        path = self.folder / "provenance.json"
        runs = json.loads(path.read_text())["runs"] if path.is_file() else []
        runs = [r for r in runs if r.get("run_id") != run["run_id"]]
        content = {"schema_version": SCHEMA_VERSION, "runs": [*runs, plain(run)]}
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    def table(self) -> pd.DataFrame:
        """All finished rows, tidy."""
        return _table(self._rows)

    def _repr_html_(self) -> str:
        return brief_html(self.table())

    def write_table(self) -> Path:
        """Rebuild ``results.csv`` from the finished rows, those of other runs too."""
        self._rows = _read_rows(self.folder)
        path = self.folder / "results.csv"
        write_atomically(path, self.table().to_csv(index=False).encode())
        return path


def read_results(*folders: str | Path) -> pd.DataFrame:
    """The tidy table of one or several results folders, columns as in `Row`.

    Where the same estimate was made with fewer permutations as well, only the one with
    the most is given.

    Raises:
        InputError: if a folder holds no results, or those of another schema version.
    """
    rows: dict[str, Any] = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(f"results must be a folder that exists; got {folder}.")
        if not _is_results(folder):
            raise InputError(
                f"results must be a folder that `python -m mi_probe.estimate --out` "
                f"wrote; {folder} has no rows/ in it."
            )
        found = _read_rows(folder)
        if not found:
            raise InputError(f"results must hold finished rows; {folder} has none yet.")
        rows |= found
    return _table(rows)


def read_histories(*folders: str | Path) -> dict[str, list[dict[str, Any]]]:
    """The estimators' own records of their training, by row id; see `Estimate.history`.

    Raises:
        InputError: if a row is damaged or of another schema version.
    """
    rows: dict[str, Any] = {}
    for folder in map(Path, folders):
        rows |= _read_rows(folder)
    return {row_id: content["history"] for row_id, content in rows.items()}


def read_pointwise(folder: str | Path, row_id: str) -> dict[str, np.ndarray]:
    """``pointwise`` (nats), ``labels`` and ``null`` of one row, in the task's order.

    Raises:
        InputError: if the folder has no such row.
    """
    path = Path(folder) / "pointwise" / f"{row_id}.safetensors"
    if not path.is_file():
        raise InputError(f"row_id must be one of {folder}; there is no {row_id}.")
    return load_file(path)


def _is_results(folder: Path) -> bool:
    return (folder / "rows").is_dir() or (folder / "provenance.json").is_file()


def _read_rows(folder: Path) -> dict[str, Any]:
    rows = {}
    for path in sorted((folder / "rows").glob("*.json")):
        try:
            content = json.loads(path.read_text())
            found = content["schema_version"]
            columns = set(content.get("row") or ())
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} must be a result row; it is damaged ({error}). "
                "Remove it, and run the estimate again."
            ) from None
        if found != SCHEMA_VERSION or columns != set(COLUMNS):
            raise InputError(
                f"schema_version must be {SCHEMA_VERSION}, this program's; {path} has "
                f"{found}. Read it with the version that wrote it, or choose another "
                "folder."
            )
        rows[content["row"]["row_id"]] = content
    return rows


def _table(rows: Mapping[str, Any]) -> pd.DataFrame:
    # In the order of creation, so that figures list things as they were asked for.
    ordered = sorted(rows.values(), key=lambda content: content["row"]["created"])
    best: dict[str, dict[str, Any]] = {}
    for content in ordered:
        key = {k: v for k, v in content["key"].items() if k != "n_permutations"}
        same = best.setdefault(digest(key), content["row"])
        if content["row"]["n_permutations"] > same["n_permutations"]:
            best[digest(key)] = content["row"]
    return typed(list(best.values()))
