"""Results: one tidy row an estimate, in a folder that survives an interruption.

    rows/ROW_ID.json              one estimate, written when it is finished: the truth
    pointwise/ROW_ID.safetensors  i(y; x) of each example in nats, labels, null
    results.csv                   all rows as a table, rebuilt from rows/
    provenance.json               a record of each run: configuration, versions, hashes
    activations/                  hidden states, where they were kept

``ROW_ID`` is a hash of what defines the estimate, so a row that exists is not computed
again, and two runs with other settings can share a folder.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file, save

from mi_probe.errors import InputError

SCHEMA_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """One estimate. Values are in nats; None is an empty cell."""

    schema_version: int = SCHEMA_VERSION
    row_id: str
    quantity: str
    """``I_YZ`` for all token states, ``I_YZp`` for a pooled vector."""
    site: str
    layer: int | None
    """Index into Hugging Face's hidden_states; None where the site equals none."""
    n_layers: int
    view: str
    token_set: str
    y_kind: str
    target: str
    """What Y is, in words."""
    task: str
    split: str
    n: int
    n_classes: int | None
    model: str
    revision: str | None
    adapter: str | None
    adapter_sha: str | None
    checkpoint_step: int | None
    estimator: str
    settings: str
    """The estimator's settings, as JSON."""
    critic: str
    """Whether the trained network, or only the closed form it starts from, was used."""
    seed: int
    value_nats: float | None
    stderr: float | None
    ci_low: float | None
    ci_high: float | None
    ci_method: str
    bound: str
    """What the value is of the information: lower bound, upper bound or neither."""
    extrapolated_nats: float | None
    """The learning curve's value at n -> infinity; None where none was fitted."""
    extrapolated_low: float | None
    extrapolated_high: float | None
    extrapolated_reliable: bool | None
    extrapolated_reason: str | None
    """Why the extrapolation is not reliable; None where it is."""
    null_mean: float | None
    null_high: float | None
    n_permutations: int
    p_value: float | None
    H_Y_nats: float | None
    """The ceiling; None for scores, which have none."""
    status: str
    gold_leak: bool
    seconds: float
    code_version: str
    config_sha: str
    created: str


COLUMNS = tuple(field.name for field in fields(Row))

_DTYPES = {
    str: "str",
    str | None: "str",
    int: "int64",
    int | None: "Int64",
    float: "float64",
    float | None: "float64",
    bool: "bool",
    bool | None: "boolean",
}


def canonical(content: Any) -> str:
    """JSON that is the same for equal contents: sorted keys, no NaN, no NumPy types."""
    return json.dumps(_plain(content), sort_keys=True, allow_nan=False)


def digest(content: Any) -> str:
    """16 hexadecimal digits that stand for the content."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


def settings_of(estimator: object) -> dict[str, Any]:
    """An estimator's class and fields, as plain values."""
    kind = {"class": type(estimator).__name__}
    return {**kind, **_plain(estimator)} if dataclasses.is_dataclass(estimator) else kind


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return _plain(value.tolist())
    if isinstance(value, float):
        # JSON knows no NaN; an empty cell says "no value" too.
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return getattr(value, "__name__", None) or str(value)


def write_atomically(path: Path, content: bytes) -> None:
    """The file appears whole or not at all, even if the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Results:
    """A results folder, to write into; `read_results` reads.

    Nothing is made on disk before the first `add` or `record`.

    Raises:
        InputError: if the path is a file, or a folder with something else in it.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            found = next(
                p for p in (self.folder, *self.folder.absolute().parents) if p.exists()
            )
        except OSError as error:  # a name that no disk takes
            raise InputError(f"out must be a folder's path: {error.strerror}.") from None
        if not found.is_dir():
            raise InputError(f"out must be a folder; {found} is a file.")
        if not os.access(found, os.W_OK | os.X_OK):
            raise InputError(f"out must be writable; {found} is not. Choose another.")
        if self.folder.is_dir() and not _is_results(self.folder):
            others = sorted(p.name for p in self.folder.iterdir())
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
            "row": _plain(row),
            "key": _plain(key),
            "history": _plain(history),
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
        content = {"schema_version": SCHEMA_VERSION, "runs": [*runs, _plain(run)]}
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())

    def table(self) -> pd.DataFrame:
        """All finished rows, tidy."""
        return _table(self._rows)

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
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} must be a result row; it is damaged ({error}). "
                "Remove it, and run the estimate again."
            ) from None
        if found != SCHEMA_VERSION or set(content["row"]) != set(COLUMNS):
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
    return _typed(list(best.values()))


def table_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a tidy table, in the order given."""
    return _typed([_plain(row) for row in rows])


def _typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({f.name: _DTYPES[f.type] for f in fields(Row)})  # type: ignore[index]
