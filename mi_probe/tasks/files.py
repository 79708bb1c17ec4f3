"""A user's own table as a task: a file, a data frame, lists, a data set of the hub.

Files are CSV, TSV, JSON lines, JSON or Parquet.

Values stay what the file says they are: ``None``, ``null`` and ``NA`` in a CSV are
text, never a missing value. Missing is an empty or blank cell there, a null in the others.
In a column of numbers such words are refused, as they are neither.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal

from mi_probe.errors import InputError, meant
from mi_probe.tasks.decoded import PACKED, check_encoding, sha256_of
from mi_probe.tasks.delimited import Quoting, separated
from mi_probe.tasks.frames import HUB, digest, frame_of
from mi_probe.tasks.labels import classes_or_scores
from mi_probe.tasks.prompts import columns_in, fill
from mi_probe.tasks.tables import json_lines, json_list, parquet, well_read
from mi_probe.tasks.task import Task


@dataclass(frozen=True)
class Reading:
    """How a file is read."""

    columns: frozenset[str]
    """The columns that are asked for; a file may give more."""
    quoting: Quoting | None
    encoding: str | None


def _cells(path: Path, delimiter: str, how: Reading) -> Iterator[dict[str, Any]]:
    told = {"quoting": how.quoting, "encoding": how.encoding, "asked": how.columns}
    return separated(path, delimiter, **told)


READERS: dict[str, Callable[[Path, Reading], Iterator[dict[str, Any]]]] = {
    ".csv": lambda p, how: _cells(p, ",", how),
    ".tsv": lambda p, how: _cells(p, "\t", how),
    ".jsonl": lambda p, how: json_lines(p, how.encoding),
    ".json": lambda p, how: json_list(p, how.encoding),
    ".parquet": lambda p, how: parquet(p, how.columns),
}
"""By ending; each but the last may be packed, .csv.gz."""

# JSON can escape what no text can hold, and no tokenizer takes.
_HALF = re.compile("[\ud800-\udfff]")
_CHAT = re.compile(r'\s*\[\s*\{\s*"(?:role|content)"\s*:')
_LOST = "\ufffd"


@dataclass(frozen=True)
class Columns:
    """The columns that are asked for, and the names of all."""

    table: str
    """What the table is called."""
    names: tuple[str, ...]
    values: dict[str, list[Any]]
    """A value a row; None where it has none."""
    n_rows: int

    def __len__(self) -> int:
        return self.n_rows

    @classmethod
    def of(
        cls, table: str, rows: Iterable[dict[str, Any]], wanted: Collection[str]
    ) -> "Columns":
        """Those of a reader's rows, which are not kept: a file may be larger than memory.

        JSON objects may differ in their keys, hence the union over the rows.
        """
        names: dict[str, None] = {}
        values: dict[str, list[Any]] = {name: [] for name in wanted}
        n_rows = 0
        for row in rows:
            names.update(dict.fromkeys(row))
            for name, column in values.items():
                column.append(row.get(name))
            n_rows += 1
        return cls(
            table, tuple(names), {n: values[n] for n in names if n in values}, n_rows
        )

    def filled(self, name: str, role: str) -> list[Any]:
        """A column without a gap, its bytes decoded.

        Raises:
            InputError: if there is none of this name, or it has gaps.
        """
        if name not in self.values:
            names = [repr(n if len(n) <= 40 else n[:40] + "...") for n in self.names[:20]]
            more = ["..."] if len(self.names) > 20 else []
            raise InputError(
                f"{role} must be a column of {self.table}, which has "
                f"{', '.join(names + more)}; got '{name}'.{meant(name, self.names)}"
            )
        values = self.decoded(name, role)
        empty = [
            i
            for i, v in enumerate(values)
            if v is None
            or (isinstance(v, str) and not v.strip())
            or (isinstance(v, float) and v != v)
        ]
        if empty:
            raise InputError(
                f"{role} '{name}' must be filled in every row; {len(empty)} of "
                f"{len(values)} are empty, the first in data row {empty[0] + 1}. Fill or "
                "remove them."
            )
        return values

    def decoded(self, name: str, role: str) -> list[Any]:
        """A column with its bytes, of a Parquet file, as text.

        Raises:
            InputError: if bytes are not UTF-8, or a text holds half a character.
        """
        values = self.values[name]
        for i, value in enumerate(values):
            if isinstance(value, bytes):
                try:
                    values[i] = value.decode()
                except UnicodeDecodeError:
                    raise InputError(
                        f"{role} '{name}' must hold text; data row {i + 1} holds bytes "
                        f"that are not UTF-8: {value[:20]!r}. Decode them and save text."
                    ) from None
        check_characters(values, f"{role} '{name}'")
        return values

    def texts(self, name: str, role: str) -> list[str]:
        """A column without a gap, as texts.

        Raises:
            InputError: as `filled` does; or if a value is a list or an object.
        """
        values = self.filled(name, role)
        check_plain(values, f"{role} '{name}'")
        return [str(value) for value in values]


def check_characters(texts: Sequence[Any], what: str) -> None:
    """Raise where a text holds what no tokenizer takes.

    Raises:
        InputError: with the first row.
    """
    broken = [i for i, t in enumerate(texts) if isinstance(t, str) and _HALF.search(t)]
    if broken:
        raise InputError(
            f"{what} must hold whole characters; {len(broken)} of {len(texts)} rows have "
            f"half of one (a lone surrogate), the first is data row {broken[0] + 1}. Mend "
            "or remove them."
        )


def check_plain(values: Sequence[Any], what: str) -> None:
    """Raise where a value is no text, number or date, but holds several.

    Raises:
        InputError: at the first.
    """
    for i, value in enumerate(values):
        if isinstance(value, list | dict | tuple | set):
            first = value[0] if isinstance(value, list) and value else value
            chat = isinstance(first, dict) and {"role", "content"} <= set(first)
            kind = "an object" if isinstance(value, dict) else "a list"
            advice = (
                "Write each conversation as one text, by your model's chat template "
                "(tokenizer.apply_chat_template(messages, tokenize=False)), and save that."
                if chat
                else "Save the text itself in a column of its own."
            )
            raise InputError(
                f"{what} must hold text; data row {i + 1} holds "
                f"{'chat messages' if chat else kind}: {str(value)[:60]}. {advice}"
            )


def check_names(**columns: Any) -> None:
    """Raise where texts or labels themselves come for the name of their column.

    Raises:
        InputError: as said.
    """
    for told, column in columns.items():
        if not isinstance(column, str | NoneType):
            raise InputError(
                f"{told} must be the name of a column; got {type(column).__name__}. Texts "
                "and labels apart are given as one pair, read_table((texts, labels))."
            )


def read_table(
    data: Any,
    text_column: str | None = None,
    label_column: str = "label",
    *,
    id_column: str | None = None,
    group_column: str | None = None,
    kept_columns: Collection[str] = (),
    template: str | None = None,
    label_kind: Literal["classes", "scores"] | None = None,
    quoting: Quoting | None = None,
    encoding: str | None = None,
    name: str | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> Task:
    """A task from the user's own table.

    Args:
        data: a file: .csv, .tsv, .jsonl or .json (a list of objects), packed or not (.gz,
            .bz2), or .parquet; ``hf:ID[:configuration[:split]]``, a data set of the Hugging
            Face hub; a pandas or polars DataFrame, an Arrow table, a ``datasets.Dataset``;
            a mapping of columns, a list of objects; or ``(texts, labels)``.
        text_column: the column with the text; None means ``text``, or no such column
            where the template names others.
        label_column: the column with Y.
        id_column: a unique name a row; None numbers the rows.
        group_column: the column that says which rows depend on each other: the document,
            speaker or question that several rows are of.
        kept_columns: others that the task keeps, filled in every row.
        template: the prompt, with the file's columns as ``{column}``; None is the text
            alone.
        label_kind: ``classes`` or ``scores``; None takes labels as classes unless scores
            are plainly meant, as `mi_probe.tasks.labels.classes_or_scores` has it.
        quoting: of CSV and TSV: ``standard``, where ``"`` opens a cell that may hold
            delimiters and line ends, or ``none``. None is the first, and refuses what
            looks like rows that a lone quotation mark swallowed.
        encoding: of all but Parquet; None is UTF-8, or what a byte order mark says.
        name: of the task; None takes the file's or the data set's, else "table".
        rows: how many rows to draw, without replacement; None takes all.
        seed: of that draw.

    Raises:
        InputError: if the file is absent, empty, not in its encoding or malformed, a column
            is missing, has gaps or holds no text, ids repeat, or the labels are of one
            class or of mixed types.

    Examples:
        >>> task = read_table((["good", "bad", "fine", "poor"], ["pos", "neg"] * 2))
        >>> task.label_names, task.labels.tolist()
        (('neg', 'pos'), [1, 0, 1, 0])
    """
    check_names(text_column=text_column, label_column=label_column)
    text = text_column or (None if template else "text")
    if text == label_column:
        raise InputError(f"text-column and label-column must differ; both are '{text}'.")
    shown = template or "{" + str(text) + "}"
    shown_columns = columns_in(template) if template else ()
    kept_columns = [kept_columns] if isinstance(kept_columns, str) else kept_columns
    others = {text, id_column, group_column, *kept_columns, *shown_columns}
    wanted = {label_column, *(c for c in others if c is not None)}
    table, origin = _read(data, wanted, quoting, encoding)
    prompts = () if text is None else tuple(table.texts(text, "text-column"))
    column = table.filled(label_column, "label-column")
    labels, names, notes = classes_or_scores(column, label_column, label_kind)
    ids = _ids(table, id_column)
    groups = _groups(table, group_column, label_column)
    if template:
        prompts = fill(template, _shown(table, template), hidden=[label_column])
    blank = [i for i, prompt in enumerate(prompts) if not prompt.strip()]
    if blank:
        raise InputError(
            f"prompts must hold text; {len(blank)} of {len(prompts)} are blank, the "
            f"first in data row {blank[0] + 1}. Fill or remove them."
        )
    task = Task(
        name=name or origin.name,
        prompts=prompts,
        answers=tuple(
            f" {value:.10g}" if names is None else f" {names[int(value)]}"
            for value in labels
        ),
        labels=labels,
        label_names=names,
        target=f"column '{label_column}' of {table.table}",
        ids=ids,
        source=f"{table.table}, sha256 {origin.sha256[:16]}, prompt {shown!r}",
        file_sha256=origin.sha256,
        notes=(*notes, *_lost(prompts)),
        groups=groups,
        template=shown,
        columns={name: tuple(table.filled(name, "given")) for name in kept_columns},
    ).grouped()
    return task if rows is None else task.sample(rows, seed=seed)


def _bare(path: Path) -> Path:
    """The name without the ending of what packed it."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


@dataclass(frozen=True)
class Origin:
    """Where a table came from."""

    name: str
    """What a task of it is called."""
    sha256: str
    """Hash of the file, or of the columns that were read."""


def _read(
    data: Any, wanted: set[str], quoting: Quoting | None, encoding: str | None
) -> tuple[Columns, Origin]:
    if isinstance(data, Path) or (isinstance(data, str) and not data.startswith(HUB)):
        path = Path(data)
        table = _read_file(path, wanted, quoting, encoding)
        return table, Origin(_bare(path).stem, sha256_of(path))
    for option, given in (("quoting", quoting), ("encoding", encoding)):
        if given is not None:
            raise InputError(
                f"{option} must be left out where data is no file; got '{given}'."
            )
    frame = frame_of(data)
    table = Columns.of(frame.name, frame.rows(wanted), wanted)
    if not table:
        raise InputError(f"data must hold rows; {frame.name} has none.")
    name = frame.name if isinstance(data, str) else "table"
    return table, Origin(name, digest(table.values))


def _read_file(
    path: Path, wanted: set[str], quoting: Quoting | None, encoding: str | None
) -> Columns:
    ending = _bare(path).suffix.lower()
    packed = _bare(path) != path
    if path.is_file() and (ending not in READERS or (packed and ending == ".parquet")):
        raise InputError(
            f"data must end in {', '.join(READERS)}, and may be packed as .gz or .bz2; got "
            f"'{path.name}'. Convert it, or rename it if only the ending differs."
        )
    told = {
        "quoting": (quoting, (".json", ".jsonl", ".parquet")),
        "encoding": (encoding, (".parquet",)),
    }
    for option, (given, lacking) in told.items():
        if given is not None and ending in lacking:
            raise InputError(
                f"{option} must be left out with {', '.join(lacking)} files, which have "
                f"none to tell; got '{given}' with '{path.name}'."
            )
    if encoding is not None:
        check_encoding(encoding)
    how = Reading(frozenset(wanted), quoting, encoding)
    read = READERS.get(ending, READERS[".json"])
    return well_read(
        path, lambda p: Columns.of(p.name, read(p, how), wanted), encoding=encoding
    )


def _shown(table: Columns, template: str) -> Iterator[dict[str, Any]]:
    """Rows of what a prompt shows, where a gap is empty; all names, for messages."""
    columns = {
        name: table.decoded(name, "column")
        for name in columns_in(template)
        if name in table.values
    }
    for name, values in columns.items():
        check_plain(values, f"column '{name}' in a template")
    others = dict.fromkeys(table.names, "")
    for i in range(len(table)):
        yield others | {n: "" if v[i] is None else v[i] for n, v in columns.items()}
        others = {}


def _lost(prompts: Sequence[str]) -> tuple[str, ...]:
    """A note of texts that were decoded wrongly before they came into the file."""
    n = sum(_LOST in prompt for prompt in prompts)
    note = f"{n:,} prompts hold U+FFFD, which stands for a character that was lost"
    chats = sum(bool(_CHAT.match(prompt)) for prompt in prompts)
    told = (
        f"{chats:,} prompts are chat messages written as JSON, and read as such; if the "
        "model is to read them as a conversation, write each by its chat template"
    )
    return (note,) * (n > 0) + (told,) * (chats > 0)


def _groups(
    table: Columns, group_column: str | None, label_column: str
) -> tuple[str, ...] | None:
    if group_column is None:
        return None
    if group_column == label_column:
        raise InputError(
            f"group-column and label-column must differ; both are '{group_column}', and "
            "rows of one label are no group."
        )
    groups = tuple(table.texts(group_column, "group-column"))
    if len(set(groups)) < 2 and len(groups) > 1:
        raise InputError(
            f"group-column '{group_column}' must hold several groups, which are held out "
            f"in turn; all {len(groups)} rows are of '{groups[0]}'."
        )
    return groups


def _ids(table: Columns, id_column: str | None) -> tuple[str, ...]:
    if id_column is None:
        return tuple(map(str, range(len(table))))
    ids = tuple(table.texts(id_column, "id-column"))
    repeated = [name for name, n in Counter(ids).items() if n > 1]
    if repeated:
        raise InputError(
            f"id-column '{id_column}' must be unique; {len(repeated)} ids repeat, for "
            f"instance '{repeated[0]}'. Name another column, or leave --id-column out to "
            "number the rows."
        )
    return ids
