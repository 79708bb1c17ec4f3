"""Tables on disk as rows, exactly as they are written: no guessed types, no lost row.

JSON is read by Python's own reader: pyarrow's takes a column for one type, and merges what
is written in two ways. Files may be packed (.gz, .bz2), but for Parquet.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from zipfile import BadZipFile

from mi_probe.errors import InputError
from mi_probe.tasks.decoded import lines_of, opened, undecodable

Rows: TypeAlias = list[dict[str, Any]]
_Read = TypeVar("_Read")

_DIGITS = 4000
"""Digits above which Python makes no number of a text by itself."""


def checked(path: Path, read: Callable[[Path], Iterable[dict[str, Any]]]) -> Rows:
    """The rows that a reader gives, or one clear error; see `well_read`."""
    return well_read(path, lambda p: list(read(p)))


def well_read(
    path: Path, read: Callable[[Path], _Read], *, encoding: str | None = None
) -> _Read:
    """What a reader makes of a file, or one clear error.

    Raises:
        InputError: if the file is absent, a folder, empty, unreadable, not in its
            encoding, malformed or without rows.
    """
    if not path.exists():
        raise InputError(f"data must be a file that exists; there is no {path}.")
    if not path.is_file():
        raise InputError(f"data must be a file; {path} is a folder.")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"data must hold rows; {path} is empty (0 bytes).")
        try:
            found = read(path)
        except UnicodeError:  # to find its line, the file is read again
            raise InputError(undecodable(path, encoding)) from None
    except PermissionError:
        raise InputError(f"data must be readable; {path} is not. See `ls -l`.") from None
    except (EOFError, BadZipFile, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} must be whole; {error}. Get it again.") from None
    except OSError as error:
        if error.errno is not None:  # the disk's; bz2 gives none for broken content
            raise
        raise InputError(f"{path} must be whole; {error}. Get it again.") from None
    if not found:
        raise InputError(f"data must hold rows; {path} has none.")
    return found


class _Written(float):
    """A number with its text, so that 1e5 and 0.10 stay as they are written."""

    def __new__(cls, text: str) -> "_Written":
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        return self.text


def json_lines(path: Path, encoding: str | None = None) -> Iterator[dict[str, Any]]:
    """One JSON object a line.

    Raises:
        InputError: if a line is no JSON, or no object.
    """
    for number, line in enumerate(lines_of(path, encoding), 1):
        if line.strip():
            yield _object(_parsed(line, f"line {number} of {path}"), f"line {number}", path)


def json_list(path: Path, encoding: str | None = None) -> Iterator[dict[str, Any]]:
    """One JSON list of objects.

    Raises:
        InputError: if the file is no JSON, or no list of objects.
    """
    with opened(path, encoding) as file:
        text = file.read()
    if not text.strip():
        return
    hint = " A file with one object a line needs the ending .jsonl."
    content = _parsed(text, str(path), hint)
    if not isinstance(content, list):
        raise InputError(
            f"{path} must hold a list of objects; got {type(content).__name__}."
        )
    for i, value in enumerate(content):
        yield _object(value, f"entry {i}", path)


def _parsed(text: str, where: str, hint: str = "") -> Any:
    try:
        return json.loads(
            text,
            parse_int=lambda n: int(n) if len(n) < _DIGITS else n,
            parse_float=_Written,
            object_pairs_hook=_once,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, " if error.lineno > 1 else ""
        raise InputError(
            f"{where} must be JSON; {error.msg} at {place}column {error.colno}.{hint}"
        ) from None
    except RecursionError:
        raise InputError(
            f"{where} must be JSON that is not nested so deep; no column is. Is it the "
            "right file?"
        ) from None
    except _Twice as error:
        raise InputError(
            f"{where} must name each key once in an object; {error.args[0]!r} comes twice."
        ) from None


class _Twice(ValueError):
    """A key that comes twice in an object."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1))
    return found


def _object(value: Any, where: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(
            f"{where} of {path} must be an object like "
            f'{{"text": ..., "label": ...}}; got {type(value).__name__}.'
        )
    return value


def parquet(path: Path, columns: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file; of other columns than those asked for, only the names.

    Raises:
        InputError: if it is none.
    """
    import pyarrow as pa
    from pyarrow import parquet as reader

    try:
        with reader.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = [n for n in names if columns is None or n in columns]
            others = dict.fromkeys(names)
            for batch in file.iter_batches(batch_size=10_000, columns=wanted):
                for row in batch.to_pylist() if wanted else [{}] * batch.num_rows:
                    yield {**others, **row}
    except (pa.ArrowException, OSError, ValueError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} must be a Parquet file; {first_line}") from None
