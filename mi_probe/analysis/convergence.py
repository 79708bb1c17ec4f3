"""How a critic was trained: its bound on training and on validation rows, by epoch."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportCallIssue=false

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mi_probe.analysis.labels import estimator_labels, model_labels, task_labels
from mi_probe.analysis.units import unit_factor

PARTS = ("train", "validation")
"""Rows whose bound is known at each epoch; the held-out rows are scored once, after."""

_KEPT = (
    *("row_id", "model", "adapter", "objective", "checkpoint_step", "task", "site"),
    *("layer", "view", "estimator", "seed", "n", "status"),
)


def training_curves(
    results: pd.DataFrame, histories: Mapping[str, Sequence[Mapping[str, Any]]], unit: str
) -> pd.DataFrame:
    """One row a fold, epoch and part, of every estimate whose critic was trained.

    Columns: those that say whose estimate it is, `fold`, `epoch`, `part` (`train` or
    `validation`), `value` (the bound there; epoch 0 is the critic's start), `best_epoch`,
    `kept` (whether the trained network was better than its start), and of the estimate
    `held_out`, `low`, `high`, `ceiling`; all information in `unit`. Empty where no critic
    was trained.

    Args:
        results: a table of estimates.
        histories: `Estimate.history` by row id.
        unit: nats or bits.

    Raises:
        InputError: an unknown unit.
    """
    factor = unit_factor(unit)
    table = results.drop_duplicates("row_id").reset_index(drop=True)
    table = table.assign(
        model_label=model_labels(table),
        task_label=task_labels(table),
        estimator_label=estimator_labels(table),
    )
    rows: list[dict[str, Any]] = []
    for _, found in table.iterrows():
        about = {name: found[name] for name in (*_KEPT, *_LABELS)}
        for name, source in _VALUES.items():
            about[name] = _scaled(found[source], factor)
        for fold, record in enumerate(histories.get(found["row_id"], ())):
            rows += [
                about
                | {
                    "fold": fold,
                    "part": part,
                    "epoch": epoch,
                    "value": _scaled(value, factor),
                    "best_epoch": record.get("best_epoch"),
                    "kept": record.get("residual_kept"),
                }
                for part in PARTS
                for epoch, value in enumerate(record.get(part) or ())
            ]
    return pd.DataFrame(rows).assign(unit=unit) if rows else pd.DataFrame()


_LABELS = ("model_label", "task_label", "estimator_label")
_VALUES = {
    "held_out": "value_nats",
    "low": "ci_low",
    "high": "ci_high",
    "ceiling": "H_Y_nats",
}


def _scaled(value: Any, factor: float) -> float:
    return float("nan") if value is None or pd.isna(value) else float(value) * factor
