"""Tables on disk as rows, exactly as they are written: no guessed types, no lost row.

Never pandas: it takes a row that is too long as an index, words such as ``None`` and
``null`` as missing, and a lone quotation mark as the start of a field that swallows the
rows after it. Files may be compressed (.gz, .bz2).
"""

import bz2
import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

from mi_probe.errors import InputError

Rows: TypeAlias = list[dict[str, Any]]

_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}


def text_of(path: Path) -> str:
    r"""The whole text, line ends as they are (``\r\n`` is not turned into ``\n``)."""
    opened = _OPENERS.get(path.suffix.lower(), open)
    with opened(path, mode="rt", encoding="utf-8-sig", newline="") as file:
        return file.read()


def lines_of(path: Path) -> list[str]:
    r"""The lines without their ends: ``\n`` or ``\r\n``, and no other character.

    Not `str.splitlines`, which also cuts at characters that occur inside texts.
    """
    lines = text_of(path).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def checked(path: Path, read: Callable[[Path], Rows]) -> Rows:
    """What a reader of this module gives, or one clear error.

    Raises:
        InputError: if the file is absent, a folder, empty, unreadable, not UTF-8,
            malformed or without rows.
    """
    if not path.exists():
        raise InputError(f"data must be a file that exists; there is no {path}.")
    if not path.is_file():
        raise InputError(f"data must be a file; {path} is a folder.")
    try:
        if path.stat().st_size == 0:
            raise InputError(f"data must hold rows; {path} is empty (0 bytes).")
        rows = read(path)
    except UnicodeDecodeError as error:
        raise InputError(
            f"data must be UTF-8; {path} is not, at byte {error.start}. "
            "Save it as UTF-8 and try again."
        ) from None
    except csv.Error as error:
        raise InputError(f"{path} must be a well-formed table; {error}.") from None
    except PermissionError:
        raise InputError(f"data must be readable; {path} is not. See `ls -l`.") from None
    except (EOFError, BadZipFile, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} must be whole; {error}. Get it again.") from None
    except OSError as error:
        if error.errno is not None:  # the disk's; bz2 gives none for broken content
            raise
        raise InputError(f"{path} must be whole; {error}. Get it again.") from None
    if not rows:
        raise InputError(f"data must hold rows; {path} has none.")
    return rows


def separated(
    path: Path, delimiter: str, *, header: Sequence[str] | None = None, quoting: bool = True
) -> Rows:
    """The rows of a CSV or TSV file; an empty cell is None.

    Args:
        path: the file.
        delimiter: between cells.
        header: the columns' names where the file's first line is data already.
        quoting: whether ``"`` opens a field that may hold delimiters and line ends.
            Without, it is a character like any other.

    Raises:
        InputError: if a row has more or fewer cells than the header, or a name comes
            twice in it.
    """
    source = _quoted(path, delimiter) if quoting else _unquoted(path, delimiter)
    if header is None:
        first = next(source, None)
        if first is None:
            return []
        header = first[1]
    if len(set(header)) < len(header):
        twice = ", ".join(sorted({n for n in header if list(header).count(n) > 1}))
        raise InputError(
            f"columns of {path} must have different names; {twice} come twice."
        )
    rows = []
    for number, cells in source:
        if len(cells) != len(header):
            hint = (
                "A text that holds the delimiter or a line break needs quotation marks."
                if quoting
                else "Is it the right file?"
            )
            raise InputError(
                f"each row of {path} must have the header's {len(header)} cells; "
                f"line {number} has {len(cells)}. {hint}"
            )
        rows.append({k: c if c else None for k, c in zip(header, cells, strict=True)})
    return rows


def _quoted(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    text = io.StringIO(text_of(path), newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    for cells in reader:
        if cells:  # a blank line, often the last
            yield reader.line_num, cells


def _unquoted(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines_of(path), 1):
        if line:
            yield number, line.split(delimiter)


def json_lines(path: Path) -> Rows:
    """One JSON object a line.

    Raises:
        InputError: if a line is no JSON, or no object.
    """

    def found() -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(lines_of(path), 1):
            if line.strip():
                try:
                    yield f"line {number}", json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(
                        f"line {number} of {path} must be JSON; {error.msg} at "
                        f"column {error.colno}."
                    ) from None

    return _objects(path, found())


def json_list(path: Path) -> Rows:
    """One JSON list of objects.

    Raises:
        InputError: if the file is no JSON, or no list of objects.
    """
    text = text_of(path)
    if not text.strip():
        return []
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} must be JSON; {error.msg} at line {error.lineno}. A file with one "
            "object a line needs the ending .jsonl."
        ) from None
    if not isinstance(content, list):
        raise InputError(
            f"{path} must hold a list of objects; got {type(content).__name__}."
        )
    return _objects(path, ((f"entry {i}", value) for i, value in enumerate(content)))


def _objects(path: Path, found: Iterator[tuple[str, Any]]) -> Rows:
    rows = []
    for where, value in found:
        if not isinstance(value, dict):
            raise InputError(
                f"{where} of {path} must be an object like "
                f'{{"text": ..., "label": ...}}; got {type(value).__name__}.'
            )
        rows.append(value)
    return rows


def parquet(path: Path) -> Rows:
    """The rows of a Parquet file.

    Raises:
        InputError: if it is none.
    """
    import pyarrow as pa
    from pyarrow import parquet as reader

    try:
        return reader.read_table(path).to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        first_line = str(error).splitlines()[0]
        raise InputError(f"{path} must be a Parquet file; {first_line}") from None
