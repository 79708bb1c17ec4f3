"""MI estimates at one layer, side by side: tasks or models, a bar a view."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import json
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mi_probe.analysis.control_points import (
    controls_beside,
    controls_of,
    states_of,
    with_controls,
)
from mi_probe.analysis.labels import in_order, view_label
from mi_probe.analysis.summaries import layer_words
from mi_probe.errors import InputError
from mi_probe.plots.controls import control_entries, draw_control_pieces
from mi_probe.plots.marks import (
    DASHES,
    draw_extrapolated,
    draw_intervals,
    draw_no_values,
    extrapolation_entries,
    no_value_entries,
)
from mi_probe.plots.panels import (
    LINE_SPACING,
    axes_or_current,
    figure_width,
    fitted_names,
    head,
    panels,
    plain_title,
    side_by_side,
    slant_names,
)
from mi_probe.plots.parts import (
    Entry,
    ceiling_entries,
    check_points,
    figure_legends,
    flag_label,
    has,
    interval_handle,
    interval_label,
    null_label,
    sample_label,
    y_label,
)
from mi_probe.plots.style import INK, REFERENCE, ViewStyle, view_style

GROUP = 0.8
"""Share of the distance between groups that their bars fill."""
_NULL = {"color": INK, "linestyle": (0, (1, 1)), "linewidth": 0.9}
_SEED = {"color": "white", "markeredgecolor": INK, "markeredgewidth": 0.5}


def grouped_bars(
    points: pd.DataFrame, ax: Axes | None = None, *, x: Literal["task", "model"]
) -> Axes:
    """Draw one estimator's points of one layer: a group a task or model, a bar a view.

    Over each group H(Y) is a dashed segment; over each bar the dotted segment is the
    95th percentile of its permutation null; dots are seeds; a diamond is the
    value at n -> infinity, an open arrow the least that it is. Flagged estimates have
    white bars with coloured outlines. Controls that are among the points are thin segments
    over their group, or over their bar where they are of its site. Groups of different
    models compare different networks, which the data processing inequality says nothing
    about.

    Raises:
        InputError: not a table of `over_seeds`, or two points for one bar.
    """
    check_points(points)
    controls, points = controls_of(points), states_of(points)
    group, names = f"{x}_label", list(dict.fromkeys(points[f"{x}_label"]))
    if points.duplicated([group, "view"]).any():
        raise InputError(
            f"points must hold one row a {x} and view; choose one layer with at_layer "
            "and one estimator, and use bar_figure for several panels."
        )
    ax = axes_or_current(ax)
    views = in_order(points["view"])
    width = GROUP / max(len(views), 3)
    ax.axhline(0, color=REFERENCE, linewidth=0.5, zorder=2)
    for at, name in enumerate(names):
        members = points[points[group] == name]
        left = at - width * (len(views) - 1) / 2
        for _, row in members.iterrows():
            place = left + width * views.index(row["view"])
            draw_bar(ax, row, place, width, view_style(row["view"]))
        half = width * len(views) / 2 + 0.03
        draw_ceiling_piece(ax, members, at - half, at + half)
        beside = controls_beside(members, controls)
        places = {view: left + width * i for i, view in enumerate(views)}
        draw_control_pieces(ax, beside, at - half, at + half, places)
    ax.set_xticks(range(len(names)))
    ax.set_xticklabels(names, parse_math=False)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6 - 0.4 * (len(names) == 1), len(names) - 0.4 * (len(names) > 1))
    ax.set_ylabel(y_label(points))
    if x == "model" and len(names) > 1:
        # The data processing inequality holds within one network only.
        ax.set_xlabel("different networks: not ordered by the DPI")
    return ax


def draw_ceiling_piece(ax: Axes, members: pd.DataFrame, left: float, right: float) -> None:
    """H(Y) over one group of bars; nothing where there is none."""
    if has(members, "ceiling"):
        height = float(members["ceiling"].mean())
        look = {"color": REFERENCE, "linestyle": DASHES, "linewidth": 0.9}
        ax.hlines(height, left, right, zorder=4, **look)


def draw_bar(
    ax: Axes, row: pd.Series, at: float, width: float, look: ViewStyle, lines: str = "white"
) -> None:
    """One estimate's bar with its interval, seeds, null and extrapolation.

    Args:
        ax: what to draw on.
        row: of `over_seeds`.
        at: the bar's middle.
        width: of the bar, with the space to the next.
        look: its colour and hatch.
        lines: the hatch's colour.
    """
    if np.isnan(row["value"]):
        draw_no_values(ax, np.array([at]), look.colour)
        return
    sound = row["status"] == "ok"
    ax.bar(
        at,
        row["value"],
        width * 0.92,
        facecolor=look.colour if sound else "white",
        edgecolor=lines if sound else look.colour,
        hatch=look.hatch if sound else None,
        linewidth=0 if sound else 1.0,
        zorder=1,
    )
    draw_intervals(ax, np.array([at]), *(np.array([row[e]]) for e in ("low", "high")))
    beside = np.array([at + 0.28 * width])
    draw_extrapolated(ax, beside, row.to_frame().T, look.colour)
    seeds = json.loads(row["seed_values"])
    if len(seeds) > 1:
        # Beside the error bar, in the order of seeds: no jitter, so no chance.
        spread = at + width * np.linspace(-0.3, 0.3, len(seeds))
        size = 2.2 if width > 0.15 else 1.4
        ax.plot(spread, seeds, "o", markersize=size, zorder=6, **_SEED)
    if np.isfinite(row["null_high"]):
        ends = at - width * 0.46, at + width * 0.46
        ax.hlines(row["null_high"], *ends, zorder=4, **_NULL)


def bar_figure(points: pd.DataFrame, *, x: Literal["task", "model"]) -> Figure:
    """`grouped_bars`, a panel an estimator and model (x = task) or task (x = model).

    `points` are those of one layer: `at_layer(over_seeds(results), controls=True)`. As wide
    as `style` says.

    Raises:
        InputError: as `grouped_bars`.
    """
    check_points(points)
    controls, points = controls_of(points), states_of(points)
    if x not in ("task", "model"):
        raise InputError(f"x must be task or model; not {x!r}.")
    held = "model_label" if x == "task" else "task_label"
    parts = [p for _, p in points.groupby([held, "estimator_label", "stack"], sort=False)]
    columns, width = side_by_side(len(parts)), figure_width()
    inches = 0.9 * width / columns
    # A panel has the names of its own groups; room is what the fullest panel leaves.
    most = max(panel[f"{x}_label"].nunique() for panel in parts)
    every = list(dict.fromkeys(points[f"{x}_label"]))
    fitted, slant = fitted_names(every, (inches - 0.45) / most - 0.05)
    short = dict(zip(every, fitted, strict=True))
    lines = [line for name in fitted for line in name.splitlines()]
    deep = 0.12 * (max(name.count("\n") for name in fitted) + 1)
    deep += 0.028 * max(map(len, lines)) if slant else 0.0
    figure, axes = panels(len(parts), columns, 1.4 + deep, 0.3)
    head(figure, _title(points, held))
    for i, (ax, panel) in enumerate(zip(axes, parts, strict=True)):
        grouped_bars(with_controls(panel, controls), ax, x=x)
        shown = [short[name] for name in dict.fromkeys(panel[f"{x}_label"])]
        names = ["estimator_label"]
        if points[held].nunique() > 1:
            names = [held, *names]
        title = ", ".join(str(panel[name].iloc[0]) for name in names)
        plain_title(ax, f"{title}, {sample_label(panel)}", inches)
        ax.set_xticklabels(shown, parse_math=False, linespacing=LINE_SPACING)
        slant_names(ax, slant)
        if i % columns:
            ax.set_ylabel("")
    beside = control_entries(controls_beside(points, controls))
    figure_legends(figure, _view_entries(points), beside, bar_notes(points))
    return figure


def _title(points: pd.DataFrame, held: str) -> str:
    names = list(dict.fromkeys(points[held]))
    return (f"{names[0]}, " if len(names) == 1 else "") + layer_words(points)


def _view_entries(points: pd.DataFrame) -> list[Entry]:
    entries: list[Entry] = []
    for view in in_order(points["view"]):
        look = view_style(view)
        patch = Patch(
            facecolor=look.colour, edgecolor="white", hatch=look.hatch, linewidth=0
        )
        entries.append((patch, view_label(view)))
    return entries


def bar_notes(points: pd.DataFrame) -> list[Entry]:
    """Legend of all that stands on or over a bar."""
    entries = ceiling_entries(points)
    if has(points, "null_high"):
        dots = Line2D([], [], **_NULL)
        entries.append((dots, null_label(points, "", "95th pct.")))
    entries.append((interval_handle(), interval_label(points)))
    if (points["n_seeds"] > 1).any():
        dot = Line2D([], [], marker="o", markersize=2.2, linestyle="", **_SEED)
        entries.append((dot, "one seed"))
    entries += extrapolation_entries(points)
    entries.append((Patch(facecolor="white", edgecolor=INK), flag_label(points)))
    entries += no_value_entries(points)
    return [entry for entry in entries if entry[1]]
