"""The page's estimates: a table a task, with what pooling loses, and one of them all."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pandas as pd

from mi_probe.analysis.control_points import control_label, controls_beside, states_of
from mi_probe.analysis.labels import in_order, last_steps, view_words, with_runs
from mi_probe.analysis.reading import Paired
from mi_probe.analysis.summaries import at_layer
from mi_probe.facts import fixed, reach
from mi_probe.report.cells import DASH, Cell, interval, number, status, text, whole
from mi_probe.report.tables import MOST_ROWS, Column, Table

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


Shown: TypeAlias = tuple[Column, Callable[[pd.Series], Cell]]
"""A column, and what a row of points has in it."""


def _words(title: str, name: str) -> Shown:
    return Column(title, chosen=True), lambda row: text(row[name])


def _value(title: str, name: str, digits: int = 3) -> Shown:
    return Column(title, number=True), lambda row: number(row[name], digits)


def _count(title: str, name: str) -> Shown:
    return Column(title, number=True), lambda row: whole(row[name])


def _ends(title: str, low: str, high: str) -> Shown:
    return Column(title, number=True), lambda row: interval(row[low], row[high])


def _of(row: pd.Series) -> Cell:
    return text(control_label(row) if row["control"] else "states")


def _quantity(row: pd.Series) -> Cell:
    return text("" if row["quantity"] == "I_YC" else view_words(row["view"]))


def _share(row: pd.Series) -> Cell:
    known = pd.notna(row["ceiling"]) and row["ceiling"] > 0
    return number(100 * row["value"] / row["ceiling"] if known else None, 0)


def _limit(row: pd.Series) -> Cell:
    """The value at n -> infinity, or the least that it claims."""
    limit = number(row["extrapolated"])
    if limit.key and row["claim"] == "at_least":
        low = row["extrapolated_low"]
        return Cell(reach(row["extrapolated"], low, row["claim"]), number(low).key)
    return limit


_ESTIMATES: tuple[Shown, ...] = (
    _words("Model", "model_label"),
    _words("Task", "task_label"),
    (Column("Of", chosen=True), _of),
    _count("Layer", "x"),
    (Column("Quantity", chosen=True), _quantity),
    _value("Estimate", "value"),
    _ends("95 % interval", "low", "high"),
    _value("Accuracy", "accuracy"),
    (Column("Status", chosen=True), lambda row: status(row["status"])),
    _count("n", "n"),
    # So far at a glance; what follows may need to be scrolled to.
    (Column("% of H(Y)", number=True), _share),
    _value("H(Y)", "ceiling"),
    _words("Estimator", "estimator_label"),
    (Column("Site"), lambda row: text(row["site"])),
    _ends("All at once", "band_low", "band_high"),
    (Column("n \N{RIGHTWARDS ARROW} \N{INFINITY}", number=True), _limit),
    _value("Null, high", "null_high"),
    _value("p", "p_value"),
    _value("p, of all", "p_family"),
    _value("FDR", "p_fdr"),
    _value("AUROC", "auroc"),
    _value("Brier", "brier"),
    _value("ECE", "ece"),
    _value("Code length", "code_length_bits", 0),
    _count("Seeds", "n_seeds"),
)


def estimates_table(points: pd.DataFrame) -> Table:
    """All estimates, averaged over seeds, in nats."""
    rows = points.head(MOST_ROWS).iterrows()
    return Table(
        "estimates",
        "All estimates",
        "In nats, of rows that no critic saw in training, averaged over seeds. "
        "n \N{RIGHTWARDS ARROW} \N{INFINITY}: the extrapolated value, or after "
        "\N{GREATER-THAN OR EQUAL TO} the least that it claims. Null, high: the 95th "
        "percentile with Y permuted, where that is of the same estimate; p: of its own or "
        "of a cheaper statistic. All at once: a 95 % band that holds all layers and views "
        "of a model and estimator together. p, of all: that its bound is 0 or less, with "
        "one false among all of them as rare as it says; FDR: the same by share. "
        "Accuracy to ECE are of the same held-out posterior; the "
        "code length is in bits, of all labels sent online. Of: the states, or a control, "
        "which stands beside them.",
        tuple(column for column, _ in _ESTIMATES),
        tuple(tuple(cell(row) for _, cell in _ESTIMATES) for _, row in rows),
        max(0, len(points) - MOST_ROWS),
    )
