"""The sides of comparisons: estimates of a results folder, over seeds and trainings."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from mi_probe.analysis.labels import (
    ESTIMATOR_KEY,
    MODEL_KEY,
    estimator_labels,
    in_order,
    last_steps,
    model_labels,
    systems_in_order,
    view_words,
    with_runs,
)
from mi_probe.analysis.scored import Scored, Stored, averaged
from mi_probe.errors import InputError

SAME = ("task", "split", "target", "y_kind")
"""Columns in which the sides of a pair agree always."""
WORDS = ("checkpoint", "layer", "view", "tokens", "estimator", "seed")
"""What a side has a word for: all that two may differ in."""


@dataclass(frozen=True, eq=False)
class Side:
    """One side of comparisons: an estimate, over its seeds and trainings."""

    words: dict[str, str]
    """What it is called, by what it may differ in."""
    scored: list[Scored] = field(repr=False)
    """One a training where there are several, else one a seed."""
    row: pd.Series = field(repr=False)
    """The first of its rows."""
    row_ids: tuple[str, ...]
    trainings: int
    seeds: int
    flagged: str
    """The status of one of its estimates that is not ok; empty where all are."""


def sides_of(
    table: pd.DataFrame, stored: Stored, what: str, refused: list[str]
) -> Iterator[Side]:
    """The estimates that may be compared, those of several seeds and trainings together.

    Why others may not is added to ``refused``.
    """
    points = table.assign(
        model_label=model_labels(table), estimator_label=estimator_labels(table)
    )
    points = with_runs(points)
    if what == "system":
        points = last_steps(points.assign(task_label=points["task"]))
    # One training with several seeds is told by its hash; others are themselves.
    steps = points.groupby(["training", "training_seed"])["checkpoint_step"].nunique()
    most = steps.groupby("training").max().to_dict()
    single = {str(training) for training, count in most.items() if count == 1}
    points["trained"] = [
        _trained(row, single, apart=what == "seed") for row in points.to_dict("records")
    ]
    keys = ["trained", "site", "view", "token_set", *ESTIMATOR_KEY, *SAME]
    keys += ["seed"] * (what == "seed")
    for _, rows in _ordered(points).groupby(keys, sort=False, dropna=False):
        side = _side(rows, stored)
        if isinstance(side, Side):
            yield side
        else:
            refused.append(side)


def _ordered(points: pd.DataFrame) -> pd.DataFrame:
    """Systems as the paper lists them, steps and layers upwards, all states first."""
    rank = points[["checkpoint_step", "layer", "seed"]].astype("float64")
    for column, order in (
        ("objective", systems_in_order(points)),
        ("view", in_order(points["view"])),
        *((c, sorted(set(points[c]))) for c in ("run", "token_set", "estimator_label")),
    ):
        rank[column] = points[column].map(order.index)
    by = ["objective", "run", "checkpoint_step", "layer", "view", "token_set"]
    order = rank.sort_values([*by, "estimator_label", "seed"], kind="stable").index
    return points.loc[order]


def _trained(row: dict[str, Any], single: set[str], *, apart: bool) -> str:
    """What is the same for all checkpoints that differ in their training's seed alone."""
    if pd.isna(row["training"]) or apart:
        return repr([row[name] for name in MODEL_KEY])
    step = None if row["training"] in single else row["checkpoint_step"]
    return repr([row["training"], step, row["objective"]])


def _side(rows: pd.DataFrame, stored: Stored) -> Side | str:
    """One side; why there is none where the terms of some rows are not kept."""
    first = rows.iloc[0]
    trainings = rows["training_seed"].nunique()
    model = str(first["model_label"])
    if trainings > 1:
        name = first["objective"] or model
        model = f"{name} ({trainings} trainings: {', '.join(dict.fromkeys(rows['run']))})"
    words = {
        "checkpoint": model,
        "layer": str(first["site"]),
        "view": view_words(str(first["view"])),
        "tokens": str(first["token_set"]),
        "estimator": str(first["estimator_label"]),
        "seed": f"seed {first['seed']}",
    }
    name = ", ".join([words[w] for w in WORDS[:-1]] + [str(first["task"])])
    try:
        scored = [stored.get(row_id, name) for row_id in rows["row_id"]]
    except InputError as error:
        return f"{name} is compared with nothing: {error}"
    kept = [one for one in scored if one is not None and np.isfinite(one.nats)]
    if len(kept) < len(rows):
        return (
            f"{name} is compared with nothing: {len(rows) - len(kept)} of {len(rows)} "
            "estimates of it have no finite value or kept no terms. Measure it again."
        )
    if trainings > 1:
        kept.sort(key=lambda one: one.draw[0])
        kept = [averaged(list(of)) for _, of in groupby(kept, lambda one: one.draw[0])]
    flagged = [status for status in rows["status"] if status != "ok"]
    return Side(
        words,
        kept,
        first,
        tuple(rows["row_id"]),
        trainings if rows["training_seed"].notna().any() else 0,
        rows["seed"].nunique(),
        flagged[0] if flagged else "",
    )
