"""The page's table of all estimates."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable
from typing import TypeAlias

import pandas as pd

from mi_probe.analysis.control_points import control_label
from mi_probe.analysis.labels import view_words
from mi_probe.facts import reach
from mi_probe.report.cells import Cell, interval, number, status, text, whole
from mi_probe.report.tables import MOST_ROWS, Column, Table

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
