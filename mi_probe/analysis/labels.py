"""Short names for the models, tasks and estimators of a result table.

A figure has no room for a path or for thirty settings. A label therefore holds the
plain name and, after it, only what is needed to tell two rows of the same name apart.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import json
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

VIEWS = ("full", "mean", "last", "first", "max", "head")
"""Order in which views are listed everywhere; others follow in order of appearance."""

MODEL_KEY = (
    *("model", "revision", "adapter", "adapter_sha", "checkpoint_step", "objective"),
)
TASK_KEY = ("task", "target", "split", "token_set", "y_kind", "n", "gold_leak")
ESTIMATOR_KEY = ("estimator", "settings")


def short_name(name: str) -> str:
    """Last part of a path or hub id; the last two where the last is a checkpoint."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    if not parts:
        return name
    return "/".join(parts[-2:] if parts[-1].startswith("checkpoint-") else parts[-1:])


def _told_apart(names: Sequence[str]) -> dict[str, str]:
    """For each of several paths the part that no other has, without what all end in.

    A hub id of two parts keeps both.
    """
    paths = {name: name.replace("\\", "/").strip("/").split("/") for name in names}
    while len(paths) > 1 and len({parts[-1] for parts in paths.values()}) == 1:
        if any(len(parts) <= 2 for parts in paths.values()):
            break
        paths = {name: parts[:-1] for name, parts in paths.items()}
    count = 1
    while len({"/".join(p[-count:]) for p in paths.values()}) < len(paths):
        count += 1
        if count > max(map(len, paths.values())):
            return {name: name for name in names}
    return {name: "/".join(parts[-count:]) for name, parts in paths.items()}


def view_label(view: str) -> str:
    """The paper's symbol: I(Y;Z) for the full states, I(Y;Z_p) for a pooled view."""
    return "$I(Y;Z)$" if view == "full" else f"$I(Y;Z_p)$, {view}"


def view_words(view: str) -> str:
    """The same for a terminal, without mathematics."""
    return "I(Y;Z)" if view == "full" else f"I(Y;Z_{view})"


def in_order(values: pd.Series, order: Sequence[str] = VIEWS) -> list[Any]:
    """Views in the order of `VIEWS`, unknown ones after them as they first appear."""
    seen = list(dict.fromkeys(values))
    known = [name for name in order if name in seen]
    return known + [name for name in seen if name not in known]


def _text(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def model_labels(table: pd.DataFrame) -> pd.Series:
    """Model, then its adapter and checkpoint, then what else tells two rows apart."""
    names = table["model"].map(_text)
    short = names.map(short_name)
    # Two models whose last parts agree have as many more as tell them apart.
    clash = names.groupby(short).transform("nunique") > 1
    label = short.where(~clash, names.map(_told_apart([*names[clash]])))
    label = label.where(names.groupby(label).transform("nunique") == 1, names)
    adapter = table["adapter"].map(_text)
    # An adapter in the model's own folder, or in a checkpoint of it, says nothing more.
    own = [a == m or a.startswith(m + "/") for a, m in zip(adapter, names, strict=True)]
    adapter = adapter.mask(own, "").map(short_name)
    label = label + adapter.map(lambda text: f" + {text}" if text else "")
    step = table["checkpoint_step"].map(_text)
    label = label + step.map(lambda text: f", step {text}" if text else "")
    for column in ("objective", "revision", "adapter_sha", "adapter"):
        label = _tell_apart(label, table, column, MODEL_KEY)
    return label


def task_labels(table: pd.DataFrame) -> pd.Series:
    """Task, and its split, target, rows ... only where one table holds several."""
    label = table["task"].map(_text).map(short_name)
    # The token set last: `subjects` takes it off.
    for column in sorted(TASK_KEY[1:], key=lambda name: name == "token_set"):
        label = _tell_apart(label, table, column, TASK_KEY)
    return label


def subjects(points: pd.DataFrame) -> pd.Series:
    """Task labels without their token set: what is one figure, with a panel a token set."""
    pairs = zip(points["task_label"], points["token_set"].map(_text), strict=True)
    names = [label.removesuffix(f", {tokens}") for label, tokens in pairs]
    return pd.Series(names, index=points.index, dtype=object)


def estimator_labels(table: pd.DataFrame) -> pd.Series:
    """Estimator, and those of its settings in which two of the same name differ."""
    label = table["estimator"].map(_text)
    settings = table["settings"].map(_settings)
    for name in dict.fromkeys(label):
        rows = label == name
        keys = list(dict.fromkeys(key for s in settings[rows] for key in s))
        differing = [
            key for key in keys if len({json.dumps(s.get(key)) for s in settings[rows]}) > 1
        ]
        for key in differing:
            shown = settings[rows].map(lambda s, key=key: f", {key}={s.get(key)}")
            label.loc[rows] = label[rows] + shown
    return label


def _settings(text: Any) -> dict[str, Any]:
    try:
        value = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        value = {"settings": text}
    return value if isinstance(value, dict) else {"settings": value}


def _tell_apart(
    label: pd.Series, table: pd.DataFrame, column: str, key: tuple[str, ...]
) -> pd.Series:
    """Add `column` to the labels that stand for several members of `key`."""
    whole = table[list(key)].map(_text).agg("\x1f".join, axis=1)
    text = table[column].map(_text)
    shared = whole.groupby(label).transform("nunique") > 1
    varies = text.groupby(label).transform("nunique") > 1
    if column == "n":
        words = "n = " + text
    elif column == "gold_leak":
        words = text.map({"True": "gold answer seen"}).fillna("gold answer unseen")
    else:
        # A hash needs only enough of its start to be told from another.
        words = text.str[:7] if column == "adapter_sha" else text
    return label.where(~(shared & varies & (words != "")), label + ", " + words)


SYSTEM_LABELS = {
    "": "before training",
    "predictor": "Predictor",
    "generator": "Generator",
    "predgen": "PredGen",
}
"""The paper's name of each system, in its order, what is not trained first."""

_CHECKPOINT = re.compile(r"[/\\]?checkpoint-\d+[/\\]?$")


def with_runs(points: pd.DataFrame) -> pd.DataFrame:
    """Points of `over_seeds` with `run`: the model without its checkpoint's folder.

    Checkpoints of one run share model, adapter and objective but for ``checkpoint-N``.
    """
    model, adapter = (
        _texts(points[column]).str.replace(_CHECKPOINT, "", regex=True)
        for column in ("model", "adapter")
    )
    run = model.where(adapter == "", model + " + " + adapter.map(short_name))
    return points.assign(run=run, objective=_texts(points["objective"]))


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), "").astype(str)


def last_steps(points: pd.DataFrame) -> pd.DataFrame:
    """Of each run and task the points of its last step; of no step where none has one."""
    key = ["run", "objective", "task_label"]
    step = points["checkpoint_step"].astype("float64").fillna(-1.0)
    last = step.groupby([points[name] for name in key]).transform("max")
    return points[step == last].reset_index(drop=True)


def systems_in_order(points: pd.DataFrame) -> list[str]:
    """Objectives in the paper's order, unknown ones after them as they first appear."""
    return in_order(points["objective"], [*SYSTEM_LABELS])
