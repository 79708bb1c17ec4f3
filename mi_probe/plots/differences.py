"""Paired differences of estimates, one a line: a forest of `comparisons.csv`."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

import re

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_probe.analysis.labels import short_name
from mi_probe.errors import InputError
from mi_probe.plots.forest import LINE, Line, draw_lines, forest_notes
from mi_probe.plots.parts import LINE_SPACING, figure_legends, wrapped
from mi_probe.plots.style import view_style

MOST = 36
"""Lines that a figure has at most: of more, those with the smallest p."""
_NAMES = 0.42
"""Share of the width that names may take."""
_HELD = ("checkpoint", "layer", "view", "tokens", "estimator")
_NEEDED = ("task", "between", "a", "b", "difference", "low", "high", "unit")
_NEEDED_P = ("p_value", "p_holm", "over", "n")


def difference_forest(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw `points` of `in_unit(comparisons)`: a minus b, one a line.

    A heading a task and kind of difference names n and what the intervals are over.
    Hollow markers have an interval that holds 0, or a p-value above 0.05 once it is
    corrected for all differences of the table (Holm), which stands at the right. Of more
    than `MOST` differences only those with the smallest p are drawn, and the axis says so.

    Raises:
        InputError: a column missing, or no row.
    """
    missing = [name for name in (*_NEEDED, *_NEEDED_P) if name not in points.columns]
    if missing:
        raise InputError(
            f"points lack the columns {', '.join(missing)}; pass comparisons.csv through "
            "mi_probe.analysis.units.in_unit first."
        )
    if points.empty:
        raise InputError("points hold no rows; there is nothing to draw.")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    drawn = _drawn(points)
    looks = [view_style("full")] * len(drawn)
    lines = _lines(drawn, ax.get_figure().get_figwidth())
    draw_lines(ax, drawn, lines, looks, "difference")
    ax.locator_params(axis="x", nbins=4)
    label = f"difference of $I(Y;Z)$ estimates ({points['unit'].iloc[0]})"
    if len(drawn) < len(points):
        label += f"\nthe {len(drawn)} of {len(points)} with the smallest $p$"
    ax.set_xlabel(label, linespacing=LINE_SPACING)
    return ax


def difference_figure(points: pd.DataFrame) -> Figure:
    """`difference_forest` with its legend, as wide as `style` says, as tall as its lines.

    Raises:
        InputError: as `difference_forest`.
    """
    width = mpl.rcParams["figure.figsize"][0]
    figure = Figure(figsize=(width, 1.0), layout="constrained")
    ax = difference_forest(points, figure.subplots())
    figure.set_figheight(LINE * (ax.get_ylim()[0] + 1) + 0.5)
    over = list(dict.fromkeys(points["over"]))
    words = over[0] if len(over) == 1 else "rows (and groups, seeds, trainings)"
    figure_legends(figure, forest_notes(_drawn(points), "difference", words, "Holm's $p$"))
    return figure


def _drawn(points: pd.DataFrame) -> pd.DataFrame:
    """The lines that are drawn, in the table's order, with the p that counts them all."""
    kept = points["p_value"].astype(float).sort_values(kind="stable").index[:MOST]
    drawn = points.loc[kept.sort_values()].reset_index(drop=True)
    return drawn.assign(p_value=drawn["p_holm"])


def _lines(drawn: pd.DataFrame, inches: float) -> list[Line]:
    lines: list[Line] = []
    size = float(mpl.rcParams["font.size"])
    for (task, kind), group in drawn.groupby(["task", "between"], sort=False):
        heading = f"{short_name(str(task))}, between {kind}s"
        sizes = group["n"].dropna().unique()
        if len(sizes) == 1:
            heading += f", n = {sizes[0]:,.0f}"
        held = [name for name in _HELD if name in group]
        varying = [name for name in held if group[name].nunique(dropna=False) > 1]
        constant = [name for name in held if name not in varying and name != kind]
        told = [str(group[name].iloc[0]) for name in constant]
        told = [word for word in told if word not in ("", "nan")]
        heading += f" ({', '.join(told)})" if told else ""
        parts = wrapped(heading, inches, size=size).split("\n")
        lines += [Line(part, None) for part in parts]
        for i, row in group.iterrows():
            words = f"{row['a']} \N{MINUS SIGN} {row['b']}"
            words = ", ".join([words, *(str(row[name]) for name in varying)])
            # "Z - Z_mean": that they are of I(Y;Z) is said below.
            words = re.sub(r"I\(Y;(Z\w*)\)", r"\1", words)
            most = int(_NAMES * inches / (0.0062 * size))
            words = (
                words
                if len(words) <= most
                else f"{words[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
            )
            lines.append(Line(words, int(i)))
    return lines
