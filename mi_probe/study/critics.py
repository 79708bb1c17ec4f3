"""Generative against discriminative critics: what each finds as the rows grow in number."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportGeneralTypeIssues=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportOperatorIssue=false

from collections.abc import Sequence

import pandas as pd

from mi_probe.estimators import ESTIMATORS
from mi_probe.study.endpoints import matches
from mi_probe.study.gathered import Measured

COLUMNS = (
    *("task", "backbone", "site", "view", "estimator", "family", "rows"),
    *("nats", "low", "high", "H_Y_nats"),
)
_STATES = {"system": "", "token_set": "prompt", "control": ""}
PLACE = ("task", "backbone", "site", "view")


def critic_lines(entries: Sequence[Measured]) -> pd.DataFrame:
    """A line an estimator and number of rows, of models as they are.

    Only where several estimators measured the same states with several numbers of rows
    each. The interval is an estimate's own, 95 %, over rows; estimators at one number of
    rows are of the same rows, so that their difference is better known than their intervals
    say (a declared comparison has it).
    """
    lines = [
        {
            **{name: entry.told[name] for name in (*PLACE, "estimator", "rows")},
            "family": _family(entry.told["estimator"]),
            "nats": entry.scored.nats,
            **dict(zip(("low", "high"), entry.scored.ci, strict=True)),
            "H_Y_nats": entry.scored.entropy_y,
        }
        for entry in entries
        if entry.of == "information" and matches(entry.told, _STATES)
    ]
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    counts = table.groupby([*PLACE, "estimator"])["rows"].transform("nunique")
    kept = [
        part.sort_values(["family", "estimator", "rows"], kind="stable")
        for _, part in table[counts > 1].groupby([*PLACE], sort=False)
        if part["estimator"].nunique() > 1
    ]
    return pd.concat(kept, ignore_index=True) if kept else table.iloc[:0]


def _family(estimator: str) -> str:
    """Its family; empty for an estimator of the user's own."""
    return ESTIMATORS[estimator].nature.family if estimator in ESTIMATORS else ""
