"""The estimates in a table a task: a line a network, with what pooling loses."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Iterator

import pandas as pd

from mi_probe.analysis.control_points import controls_beside, states_of
from mi_probe.analysis.labels import in_order, view_words
from mi_probe.analysis.reading import Paired
from mi_probe.analysis.summaries import at_layer
from mi_probe.analysis.training_runs import last_steps, with_runs
from mi_probe.facts import fixed
from mi_probe.report.cells import DASH, Cell, interval, number, status, text, whole
from mi_probe.report.tables import Column, Table

_CAPTION = (
    "Nats at the deepest layer and the last step of each run, fixed before any value was "
    "seen. A pooling loses I(Y;Z) minus I(Y;Z_p), paired over rows; bold where its 95 % "
    "interval lies above 0: of usable information, as each view has a critic of its own. "
    "Words, Answer: what the text's words and the model's own answer tell. Accuracy is the "
    "critic's. Networks are not ordered by the data processing inequality."
)


def reading_tables(points: pd.DataFrame, paired: Paired) -> list[Table]:
    """One a task; empty where no estimate has a place on the layer axis."""
    if points.empty or states_of(points)["x"].isna().all():
        return []
    chosen = last_steps(with_runs(at_layer(points)))
    return [
        _table(f"reading{i}", str(task), rows, points, paired)
        for i, (task, rows) in enumerate(chosen.groupby("task", sort=False))
    ]


def _table(
    name: str, task: str, chosen: pd.DataFrame, points: pd.DataFrame, paired: Paired
) -> Table:
    pooled = [view for view in in_order(chosen["view"]) if view != "full"]
    columns = [Column(title) for title in ("Model", "Tokens", "Estimator")]
    columns += [Column(title, number=True) for title in ("Layer", "n")]
    columns += [Column("Quantity"), Column("Estimate", number=True)]
    columns += [Column("95 % interval", number=True), Column("% of H(Y)", number=True)]
    columns += [Column(f"{view} loses", number=True) for view in pooled]
    columns += [Column(title, number=True) for title in ("Words", "Answer", "Accuracy")]
    metric = chosen["metric"].dropna().astype(str)
    columns += [Column(f"Own {name}", number=True) for name in metric[:1]]
    columns += [Column("Status")]
    rows = []
    keys = ["model_label", "task_label", "token_set", "estimator_label", "stack"]
    for _, panel in chosen.groupby(keys, sort=False, dropna=False):
        lead = panel[panel["view"] == in_order(panel["view"])[0]].iloc[0]
        known = pd.notna(lead["ceiling"]) and lead["ceiling"] > 0
        share = 100 * lead["value"] / lead["ceiling"] if known else None
        cells = [text(lead[of]) for of in ("model_label", "token_set", "estimator_label")]
        cells += [whole(lead["x"]), whole(lead["n"])]
        cells += [text(view_words(lead["view"])), number(lead["value"])]
        cells += [interval(lead["low"], lead["high"]), number(share, 0)]
        cells += [_lost(panel, view, paired) for view in pooled]
        cells += [*_beside(panel, points), number(lead["accuracy"])]
        cells += [number(lead["metric_value"])] * bool(len(metric))
        rows.append((*cells, status(lead["status"])))
    return Table(name, task, _CAPTION, tuple(columns), tuple(rows))


def _lost(panel: pd.DataFrame, view: str, paired: Paired) -> Cell:
    """What all states know beyond a pooled view, with its interval."""
    full, pooled = (panel[panel["view"] == name] for name in ("full", view))
    if full.empty or pooled.empty:
        return Cell(DASH)
    ids = (str(one["row_ids"].iloc[0]) for one in (full, pooled))
    found = paired(*ids)
    if found is None:
        lost = full["value"].iloc[0] - pooled["value"].iloc[0]
        return Cell(f"{fixed(lost)}, untested", repr(float(lost)))
    words = f"{fixed(found.difference)} {interval(*found.ci).text}"
    return Cell(words, repr(float(found.difference)), shown=found.ci[0] > 0)


def _beside(panel: pd.DataFrame, points: pd.DataFrame) -> Iterator[Cell]:
    """What the words alone, and the model's own answer as it is, tell."""
    beside = controls_beside(panel, points)
    for name, view in (("words", None), ("answer", "as_is")):
        rows = beside[beside["control"] == name]
        rows = rows if view is None else rows[rows["view"] == view]
        yield number(rows["value"].iloc[0]) if len(rows) else Cell(DASH)
