"""The tidy row: what one estimate is, and the JSON that stands for it."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

from mi_probe.contents import plain

SCHEMA_VERSION = 4


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
    trainable: int | None
    """Numbers that its training could change, head and alignment included; None where no
    checkpoint of this package says so."""
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
    """The value at n -> infinity; None where there is none."""
    extrapolated_low: float | None
    extrapolated_high: float | None
    extrapolated_reliable: bool | None
    extrapolated_reason: str | None
    """Why the extrapolation is not reliable; None where it is."""
    extrapolated_method: str | None
    """What it is by: the learning curve, or theory of linear discriminants or of canonical
    correlations; none where the value is only repeated as it was learned."""
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


def table_of(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a tidy table, in the order given."""
    return typed([plain(row) for row in rows])


def typed(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Plain rows as a tidy table, with the type of each column of `Row`."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({f.name: _DTYPES[f.type] for f in fields(Row)})  # type: ignore[index]
