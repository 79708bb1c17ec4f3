"""CSV and TSV as rows: no guessed types, and no row lost to a quotation mark.

Not read by pandas or pyarrow, which both take a lone quotation mark for the start of a
cell that swallows the rows after it, and what follows a closing one for more of the cell.
"""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mi_probe.errors import InputError
from mi_probe.tasks.decoded import lines_of, opened

Quoting: TypeAlias = Literal["standard", "none"]
"""``standard``: ``"`` opens a cell that may hold delimiters and line ends. ``none``: it is
a character like any other."""

_LONGEST = 100_000_000
"""Characters of a cell, where Python's own limit is 131,072."""
_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE | re.DOTALL)
_OTHERS = (";", "\t", "|")
# Each digit can be matched in one way: others take hours for a cell of a million digits.
NUMBER = re.compile(r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_FEW = 50
"""Different values up to which a column may be one of classes."""
_KEPT = 1000
"""Suspicious rows that are looked at in the end."""


def separated(
    path: Path,
    delimiter: str,
    *,
    header: Sequence[str] | None = None,
    quoting: Quoting | None = "standard",
    encoding: str | None = None,
    asked: Collection[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """The rows of a CSV or TSV file; an empty cell is None, and an empty row is none.

    A first line ``sep=;``, which spreadsheets write and read, names the delimiter. So does
    a header that holds none of the file's own, but semicolons, tabs or bars. Columns at
    the end that have neither a name nor a value are left out.

    Args:
        path: the file.
        delimiter: between cells.
        header: the columns' names where the file's first line is data already.
        quoting: None is ``standard``, where no quoted cell looks as if it had swallowed
            rows: of several lines, each of which is a row of its own as far as can be told.
        encoding: as `opened` takes it.
        asked: the columns that must have their names alone; None: all.

    Raises:
        InputError: if a row has more or fewer cells than the header, a name comes twice in
            it, or a quotation mark opens a cell that does not end, or ends inside of a
            text, or looks as if it had swallowed rows.
    """
    with_header = header is None
    delimiter, skipped = _delimiter(path, delimiter, with_header, encoding)
    if quoting == "none":
        source = _unquoted(path, delimiter, encoding)
    else:
        source = _quoted(path, delimiter, encoding)
    for _ in range(skipped):
        next(source)
    if header is None:
        first = next(source, None)
        if first is None:
            return
        header = first.cells
    names = _names(header, path, asked)
    watch = _Swallowed(names, delimiter) if quoting is None else None
    for row in source:
        if not any(row.cells):
            continue
        cells = _fitted(row, names, len(header), path, quoting)
        if watch is not None:
            watch.see(row, cells)
        yield {k: c if c else None for k, c in zip(names, cells, strict=True)}
    if watch is not None:
        watch.check(path)


@dataclass(frozen=True)
class _Row:
    """One row, as it is written."""

    number: int
    """The line that it starts in, from 1."""
    cells: list[str]
    lines: list[str]
    """Of a cell of several lines: all lines of the row, without their ends."""


def _delimiter(
    path: Path, usual: str, with_header: bool, encoding: str | None
) -> tuple[str, int]:
    """What stands between cells, and how many lines said so."""
    first = next(lines_of(path, encoding), "")
    if said := _SEPARATOR.fullmatch(first):
        return said[1], 1
    if "\0" in first:
        raise InputError(
            f"{path} must hold text; its first line has zero bytes, as UTF-16 has. Name "
            "the encoding that it is in, such as --encoding utf-16-le."
        )
    found = [other for other in _OTHERS if other in first]
    if with_header and usual not in first and len(found) == 1:
        return found[0], 0
    return usual, 0


def _names(header: Sequence[str], path: Path, asked: Collection[str] | None) -> list[str]:
    """The columns' names, without nameless ones at the end."""
    last = max((i for i, name in enumerate(header) if name.strip()), default=-1)
    names = list(header[: last + 1])
    several = {name for name in names if names.count(name) > 1}
    if twice := several if asked is None else several & {*asked}:
        told = ", ".join(sorted(name or "''" for name in twice))
        raise InputError(
            f"columns of {path} must have different names; {told} come twice. Rename or "
            "drop all but one."
        )
    return names


def _fitted(
    row: _Row, names: list[str], width: int, path: Path, quoting: Quoting | None
) -> list[str]:
    """The cells of the named columns; more of them must be empty."""
    cells, rest = row.cells[: len(names)], row.cells[len(names) :]
    if len(cells) == len(names) and not any(rest):
        return cells
    hint = "Is it the right file?"
    if len(row.cells) > width or any(rest):
        hint = "A text that holds the delimiter or a line break needs quotation marks."
        if quoting == "none":
            hint = "If these stand for cells that hold it, leave --quoting none out."
    if len(row.cells) <= width and any(rest):
        raise InputError(
            f"each column of {path} with a value must have a name; line {row.number} has "
            f"{next(filter(None, rest))[:40]!r} beyond '{names[-1]}'. {hint}"
        )
    raise InputError(
        f"each row of {path} must have the header's {width} cells; line {row.number} has "
        f"{len(row.cells)}. {hint}"
    )


def _quoted(path: Path, delimiter: str, encoding: str | None) -> Iterator[_Row]:
    csv.field_size_limit(_LONGEST)
    with opened(path, encoding) as file:
        lines: list[str] = []

        def read() -> Iterator[str]:
            for line in file:
                lines.append(line)
                yield line

        reader = csv.reader(read(), delimiter=delimiter, strict=True)
        number = 1
        try:
            for cells in reader:
                if cells:  # else a blank line, often the last
                    several = [ln.rstrip("\r\n") for ln in lines] if len(lines) > 1 else []
                    yield _Row(number, cells, several)
                number += len(lines)
                lines.clear()
        except csv.Error as error:
            what = f"opens or ends a cell where none can be ({error})"
            if "end of data" in str(error):
                what = "opens a cell that never ends"
            raise InputError(
                f"{path} must be a well-formed table; a quotation mark in the row of line "
                f"{number} {what}. If quotation marks are characters like any other in "
                "this file, say --quoting none."
            ) from None


def _unquoted(path: Path, delimiter: str, encoding: str | None) -> Iterator[_Row]:
    for number, line in enumerate(lines_of(path, encoding), 1):
        if line:
            yield _Row(number, line.split(delimiter), [])


@dataclass
class _Swallowed:
    """Rows of several lines, each of which has as many cells as a row has.

    Such a row may be one with a text of several lines, or many that a lone quotation mark
    made one. It is taken for many where each line's cells are like those of the file's
    other rows: a class among the classes of a column, a number in a column of numbers.
    Where no column tells, three lines are enough.
    """

    names: list[str]
    delimiter: str
    n_rows: int = 0
    suspects: list[tuple[int, int, list[list[str]]]] = field(default_factory=list)
    """The first and the last line of each, and what its lines would be as rows."""
    values: dict[int, set[str]] = field(default_factory=dict)
    """The values of each column that still may be one of classes."""
    numbers: set[int] = field(default_factory=set)
    """The columns that still may be of numbers."""

    def __post_init__(self) -> None:
        self.values = {i: set() for i in range(len(self.names))}
        self.numbers = set(range(len(self.names)))

    def see(self, row: _Row, cells: list[str]) -> None:
        """Take account of one row."""
        self.n_rows += 1
        for i in list(self.values):
            self.values[i].add(cells[i])
            if len(self.values[i]) > _FEW:
                del self.values[i]
        for i in list(self.numbers):
            if not NUMBER.fullmatch(cells[i].strip()):
                self.numbers.discard(i)
        if len(row.lines) > 1 and len(self.names) > 1 and len(self.suspects) < _KEPT:
            split = [line.split(self.delimiter) for line in row.lines if line]
            if all(len(one) == len(row.cells) for one in split):
                last = row.number + len(row.lines) - 1
                self.suspects.append((row.number, last, split))

    def check(self, path: Path) -> None:
        """Raise where rows were swallowed, as far as can be told.

        Raises:
            InputError: at the first.
        """
        found = [suspect for suspect in self.suspects if self._are_rows(suspect[2])]
        if found:
            line, last, rows = found[0]
            places = f" ({len(found)} such places)" if len(found) > 1 else ""
            raise InputError(
                f"{path} must have its quotation marks in pairs; the one in line {line} "
                f"opens a cell that reaches to line {last}, and each of "
                f"these {len(rows)} lines looks like a row of its own{places}. Say "
                "--quoting none if quotation marks are characters like any other in this "
                "file, or --quoting standard if the cell is right."
            )

    def _are_rows(self, rows: list[list[str]]) -> bool:
        classes = {
            i: known for i, known in self.values.items() if 2 * len(known) <= self.n_rows
        }
        if not classes and not self.numbers:
            return len(rows) > 2
        cells = [[cell.strip('"') for cell in row] for row in rows]
        return all(
            all(row[i] in known for i, known in classes.items())
            and all(NUMBER.fullmatch(row[i].strip()) for i in self.numbers)
            for row in cells
        )
