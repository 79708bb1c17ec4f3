"""Tables in memory as rows: data frames, data sets, lists; and data sets of the hub."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mi_probe.errors import InputError
from mi_probe.tasks.hub import hub_data

HUB = "hf:"
"""What begins the name of a data set of the hub, ``hf:ID[:configuration[:split]]``."""
KINDS = (
    "a file's path, hf:ID[:configuration[:split]], a pandas or polars DataFrame, an Arrow "
    "table, a datasets.Dataset, a mapping of columns, a list of objects, or (texts, labels)"
)
"""What a table may be, in words."""


@dataclass(frozen=True)
class Frame:
    """A table in memory, or of the hub."""

    name: str
    """What messages call it."""
    content: Any
    """A data frame, an Arrow table, a data set, columns by name, or a list of objects."""
    names: Mapping[str, tuple[str, ...]]
    """Names of the classes of a column that numbers them."""

    def rows(self, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
        """The rows; of other columns than the wanted, only the names.

        Raises:
            InputError: if wanted columns differ in length, are of mixed types or two of one
                name, or a row is no object.
        """
        if isinstance(self.content, Mapping):
            rows = _column_rows(self.content, self.name, wanted)
        elif isinstance(self.content, list | tuple):
            rows = _object_rows(self.content, self.name)
        else:
            rows = _arrow_rows(self.content, self.name, wanted)
        for row in rows:
            for column, names in self.names.items():
                if isinstance(row.get(column), int) and 0 <= row[column] < len(names):
                    row[column] = names[row[column]]
            yield row


def frame_of(data: Any) -> Frame:
    """What a table in memory, or a name of the hub, holds.

    Raises:
        InputError: if it is none, or several splits.
    """
    if isinstance(data, str):
        library_data, name = hub_data(data.removeprefix(HUB))
        return _data_set(library_data, name)
    if isinstance(data, Mapping) and any(hasattr(d, "with_format") for d in data.values()):
        raise InputError(
            f"data must be one split of a data set; got {', '.join(map(str, data))}. "
            f"Choose one: data['{next(iter(data))}']."
        )
    if hasattr(data, "with_format"):
        return _data_set(data, "the data set")
    if hasattr(data, "__arrow_c_stream__") and not isinstance(data, pd.Series):
        return Frame("the table", _with_names(data), {})
    apart = isinstance(data, tuple) and len(data) == 2
    if apart and not any(isinstance(part, Mapping | str) for part in data):
        texts, labels = data
        return Frame("the table", {"text": texts, "label": labels}, {})
    if isinstance(data, Mapping | list | tuple):
        return Frame("the table", data, {})
    raise InputError(
        f"data must be {KINDS}; got {type(data).__name__}. Texts and labels apart are "
        "given as one pair, (texts, labels)."
    )


def digest(rows: Mapping[str, Collection[Any]]) -> str:
    """The hash of columns: equal for tables whose rows are equal."""
    found = hashlib.sha256()
    for name in sorted(rows):
        found.update(json.dumps([name, list(rows[name])], default=str).encode())
    return found.hexdigest()


def _data_set(data: Any, name: str) -> Frame:
    """A ``datasets.Dataset``, whose classes may have names."""
    features = getattr(data, "features", None) or {}
    names = {
        column: tuple(feature.names)
        for column, feature in features.items()
        if getattr(feature, "names", None)
    }
    return Frame(name, data, names)


def _with_names(data: Any) -> Any:
    """A pandas frame as it is, any other library's as an Arrow table."""
    import pyarrow as pa

    return data if isinstance(data, pd.DataFrame) else pa.table(data)


def _arrow(data: Any, kept: Sequence[int]) -> Any:
    """An Arrow table of the columns at these places."""
    import pyarrow as pa

    if hasattr(data, "select_columns"):  # a data set, which reads what is asked for
        chosen = data.select_columns([data.column_names[i] for i in kept])
        return chosen.with_format("arrow")[:]
    if not isinstance(data, pd.DataFrame):
        return data.select([*kept])
    try:
        return pa.Table.from_pandas(data.iloc[:, [*kept]], preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"each column of data must be of one type; {said}. Turn it into text, for "
            "instance with .astype(str)."
        ) from None


def _arrow_rows(data: Any, name: str, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    if isinstance(data, pd.DataFrame):
        if {*map(str, data.index.names)} & {*wanted}:
            data = data.reset_index()
        names = [str(column) for column in data.columns]
    else:
        names = [*data.column_names]
    kept = [i for i, column in enumerate(names) if column in wanted]
    asked = [names[i] for i in kept]
    if twice := [column for column in asked if asked.count(column) > 1]:
        raise InputError(
            f"a column that is asked for must have its name alone; {name} has "
            f"{asked.count(twice[0])} called '{twice[0]}'. Rename or drop all but one."
        )
    others = dict.fromkeys(names)
    if not kept:
        yield from ({**others} for _ in range(len(data)))
        return
    for batch in _arrow(data, kept).to_batches(max_chunksize=10_000):
        values = [column.to_pylist() for column in batch.columns]
        for row in zip(*values, strict=True):
            yield {**others, **dict(zip(asked, row, strict=True))}


def _column_rows(
    content: Mapping[Any, Any], name: str, wanted: Collection[str]
) -> Iterator[dict[str, Any]]:
    others = dict.fromkeys(map(str, content))
    asked = {str(n): values for n, values in content.items() if str(n) in wanted}
    for column, values in asked.items():
        if isinstance(values, str) or not _several(values):
            raise InputError(
                f"columns of {name} must hold a value a row; '{column}' is one value."
            )
    columns = {column: _plain(values) for column, values in asked.items()}
    lengths = {column: len(values) for column, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{column}' {n}" for column, n in lengths.items())
        raise InputError(f"columns of {name} must be equally long; they have {told}.")
    if not columns and content:  # what is missing is named by who asked for it
        yield others
    for row in zip(*columns.values(), strict=True):
        yield {**others, **dict(zip(columns, row, strict=True))}


def _object_rows(content: Sequence[Any], name: str) -> Iterator[dict[str, Any]]:
    for i, row in enumerate(content):
        if not isinstance(row, Mapping):
            raise InputError(
                f"rows of {name} must be objects like "
                f'{{"text": ..., "label": ...}}; row {i + 1} is {type(row).__name__}. '
                "Texts and labels apart are given as (texts, labels)."
            )
        yield {str(column): _plain_value(value) for column, value in row.items()}


def _plain(values: Iterable[Any]) -> list[Any]:
    """A column of arrays, tensors or Python's own values as the last."""
    if hasattr(values, "tolist"):
        return list(values.tolist())  # type: ignore[union-attr]
    return [_plain_value(value) for value in values]


def _several(values: Any) -> bool:
    return isinstance(values, Iterable) and getattr(values, "ndim", 1) > 0


def _plain_value(value: Any) -> Any:
    if value is pd.NA or value is pd.NaT:
        return None
    if getattr(value, "ndim", 0):
        return list(value.tolist())  # refused where a text or a label is asked for
    return value.item() if hasattr(value, "item") and not isinstance(value, str) else value
