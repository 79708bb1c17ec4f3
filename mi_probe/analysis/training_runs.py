"""Which checkpoints are one run of training, and which of its steps is the last."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false

import re

import pandas as pd

from mi_probe.analysis.labels import in_order, short_name

SYSTEMS = ("", "predictor", "generator", "predgen")
"""The order in which systems are listed: the paper's, what is not trained first."""

_CHECKPOINT = re.compile(r"[/\\]?checkpoint-\d+[/\\]?$")


def with_runs(points: pd.DataFrame) -> pd.DataFrame:
    """Points of `over_seeds` with `run`: the model without its checkpoint's folder.

    Checkpoints of one run share model, adapter and objective but for ``checkpoint-N``.
    """
    model, adapter = (
        _text(points[column]).str.replace(_CHECKPOINT, "", regex=True)
        for column in ("model", "adapter")
    )
    run = model.where(adapter == "", model + " + " + adapter.map(short_name))
    return points.assign(run=run, objective=_text(points["objective"]))


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str)


def last_steps(points: pd.DataFrame) -> pd.DataFrame:
    """Of each run and task the points of its last step; of no step where none has one."""
    key = ["run", "objective", "task_label"]
    step = points["checkpoint_step"].astype("float64").fillna(-1.0)
    last = step.groupby([points[name] for name in key]).transform("max")
    return points[step == last].reset_index(drop=True)


def systems_in_order(points: pd.DataFrame) -> list[str]:
    """Objectives in the paper's order, unknown ones after them as they first appear."""
    return in_order(points["objective"], SYSTEMS)
