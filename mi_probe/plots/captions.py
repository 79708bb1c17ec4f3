"""What a figure says in words: at its axes, over its panels, and in its caption.

A legend names what is told apart; what error bars and lines are of stands in the caption,
which is made from the table that is drawn, so that it is true of that table.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from mi_probe.analysis.control_points import CONTROL_WORDS, controls_of, states_of
from mi_probe.analysis.reading import STATUS_WORDS
from mi_probe.analysis.summaries import layer_words
from mi_probe.plots.page import check_table

DRAWN = (
    *("value", "low", "high", "ceiling", "null_high", "unit", "x", "status"),
    *("extrapolated", "extrapolated_low", "extrapolated_high", "claim"),
)
LEAST_DRAWS = 20
"""Permutations from which a null is drawn: of fewer there is no 95th percentile."""


def check_points(points: pd.DataFrame) -> None:
    """Refuse a table that `over_seeds` has not made, or an empty one.

    Raises:
        InputError: a column or every row is missing.
    """
    made = "pass results through mi_probe.analysis.summaries.over_seeds first"
    check_table(points, DRAWN, "points", made)


def has(points: pd.DataFrame, *columns: str) -> bool:
    """Whether the columns are there, and some row has a value in each of them."""
    there = set(columns) <= set(points.columns)
    return there and bool(points[list(columns)].notna().all(axis=1).any())


def is_true(table: pd.DataFrame, column: str) -> pd.Series:
    """Which rows say so, in a table that was read or made; none where it has no column."""
    if column not in table:
        return pd.Series(False, index=table.index)
    return table[column].astype(str).str.lower() == "true"


def with_null(points: pd.DataFrame) -> pd.DataFrame:
    """The points, and the permutation null only of those that have `LEAST_DRAWS`."""
    if "n_permutations" not in points:
        return points
    few = ~(points["n_permutations"].astype("float64") >= LEAST_DRAWS)
    unknown = points[["null_mean", "null_high"]].mask(few)
    return points.assign(**{name: unknown[name] for name in unknown})


def drawn_limits(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which values at n -> infinity are diamonds, and which arrows."""
    claim = points["claim"].astype(str)
    # Where an interval is not known, the bound itself.
    said = points["high"].astype(float).fillna(points["value"].astype(float))
    more = points["extrapolated_low"].astype(float) > said
    return (claim == "two_sided").to_numpy(), ((claim == "at_least") & more).to_numpy()


def count_words(sizes: pd.Series) -> str:
    """Numbers of rows in words: "300", or "50 to 300" where they differ."""
    least, most = sizes.min(), sizes.max()
    return f"{least:,.0f}" + (f" to {most:,.0f}" if least < most else "")


def y_label(points: pd.DataFrame) -> str:
    """Quantity and unit."""
    return f"MI estimate ({points['unit'].iloc[0]})"


def ceiling_label(points: pd.DataFrame) -> str:
    """H(Y), with its value where all points share one."""
    values = sorted({f"{value:.3f}" for value in points["ceiling"].dropna()})
    value = f" = {values[0]} {points['unit'].iloc[0]}" if len(values) == 1 else ""
    return f"$H(Y)${value}"


def interval_label(points: pd.DataFrame) -> str:
    """What the error bars or bands are; empty where there are none."""
    over = [text for text in dict.fromkeys(points["interval"]) if text]
    if not over:
        return ""
    return f"95 % interval {over[0] if len(over) == 1 else 'over examples (and seeds)'}"


def flag_label(points: pd.DataFrame) -> str:
    """Why some markers are open; empty where none is."""
    flagged = [s for s in dict.fromkeys(points["status"]) if s != "ok"]
    words = ", ".join(STATUS_WORDS.get(s, s) for s in flagged)
    return f"flagged: {words}" if words else ""


def sample_label(panel: pd.DataFrame) -> str:
    """Rows, seeds where there are several, and the warning that Y was in the input."""
    counts = sorted(panel["n_seeds"].unique())
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
    leak = is_true(panel, "gold_leak").any()
    several = f", {seeds} seeds" if counts[-1] > 1 else ""
    words = f"n = {count_words(panel['n'])}{several}"
    return words + (", gold answer in Z" if leak else "")


KINDS: Mapping[str, str] = MappingProxyType(
    {
        "profile": "Held-out estimates of one network by layer.",
        "bars": "Held-out estimates at one layer, which was fixed before any value was "
        "seen. Different networks are not ordered by the data processing inequality.",
        "systems": "Predictor, Generator and PredGen on each task. Within a network the "
        "data processing inequality orders all states and their poolings; between networks "
        "it says nothing.",
        "training": "Information by optimiser step; the metric has a panel of its own.",
        "accuracy": "Information against the metric, a point a checkpoint. Both rise with "
        "training, so their going together is no proof that one brings the other.",
        "comparisons": "Differences of two estimates of the same rows, taken row by row; p "
        "is corrected for all of them (Holm). Between networks the data processing "
        "inequality says nothing.",
        "gaps": "I(Y;Z|Z_p) of each pooling, from paired held-out values. Left of 0, the "
        "critic of Z is the weaker one.",
        "capacity": "The gap as the critic grows. One that closes was a gap of the weaker "
        "critic.",
        "noise": "The gap of states with noise added before pooling, where the data "
        "processing inequality is strict and no injectivity argument applies.",
        "convergence": "The bound on training and on held-out rows while the critic is "
        "trained: what lies between them was learned by heart.",
        "positions": "I(Y;Z_t) by the place of a token. Late places exist in long texts "
        "only.",
        "spans": "What each span adds, and what is known by its end.",
        "types": "What an occurrence of the token tells of Y on average; rare types are "
        "pooled.",
        "words": "By predicted word and word of the input. A few sentences make a vivid "
        "cell.",
        "strips": "Sentences as text: the first of the data, none picked.",
        "tokens": "Sentences layer by layer: the first of the data, none picked.",
        "generated": "Held-out linear information between the states of a written and of a "
        "read token. Neither bound: for comparing places, not for its size.",
    }
)
"""What each kind of figure is, in its caption."""


def caption(kind: str, table: pd.DataFrame) -> str:
    """What the figure is, and what its lines and marks are of, from the table it draws.

    Args:
        kind: of `KINDS`; others have no first sentence.
        table: what is drawn.
    """
    said = [KINDS.get(kind, "")]
    points = states_of(table)
    if points.empty or not {"interval", "n_seeds", "estimator_label"} <= set(points):
        return said[0]
    points = with_null(points)
    of = " and ".join(dict.fromkeys(points["estimator_label"].astype(str)))
    place = "" if kind == "profile" else f", {layer_words(points)}"
    steps = ", last step of each run" * (
        kind == "systems" and has(points, "checkpoint_step")
    )
    said.append(f"Estimator: {of}; {sample_label(points)}{place}{steps}.")
    over = interval_label(points)
    said.append(f"Error bars or bands: {over}." if over else "")
    if has(points, "ceiling"):
        said.append(f"Dashed: {ceiling_label(points).replace('$', '')}, the most there is.")
    if has(points, "null_high"):
        counts = points.loc[points["null_high"].notna(), "n_permutations"]
        mark = "Grey band" if kind == "profile" else "Dotted"
        said.append(f"{mark}: the same with Y permuted {count_words(counts)} times.")
    two_sided, raised = drawn_limits(points)
    if two_sided.any():
        said.append("Diamonds: the value at endless rows, another number than the bound.")
    if raised.any():
        said.append(
            "Open arrows: the least at endless rows, where it lies above the interval."
        )
    if has(points, "band_low") and kind == "profile":
        said.append("Dotted lines: a 95 % band that holds all layers and views at once.")
    beside = controls_of(table)
    if len(beside) and kind in ("profile", "bars", "systems"):
        names = dict.fromkeys(CONTROL_WORDS.get(n, n) for n in beside["control"])
        words = ", ".join(names)
        said.append(f"Thin lines: what simpler things know on the same rows ({words}).")
    flags = flag_label(points)
    said.append(f"Hollow: {flags}." if flags else "")
    return " ".join(filter(None, said))
