"""Controls in a table of points: told apart from states, and found beside them.

A row with a name in the column ``control`` is of no site that was asked about. Whoever
draws or reads states takes `states_of`; whoever sets a control beside a panel,
`controls_beside`.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from mi_probe.analysis.labels import (
    MODEL_KEY,
    TASK_KEY,
    estimator_labels,
    model_labels,
    task_labels,
)
from mi_probe.facts import fixed

CONTROL_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "words": "words",
        "length": "length",
        "answer": "own answer",
        "likelihood": "text given label",
        "embeddings": "embeddings",
        "random_weights": "random weights",
        "random_labels": "random labels",
    }
)
"""What figures call each control, in the order in which they are listed."""
OF_THE_MODEL = ("answer", "likelihood")
"""Controls that are a model's own posterior, of which no estimator is asked."""
AT_SITES = ("random_weights", "random_labels")
"""Controls that are measured at the states' own sites and views."""


def states_of(points: pd.DataFrame) -> pd.DataFrame:
    """The rows that are of the states themselves, and of no control."""
    if "control" not in points or points.empty:
        return points
    return points[~is_control(points)].reset_index(drop=True)


def controls_of(points: pd.DataFrame) -> pd.DataFrame:
    """The rows of controls, in the order of `CONTROL_WORDS`."""
    if "control" not in points or points.empty:
        return points.iloc[:0]
    found = points[is_control(points)]
    names = [*CONTROL_WORDS]
    rank = found["control"].map(lambda name: names.index(name) if name in names else 99)
    return found.loc[rank.sort_values(kind="stable").index].reset_index(drop=True)


def controls_beside(panel: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """The controls in `points` that were measured beside the states of a panel.

    Of the same models, tasks and rows, by the same estimator; those at sites only at the
    panel's own sites, of the same tokens. What a prompt's text says stands beside every
    token set.
    """
    found = controls_of(points)
    if found.empty or panel.empty:
        return found
    rows = {*_keys(panel, _ROWS)}
    same = np.array([key in rows for key in _keys(found, _ROWS)])
    by = found["control"].isin(OF_THE_MODEL) | found["estimator_label"].isin(
        set(panel["estimator_label"])
    )
    place = ("task_label", "site", "view", "stack")
    places = {*_keys(panel, place)}
    there = np.array([key in places for key in _keys(found, place)])
    free = ~found["control"].isin(AT_SITES)
    return found[same & by & (free | there)].reset_index(drop=True)


def with_controls(panel: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """The states of a panel, and after them `controls_beside` them."""
    return pd.concat([panel, controls_beside(panel, points)], ignore_index=True)


_ROWS = ("model_label", "task", "split", "n", "y_kind")
_OF_TEXT = ("token_set", "gold_leak")
"""In which a control of the prompt's text differs from states of other tokens."""


def control_label(row: pd.Series) -> str:
    """What a legend calls a control."""
    name = str(row["control"])
    words = CONTROL_WORDS.get(name, name)
    calibrated = row["view"] == "calibrated"
    return f"{words.removeprefix('own ')}, calibrated" if calibrated else words


def labelled(points: pd.DataFrame) -> pd.DataFrame:
    """Points with the four labels of a panel but the stack; controls have their states'.

    A control's own settings or token set would else make names of the states longer.
    """
    control = is_control(points)
    known = points[~control] if (~control).any() else points
    points = points.copy()
    for name, labels, key in (
        ("model_label", model_labels, MODEL_KEY),
        ("task_label", task_labels, TASK_KEY),
        ("estimator_label", estimator_labels, ("estimator",)),
    ):
        own = labels(known)
        points[name] = own
        left = points[name].isna()
        # The whole key, then without what a control of the text has of its own.
        for part in (key, tuple(one for one in key if one not in _OF_TEXT), key[:1]):
            given: dict[tuple[str, ...], str] = {}
            for of, label in zip(_keys(known, part), own, strict=True):
                given.setdefault(of, label)
            found = [given.get(of) for of in _keys(points, part)]
            points.loc[left, name] = pd.Series(found, index=points.index)[left]
            left = points[name].isna()
        points.loc[left, name] = points.loc[left, key[0]].astype(str)
    return points


def control_words(beside: pd.DataFrame) -> str:
    """What each control gives: "the words alone give 0.077 and the length alone 0.000".

    Of several networks or views a range.
    """

    def of(name: str, view: str | None = None) -> str | None:
        rows = beside[(beside["control"] == name) & beside["value"].notna()]
        rows = rows if view is None else rows[rows["view"] == view]
        ends = [] if rows.empty else [rows["value"].min(), rows["value"].max()]
        return " to ".join(dict.fromkeys(map(fixed, ends))) or None

    def own(name: str) -> str | None:
        said, calibrated = of(name, "as_is"), of(name, "calibrated")
        return f"{said} ({calibrated} calibrated)" if said and calibrated else said

    told: Sequence[tuple[str, str, str | None]] = (
        ("the words alone", "give", of("words")),
        ("the length alone", "gives", of("length")),
        ("the embeddings", "give", of("embeddings")),
        ("random weights", "give", of("random_weights")),
        ("the model's own answer", "gives", own("answer")),
        ("its likelihood of the text given the label", "gives", own("likelihood")),
        ("random labels", "give", of("random_labels")),
    )
    known = [one for one in told if one[2] is not None]
    # The verb once: "the words alone give .021, the length .000".
    parts = [
        f"{what} {verb} {value}" if i == 0 else f"{what} {value}"
        for i, (what, verb, value) in enumerate(known)
    ]
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def is_control(points: pd.DataFrame) -> pd.Series:
    """True for the rows of controls."""
    if "control" not in points:
        return pd.Series(False, index=points.index)
    return points["control"].notna() & (points["control"] != "")


def _keys(table: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, ...]]:
    rows = table[[*names]].itertuples(index=False, name=None)
    return [tuple(map(str, row)) for row in rows]
