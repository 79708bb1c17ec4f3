"""The files of finished work, and whether they are what was written.

rows/ROW_ID.json              an estimate: the row, its key, its history, and two sha256: of
                              this content, and of the other file
pointwise/ROW_ID.safetensors  of each example i(y; x) in nats, label, number of its id,
                              fold, group and influence; the null
gaps/PIECE_ID.json            gaps or a ladder of critics that were measured in one go:
                              their kind, rows and key, and the sha256 of this content
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from mi_probe.atomic import write_atomically
from mi_probe.contents import digest, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.gap_rows import Compared, GapRow, RungRow
from mi_probe.rows import SCHEMA_VERSION, Row, check_row, filled

KINDS: dict[str, type] = {"estimate": Row, "gap": GapRow, "capacity": RungRow}
"""What is kept, and the dataclass of its rows."""
_IDS = {"rows": "row_id", "gaps": "piece_id"}
"""The folders, and the column that names a file."""
_CALLED = {"rows": "a result row", "gaps": "a gap"}
_NOT_A_ROW = (ValueError, KeyError, TypeError)
"""What reading a file of other content may raise."""
_AGAIN = "Run the estimate again: only what is damaged is computed."


@dataclass(frozen=True)
class Finished:
    """One file of finished work."""

    kind: str
    """One of `KINDS`."""
    key: Mapping[str, Any]
    """What defines it; its digest is the file's name."""
    rows: list[dict[str, Any]]
    """Plain rows; an estimate has one."""
    history: list[dict[str, Any]]
    """The estimator's own record of its training; empty for gaps."""


def write_finished(
    folder: Path,
    rows: Row | Sequence[Compared],
    key: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
    history: Any = (),
) -> Finished:
    """Write one estimate, or the gaps or rungs that were measured in one go.

    Args:
        folder: of the results.
        rows: an estimate's one row, or rows of one kind, which name the digest of the key.
        key: what defines the work.
        arrays: what is kept of each example of an estimate.
        history: the estimator's own record of its training.
    """
    some = [rows] if isinstance(rows, Row) else list(rows)
    kind = next(name for name, of in KINDS.items() if isinstance(some[0], of))
    made = Finished(kind, plain(key), [plain(row) for row in some], plain(history))
    # What could not be read again must not come into the folder.
    for row in made.rows:
        check_row(row, KINDS[kind])
    content: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "key": made.key}
    if kind == "estimate":
        kept = {name: np.ascontiguousarray(one) for name, one in (arrays or {}).items()}
        beside = save(kept, metadata={"schema": f"mi_probe.pointwise/{SCHEMA_VERSION}"})
        sha256 = hashlib.sha256(beside).hexdigest()
        content |= {"row": made.rows[0], "history": made.history}
        content["pointwise_sha256"] = sha256
        write_atomically(_pointwise_file(folder, digest(key)), beside)
    else:
        content |= {"kind": kind, "rows": made.rows}
    place = "rows" if kind == "estimate" else "gaps"
    assert {row[_IDS[place]] for row in made.rows} == {digest(key)}
    # Last: it is finished if and only if this file is there.
    write_atomically(folder / place / f"{digest(key)}.json", sealed(content))
    return made


def read_finished(
    folder: Path, places: Sequence[str] = tuple(_IDS), *, pointwise: bool = False
) -> tuple[dict[str, Finished], list[str]]:
    """What is finished by its ids, and a line for each file that is damaged.

    Args:
        folder: of the results.
        places: ``rows``, ``gaps``.
        pointwise: look at the files beside the rows too.

    Raises:
        InputError: if another version wrote one.
    """
    found, damaged = {}, []
    for place in places:
        for path in sorted((folder / place).glob("*.json")):
            try:
                found[path.stem] = _read(path, pointwise=pointwise)
            except InputError:
                raise
            except _NOT_A_ROW as error:
                damaged.append(_damaged(path, error))
    return found, damaged


def intact_rows(folder: Path) -> dict[str, Finished]:
    """The estimates of a folder by their ids.

    Raises:
        InputError: if one is damaged, or of another version.
    """
    rows, damaged = read_finished(folder, ("rows",))
    if damaged:
        more = f" So are {len(damaged) - 1} more." if len(damaged) > 1 else ""
        raise InputError(f"{damaged[0]}{more} {_AGAIN}")
    return rows


def is_finished(folder: Path, place: str, name: str) -> bool:
    """Whether ``rows`` or ``gaps`` hold a file of that id, as it was written."""
    path = folder / place / f"{name}.json"
    try:
        return path.is_file() and _read(path, pointwise=True) is not None
    except InputError:
        raise
    except _NOT_A_ROW:
        return False


def read_history(folder: Path, row_id: str) -> list[dict[str, Any]] | None:
    """The estimator's own record of an estimate; None where it is not there as written."""
    path = folder / "rows" / f"{row_id}.json"
    try:
        return _read(path, pointwise=False).history if path.is_file() else None
    except _NOT_A_ROW:
        return None


def read_pointwise(folder: str | Path, row_id: str) -> dict[str, np.ndarray]:
    """What was kept of each example of one row: the second part of `read_kept`.

    Raises:
        InputError: as `read_kept`.
    """
    return read_kept(folder, row_id)[1]


def read_kept(
    folder: str | Path, row_id: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A row, and what was kept of each of its examples, in the task's order.

    The latter are ``pointwise`` (nats), ``labels``, ``ids`` (see `id_numbers`), ``null``
    and ``fold``; ``group`` where several rows are one piece of evidence; ``influence``
    where the pointwise values are not independent terms.

    Raises:
        InputError: if the folder has no such row, or it is not what was written.
    """
    path = Path(folder) / "rows" / f"{row_id}.json"
    if not path.is_file():
        raise InputError(f"row_id must be one of {folder}; there is no {row_id}.")
    try:
        (row,) = _read(path, pointwise=True).rows
    except InputError:
        raise
    except _NOT_A_ROW as error:
        raise InputError(f"{_damaged(path, error)} {_AGAIN}") from None
    return row, load_file(_pointwise_file(Path(folder), row_id))


def id_numbers(ids: Sequence[str]) -> np.ndarray:
    """A number that stands for the id of each row: the first 8 bytes of its sha256."""
    hashes = (hashlib.sha256(one.encode("utf-8", "surrogatepass")) for one in ids)
    return np.frombuffer(b"".join(h.digest()[:8] for h in hashes), dtype="<i8").copy()


def _pointwise_file(folder: Path, row_id: str) -> Path:
    return folder / "pointwise" / f"{row_id}.safetensors"


def _damaged(path: Path, error: Exception) -> str:
    called = _CALLED[path.parent.name]
    return f"{path} must be {called} as it was written; it is damaged ({error})."


def _read(path: Path, *, pointwise: bool) -> Finished:
    """A file of finished work.

    Raises:
        ValueError: if it is not what was written; or another of `_NOT_A_ROW`.
        InputError: if another version wrote it.
    """
    content = read_json(path)
    version = content["schema_version"]
    if version == SCHEMA_VERSION or "sha256" in content:
        content = unsealed(content)
    if version != SCHEMA_VERSION:
        raise _another_version(path, version)
    of_estimates = path.parent.name == "rows"
    kind = "estimate" if of_estimates else content["kind"]
    rows = [content["row"]] if of_estimates else list(content["rows"])
    rows = [filled(row, KINDS[kind]) for row in rows]
    columns = {field.name for field in fields(KINDS[kind])}
    if any(set(row) != columns for row in rows):
        raise _another_version(path, f"{version} with other columns")
    for row in rows:
        check_row(row, KINDS[kind])
    named = {path.stem, digest(content["key"])}
    if named | {row[_IDS[path.parent.name]] for row in rows} != {path.stem}:
        raise ValueError("its name, its rows and its key are of different estimates")
    if pointwise and of_estimates:
        beside = _pointwise_file(path.parent.parent, path.stem)
        if not beside.is_file() or _sha256(beside) != content["pointwise_sha256"]:
            raise ValueError(f"{beside.name} in {beside.parent.name}/ is another or gone")
    return Finished(kind, content["key"], rows, content.get("history", []))


def _another_version(path: Path, found: Any) -> InputError:
    return InputError(
        f"schema_version must be {SCHEMA_VERSION}, this program's; {path} has {found}. "
        "Read it with the version that wrote it, or choose another folder."
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
