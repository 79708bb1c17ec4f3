"""Tables in memory as rows: data frames, data sets, lists; and data sets of the hub."""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
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
    """An Arrow table, columns by name, or a list of objects."""
    names: Mapping[str, tuple[str, ...]]
    """Names of the classes of a column that numbers them."""

    def rows(self, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
        """The rows; of other columns than the wanted, only the names.

        Raises:
            InputError: if columns differ in length, or a row is no object.
        """
        rows = (
            _arrow_rows(self.content, wanted)
            if hasattr(self.content, "to_batches")
            else _plain_rows(self.content, self.name)
        )
        for row in rows:
            for column, names in self.names.items():
                if isinstance(row.get(column), int) and 0 <= row[column] < len(names):
                    row[column] = names[row[column]]
            yield row


def frame_of(data: Any) -> Frame:
    """What a table in memory, or a name of the hub, holds.

    Raises:
        InputError: if it is none, of mixed types within a column, or several splits.
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
    if hasattr(data, "__arrow_c_stream__"):
        return Frame("the table", _arrow(data), {})
    apart = isinstance(data, tuple) and len(data) == 2
    if apart and not any(isinstance(part, Mapping | str) for part in data):
        texts, labels = data
        return Frame("the table", {"text": texts, "label": labels}, {})
    if isinstance(data, Mapping | list | tuple):
        return Frame("the table", data, {})
    raise InputError(f"data must be {KINDS}; got {type(data).__name__}.")


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
    return Frame(name, data.with_format("arrow")[:], names)


def _arrow(data: Any) -> Any:
    import pyarrow as pa

    try:
        return pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"each column of data must be of one type; {said}. Turn it into text, for "
            "instance with .astype(str)."
        ) from None


def _arrow_rows(table: Any, wanted: Collection[str]) -> Iterator[dict[str, Any]]:
    others = dict.fromkeys(table.column_names)
    kept = [name for name in table.column_names if name in wanted]
    for batch in table.select(kept).to_batches(max_chunksize=10_000) if kept else ():
        for row in batch.to_pylist():
            yield {**others, **row}
    if not kept:
        yield from ({**others} for _ in range(table.num_rows))


def _plain_rows(content: Any, name: str) -> Iterator[dict[str, Any]]:
    if isinstance(content, Mapping):
        single = [
            str(n) for n, v in content.items() if isinstance(v, str) or not _several(v)
        ]
        if single:
            raise InputError(
                f"columns of {name} must hold a value a row; '{single[0]}' is one value."
            )
        columns = {str(column): _plain(values) for column, values in content.items()}
        lengths = {column: len(values) for column, values in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"'{column}' {n}" for column, n in lengths.items())
            raise InputError(f"columns of {name} must be equally long; they have {told}.")
        for row in zip(*columns.values(), strict=True):
            yield dict(zip(columns, row, strict=True))
        return
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
