"""Curves of critics: a bound by epoch, and what each finds as the rows grow in number."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from dataclasses import replace

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mi_probe.analysis.labels import in_order, view_label
from mi_probe.errors import InputError
from mi_probe.plots.captions import is_true
from mi_probe.plots.marks import (
    aside,
    draw_ceiling,
    draw_intervals,
    draw_reference,
    draw_values,
    drawn_so_far,
    interval_entries,
    marker_handle,
)
from mi_probe.plots.page import (
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    head,
    panels,
    plain_title,
    side_by_side,
)
from mi_probe.plots.style import NULL_FILL, REFERENCE, VIEW_STYLES, ViewStyle

PART_STYLES = {
    "train": ViewStyle(VIEW_STYLES["mean"].colour, "", (0, (3, 1.2)), ""),
    "validation": ViewStyle(VIEW_STYLES["full"].colour, "", "-", ""),
}
"""How the two bounds are drawn."""
_NEEDED = (
    *("row_id", "view", "fold", "part", "epoch", "value", "best_epoch", "kept"),
    *("held_out", "low", "high", "ceiling", "unit"),
)
_MADE = "make them by mi_probe.analysis.convergence.training_curves"


def convergence(curves: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one estimate of `training_curves`: two lines a fold, over the epochs.

    The dot is the epoch whose weights were taken, hollow where they were dropped for the
    critic's start. The grey band is the estimate, from rows that no fold's critic was
    trained or stopped on, with its 95 % interval. A training line that leaves the other
    behind is overfitting; a validation line still rising was stopped too early. Nothing
    is clipped.

    Raises:
        InputError: a column missing, no row, or several estimates.
    """
    check_table(curves, _NEEDED, "curves", _MADE)
    if curves["row_id"].nunique() > 1:
        raise InputError(
            "curves must be of one estimate; use convergence_figure for several."
        )
    ax = axes_or_current(ax)
    first = curves.iloc[0]
    if np.isfinite(first["low"]) and np.isfinite(first["high"]):
        ax.axhspan(first["low"], first["high"], color=NULL_FILL, linewidth=0, zorder=0)
    ax.axhline(first["held_out"], color="0.55", linewidth=1.0, zorder=0.5)
    draw_reference(ax, 0.0, color=REFERENCE, linewidth=0.5, zorder=0.6)
    draw_ceiling(ax, float(first["ceiling"]))
    for (_, part), line in curves.groupby(["fold", "part"], sort=False):
        look = PART_STYLES[str(part)]
        line = line.sort_values("epoch")
        ax.plot(
            line["epoch"],
            line["value"],
            color=look.colour,
            linestyle=look.line,
            linewidth=0.8,
            label=str(part),
            zorder=2,
        )
        best = line[line["epoch"] == line["best_epoch"]]
        if part == "validation" and len(best):
            dropped = ~is_true(best, "kept").to_numpy()
            mark = replace(look, marker="o")
            draw_values(
                ax, best["epoch"], best["value"], mark, dropped, size=3.0, zorder=3.0
            )
    ax.set_xlabel("epoch")
    ax.set_ylabel(f"bound ({first['unit']})")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(x=0.03)
    return ax


def convergence_figure(curves: pd.DataFrame, *, title: str) -> Figure:
    """`convergence`, a panel a view, as wide as `style` says.

    Raises:
        InputError: as `convergence`.
    """
    check_table(curves, _NEEDED, "curves", _MADE)
    views = in_order(curves["view"])
    columns = side_by_side(len(views))
    figure, axes = panels(len(views), columns, 1.35, 0.5, sharey=True)
    head(figure, title)
    for i, view in enumerate(views):
        convergence(curves[curves["view"] == view], axes[i])
        axes[i].set_title(view_label(view), loc="left")
        if i % columns:
            axes[i].set_ylabel("")
        if i + columns < len(views):
            axes[i].set_xlabel("")
    figure_legends(figure, _lines(), _notes(curves))
    return figure


def _lines() -> list[Entry]:
    words = {"train": "training rows", "validation": "validation rows"}
    return [
        (Line2D([], [], color=look.colour, linestyle=look.line, linewidth=0.8), words[part])
        for part, look in PART_STYLES.items()
    ]


def _notes(curves: pd.DataFrame) -> list[Entry]:
    band = Patch(facecolor=NULL_FILL, edgecolor="0.55")
    notes: list[Entry] = [(band, "held-out rows: the estimate, 95 % interval")]
    dot = replace(PART_STYLES["validation"], marker="o")
    taken = is_true(curves, "kept")
    if taken.any():
        notes.append((marker_handle(dot), "weights taken"))
    if not taken.all():
        words = "no better than the start: dropped"
        notes.append((marker_handle(dot, hollow=True), words))
    return notes


_OF_ROWS = (
    *("task", "backbone", "site", "view", "estimator", "family", "rows", "nats"),
    *("low", "high"),
)
PLACE = ["task", "backbone", "site", "view"]
"""What critics are of that stand in one panel."""
_DASHES = {"generative": (0, ()), "discriminative": (0, (4, 1.5))}
_OTHER = (0, (1, 1))
_MARKERS = "osD^vP*Xp<>h"
_STEP = 4.0
"""Points between critics of the same rows."""
_TALL, _HEAD = 1.7, 0.75


def critic_rows_figure(table: pd.DataFrame) -> Figure:
    """Draw I(Y;Z) over the number of rows: a panel a task and place, a line a critic.

    Generative critics have whole lines, discriminative ones broken lines; they stand side
    by side, so that their intervals can be told apart. Those are of each estimate alone:
    critics of the same rows differ by less than they overlap.

    Args:
        table: of `mi_probe.study.tables.critic_lines`.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(table, _OF_ROWS, "critics", "pass a study's lines of critics")
    places = [part for _, part in table.groupby(PLACE, sort=False)]
    names = list(dict.fromkeys(table["estimator"]))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    marks = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(names)}
    figure, axes = panels(len(places), min(len(places), 2), _TALL, _HEAD)
    entries: dict[str, Entry] = {}
    for ax, part in zip(axes, places, strict=True):
        for place, (name, rows) in enumerate(part.groupby("estimator", sort=False)):
            before = drawn_so_far(ax)
            draw_intervals(ax, rows["rows"], rows["low"], rows["high"], colours[name])
            (line,) = ax.plot(
                *(rows["rows"], rows["nats"]),
                color=colours[name],
                linestyle=_DASHES.get(rows["family"].iloc[0], _OTHER),
                marker=marks[name],
                markersize=3.5,
                linewidth=1,
            )
            aside(ax, before, _STEP * (place - (part["estimator"].nunique() - 1) / 2))
            entries[str(name)] = line, f"{name} ({rows['family'].iloc[0] or 'other'})"
        _dress(ax, part, 0.9 * figure_width() / min(len(places), 2))
    notes = interval_entries(table, "95 % interval over rows")
    figure_legends(figure, [*entries.values()], notes)
    return figure


def _dress(ax: Axes, part: pd.DataFrame, inches: float) -> None:
    """Axes, their title, which has so many inches, and H(Y)."""
    row = part.iloc[0]
    ax.set_xscale("log")
    counts = np.unique(part["rows"].to_numpy(float))
    ax.xaxis.set_major_locator(FixedLocator(list(counts)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_xlabel("rows")
    what = "I(Y;Z)" if row["view"] == "full" else f"I(Y;Z$_\\mathrm{{{row['view']}}}$)"
    ax.set_ylabel(f"{what} (nats)")
    plain_title(ax, f"{row['task']}, {row['backbone']}, {row['site']}", inches)
    if part["H_Y_nats"].notna().any():
        # It is of the labels drawn, and settles as they grow in number.
        draw_ceiling(ax, float(part.loc[part["rows"].idxmax(), "H_Y_nats"]))
