"""The two files of a finished estimate, and whether they are what was written.

rows/ROW_ID.json              the row, its key, its history, and two sha256: of this
                              content, and of the other file
pointwise/ROW_ID.safetensors  of each example i(y; x) in nats, label, number of its id,
                              fold, group and influence; the null
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from mi_probe.atomic import write_atomically
from mi_probe.contents import digest, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.rows import COLUMNS, SCHEMA_VERSION, Row, check_row

_NOT_A_ROW = (ValueError, KeyError, TypeError)
"""What reading a file of other content may raise."""
_AGAIN = "Run the estimate again: only what is damaged is computed."


def write_row(
    folder: Path,
    row: Row,
    key: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    history: Any,
) -> dict[str, Any]:
    """Write both files of a finished estimate; gives the content of the first."""
    kept = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    pointwise = save(kept, metadata={"schema": f"mi_probe.pointwise/{SCHEMA_VERSION}"})
    content = {
        "schema_version": SCHEMA_VERSION,
        "row": plain(row),
        "key": plain(key),
        "history": plain(history),
        "pointwise_sha256": hashlib.sha256(pointwise).hexdigest(),
    }
    # What could not be read again must not come into the folder.
    check_row(content["row"])
    assert row.row_id == digest(key), "a row's id is the digest of its key"
    write_atomically(_pointwise_file(folder, row.row_id), pointwise)
    # Last: a row is finished if and only if this file is there.
    write_atomically(folder / "rows" / f"{row.row_id}.json", sealed(content))
    return content


def intact_rows(folder: Path) -> dict[str, Any]:
    """The rows of a folder by their ids.

    Raises:
        InputError: if one is damaged, or of another version.
    """
    rows, damaged = read_rows(folder)
    if damaged:
        more = f" So are {len(damaged) - 1} more." if len(damaged) > 1 else ""
        raise InputError(f"{damaged[0]}{more} {_AGAIN}")
    return rows


def read_rows(folder: Path, *, pointwise: bool = False) -> tuple[dict[str, Any], list[str]]:
    """The rows of a folder by their ids, and a line for each that is damaged.

    Args:
        folder: of the results.
        pointwise: look at the files beside them too.

    Raises:
        InputError: if one is of another version.
    """
    rows, damaged = {}, []
    for path in sorted((folder / "rows").glob("*.json")):
        try:
            rows[path.stem] = _read_row(path, pointwise=pointwise)
        except InputError:
            raise
        except _NOT_A_ROW as error:
            damaged.append(_damaged(path, error))
    return rows, damaged


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
        content = _read_row(path, pointwise=True)
    except InputError:
        raise
    except _NOT_A_ROW as error:
        raise InputError(f"{_damaged(path, error)} {_AGAIN}") from None
    return content["row"], load_file(_pointwise_file(Path(folder), row_id))


def id_numbers(ids: Sequence[str]) -> np.ndarray:
    """A number that stands for the id of each row: the first 8 bytes of its sha256."""
    hashes = (hashlib.sha256(one.encode("utf-8", "surrogatepass")) for one in ids)
    return np.frombuffer(b"".join(h.digest()[:8] for h in hashes), dtype="<i8").copy()


def _pointwise_file(folder: Path, row_id: str) -> Path:
    return folder / "pointwise" / f"{row_id}.safetensors"


def _damaged(path: Path, error: Exception) -> str:
    return f"{path} must be a result row as it was written; it is damaged ({error})."


def _read_row(path: Path, *, pointwise: bool) -> dict[str, Any]:
    """A row's file.

    Raises:
        ValueError: if it is not what was written; or another of `_NOT_A_ROW`.
        InputError: if another version wrote it.
    """
    content = read_json(path)
    found = content["schema_version"]
    if found == SCHEMA_VERSION or "sha256" in content:
        content = unsealed(content)
    if found != SCHEMA_VERSION or set(content["row"]) != set(COLUMNS):
        raise InputError(
            f"schema_version must be {SCHEMA_VERSION}, this program's; {path} has {found}. "
            "Read it with the version that wrote it, or choose another folder."
        )
    check_row(content["row"])
    if not content["row"]["row_id"] == path.stem == digest(content["key"]):
        raise ValueError("its name, its row_id and its key are of different estimates")
    if pointwise:
        beside = _pointwise_file(path.parent.parent, path.stem)
        written = content["pointwise_sha256"]
        if not beside.is_file() or _sha256(beside) != written:
            raise ValueError(f"{beside.name} in {beside.parent.name}/ is another or gone")
    return content


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
