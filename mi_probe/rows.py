"""The tidy row: what one estimate is, and the JSON that stands for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, get_args

import pandas as pd

from mi_probe.contents import plain

SCHEMA_VERSION = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One estimate. Values are in nats; None is an empty cell."""

    schema_version: int = SCHEMA_VERSION
    row_id: str
    quantity: str
    """``I_YZ`` for all token states, ``I_YZp`` for a pooled vector, ``I_YC`` for a control
    that is no state of a network."""
    control: str | None
    """Name of the control (`mi_probe.analysis.controls`) that the row is of, measured
    beside the states; None for the states themselves. Its weights and labels are drawn by
    ``seed``."""
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
    training: str | None
    """Hash of all that its training was told but its seed: checkpoints that share it are
    one training with several seeds. None as for ``trainable``."""
    training_seed: int | None
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
    accuracy: float | None
    """Share of rows whose likeliest class by the held-out posterior is theirs; this and the
    next four are None where the estimator has no posterior of classes."""
    auroc: float | None
    """Area under the ROC curve of the same; of more than two classes the plain mean over
    classes, each against all others."""
    brier: float | None
    """Mean squared distance between posterior and class, summed over classes: 0 to 2."""
    ece: float | None
    """Calibration error of the likeliest class, expected, in 15 bins of as many rows."""
    code_length_bits: float | None
    """Online code length of all labels; `mi_probe.analysis.posterior_scores` has how."""
    extrapolated_nats: float | None
    """The value at n -> infinity; None where there is none."""
    extrapolated_low: float | None
    extrapolated_high: float | None
    """Upper end of its interval; None where it is claimed from below alone."""
    extrapolated_claim: str | None
    """``at_least`` (no less than ``extrapolated_low``) or ``two_sided``."""
    extrapolated_assumes: str | None
    """Law of the data that a two-sided claim assumes; None for at_least."""
    extrapolated_reason: str | None
    """Why no more is claimed; None for a two-sided claim."""
    extrapolated_method: str | None
    """What it is by: the learning curve, or theory of linear discriminants or of canonical
    correlations; none where the value is only repeated as it was learned."""
    null_mean: float | None
    """Mean of the same estimate with Y permuted; None where that was not made."""
    null_high: float | None
    """Its 95th percentile."""
    n_permutations: int
    p_value: float | None
    p_statistic: str | None
    """What the permutations are compared by: ``estimate``, or the name of a cheaper
    statistic of dependence; None without permutations."""
    H_Y_nats: float | None
    """The ceiling; None for scores, which have none."""
    metric: str | None
    """The name of the trained system's score on the measured rows; None where it has no
    answers."""
    metric_value: float | None
    parse_failure_rate: float | None
    """Share of the measured rows on which the written answer could not be read."""
    status: str
    notes: str | None
    """What the rows show that the reader should know, such as that they seem to depend on
    one another."""
    parity: str | None = None
    """Whether states that were made elsewhere are the model's own, by the certificate of
    `mi_probe.capture.parity`: ``equal``, ``close`` or ``unchecked``; None where they were
    captured here."""
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


def typed(rows: list[dict[str, Any]], kind: type = Row) -> pd.DataFrame:
    """Plain rows as a tidy table, with the type of each column of their dataclass."""
    dtypes = {f.name: _DTYPES[f.type] for f in fields(kind)}
    return pd.DataFrame(rows, columns=pd.Index(dtypes)).astype(dtypes)  # type: ignore[arg-type]


def filled(row: Mapping[str, Any], kind: type = Row) -> dict[str, Any]:
    """A plain row, with columns that are newer than it left empty."""
    return {f.name: None for f in fields(kind) if f.default is None} | dict(row)


def check_row(row: Mapping[str, Any], kind: type = Row) -> None:
    """See that a plain row has each column of its dataclass, of its type.

    Raises:
        ValueError: at the first that is missing, more, or of another type.
    """
    columns = {field.name: field.type for field in fields(kind)}
    if differ := sorted(set(row) ^ set(columns)):
        raise ValueError(f"its columns differ in {', '.join(differ[:3])}")
    for name, type_ in columns.items():
        kinds, value = get_args(type_) or (type_,), row[name]
        taken = {*kinds, *((int, NoneType) if float in kinds else ())}
        if type(value) not in taken or (type(value) is int and abs(value) >= 2**63):
            raise ValueError(f"{name} is {value!r}"[:80])
        if isinstance(value, str):
            value.encode()  # UnicodeEncodeError, where no table can hold it
