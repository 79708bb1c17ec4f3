"""The tidy row: what one estimate is, and the JSON that stands for it."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
import torch

SCHEMA_VERSION = 3


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
    """Which positions Z holds: ``prompt``, ``generated`` (what the model wrote itself)
    or ``all``."""
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
    objective: str
    """How the model was trained: ``predictor``, ``generator`` or ``predgen``; empty for
    a model that no checkpoint of this package describes."""
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
    metric: str | None
    """The name of the trained system's score on the measured rows; None where it has no
    answers."""
    metric_value: float | None
    parse_failure_rate: float | None
    """Share of the measured rows on which the written answer could not be read."""
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
    return json.dumps(plain(content), sort_keys=True, allow_nan=False)


def digest(content: Any) -> str:
    """16 hexadecimal digits that stand for the content."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:16]


def settings_of(estimator: object) -> dict[str, Any]:
    """An estimator's class and fields, as plain values."""
    kind = {"class": type(estimator).__name__}
    return {**kind, **plain(estimator)} if dataclasses.is_dataclass(estimator) else kind


def plain(value: Any) -> Any:
    """The same content in what JSON knows: dicts, lists, texts, numbers, None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, float):
        # JSON knows no NaN; an empty cell says "no value" too.
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return getattr(value, "__name__", None) or str(value)


def table_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a tidy table, in the order given."""
    return typed([plain(row) for row in rows])


def typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Plain rows as a tidy table, with the type of each column of `Row`."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({f.name: _DTYPES[f.type] for f in fields(Row)})  # type: ignore[index]
