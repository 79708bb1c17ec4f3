"""Where in a sentence the information is: I(Y; Z_t) by position, and by layer."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mi_probe.errors import InputError
from mi_probe.plots.captions import count_words, has
from mi_probe.plots.colour_scale import colours, draw_scale, scale
from mi_probe.plots.controls import noise_note, twin_entries, twin_lines
from mi_probe.plots.marks import DASHES, ceiling_entries, draw_ceiling
from mi_probe.plots.page import (
    IN_UNIT,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    head,
    pairs_of_panels,
    side_by_side,
)
from mi_probe.plots.style import INK, NULL_FILL, REFERENCE, view_style

ANCHORS = {"start": "token, counted from the start", "end": "token, counted from the end"}
"""Where positions are counted from, and what the axis is called then."""
FEWEST = 20
"""Sentences behind a place that is drawn: of one alone any value may come, and its size
would leave all others of one colour."""
_SLIGHT = 0.1
"""Share of the scale below which a negative value is as good as 0."""
_NEEDED = ("anchor", "position", "n", "value", "low", "high", "unit")


def known_places(points: pd.DataFrame, fewest: int = FEWEST) -> pd.DataFrame:
    """The places that at least so many sentences have; all, where none has as many.

    Raises:
        InputError: a column missing.
    """
    if "n" not in points:
        raise InputError("points lack the column n.")
    kept = points[points["n"] >= fewest].reset_index(drop=True)
    return points if kept.empty else kept


def position_line(
    points: pd.DataFrame, ax: Axes | None = None, *, memorised: float | None = None
) -> Axes:
    """Draw I(Y; Z_t) of one layer and anchor with its 95 % band, controls and H(Y).

    Counted from the end, 0 is the last token and stands at the right.

    Args:
        points: of one anchor.
        ax: what to draw on; by default the current one.
        memorised: mean of the control task, to be drawn as a line.

    Raises:
        InputError: a column missing, no row, or two anchors.
    """
    _check(points)
    ax = axes_or_current(ax)
    points = points.sort_values("position", kind="stable")
    x = points["position"].to_numpy(float)
    look = view_style("full")
    ax.fill_between(
        x, points["low"], points["high"], color=look.colour, alpha=0.2, linewidth=0
    )
    ax.plot(x, points["value"], look.marker + "-", color=look.colour, markersize=2)
    twin_lines(ax, x, points, memorised)
    ax.axhline(0, color=REFERENCE, linewidth=0.5, zorder=0.7)
    if "ceiling" in points and points["ceiling"].round(3).nunique() > 1:
        # Fewer sentences have a token here, and their labels an H(Y) of their own.
        ax.plot(
            x, points["ceiling"], color=REFERENCE, linestyle=DASHES, linewidth=0.9, zorder=1
        )
    elif "ceiling" in points:
        draw_ceiling(ax, float(points["ceiling"].mean()))
    ax.set_ylabel(f"MI estimate ({points['unit'].iloc[0]})")
    _count_from(ax, points)
    return ax


def position_counts(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw how many sentences have a token at each position.

    Raises:
        InputError: as `position_line`.
    """
    _check(points)
    ax = axes_or_current(ax)
    points = points.sort_values("position", kind="stable")
    x = points["position"].to_numpy(float)
    ax.fill_between(x, 0, points["n"], color=NULL_FILL, step="mid", linewidth=0)
    ax.step(x, points["n"], color=INK, linewidth=0.7, where="mid")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("n")
    ax.locator_params(axis="y", nbins=3)
    _count_from(ax, points)
    return ax


def position_map(
    points: pd.DataFrame, ax: Axes | None = None, *, norm: Normalize | None = None
) -> Axes:
    """Draw layers against positions of one anchor: a cell's colour is I(Y; Z_t).

    The deepest layer is on top. Cells are vector shapes; a missing one is white. One
    that is clearly below 0 has a dash in it, so that grey print tells the signs apart.

    Raises:
        InputError: as `position_line`, or no column `layer`.
    """
    _check(points, "layer")
    ax = axes_or_current(ax)
    norm = scale(points["value"].to_numpy(float)) if norm is None else norm
    wide = points.pivot(index="layer", columns="position", values="value").sort_index()
    first, last = int(wide.columns.min()), int(wide.columns.max())
    values = wide.reindex(columns=range(first, last + 1)).to_numpy(float)
    ax.pcolormesh(
        np.arange(first, last + 2) - 0.5,
        np.arange(len(wide) + 1),
        np.ma.masked_invalid(values),
        cmap=colours(),
        norm=norm,
        rasterized=False,
    )
    rows, columns = np.nonzero(values < -_SLIGHT * float(norm.vmax or 0))
    ax.plot(columns + first, rows + 0.5, "_", color=INK, markersize=2.5, mew=0.6)
    every = max(1, -(-len(wide) // 8))
    ticks = list(range(len(wide) - 1, -1, -every))
    ax.set_yticks([t + 0.5 for t in ticks], [f"{wide.index[t]:g}" for t in ticks])
    ax.set_ylabel("layer")
    _count_from(ax, points)
    return ax


def _check(points: pd.DataFrame, *more: str) -> None:
    check_table(points, (*_NEEDED, *more), "points", IN_UNIT)
    if points["anchor"].nunique() > 1:
        raise InputError("points must be counted from one anchor: start or end.")


def _count_from(ax: Axes, points: pd.DataFrame) -> None:
    anchor = str(points["anchor"].iloc[0])
    low, high = points["position"].min() - 0.5, points["position"].max() + 0.5
    # The sentence's end is at the right.
    ax.set_xlim(*((high, low) if anchor == "end" else (low, high)))
    ax.xaxis.get_major_locator().set_params(integer=True, nbins=6)
    ax.set_xlabel(ANCHORS.get(anchor, anchor))


def position_figure(
    points: pd.DataFrame, *, title: str, note: str = "", memorised: float | None = None
) -> Figure:
    """`position_line` of one layer over `position_counts`, a column or row an anchor.

    Args:
        points: of one layer.
        title: whose they are.
        note: a line at the foot, such as what was left out.
        memorised: mean of the control task, to be drawn as a line.

    Raises:
        InputError: a column missing, or no row.
    """
    parts = _parts(points)
    columns = side_by_side(len(parts))
    figure, pairs = pairs_of_panels(len(parts), columns, 1.9, 0.3, (2.2, 1.0))
    for i, (panel, (above, below)) in enumerate(zip(parts, pairs, strict=True)):
        position_line(panel, above, memorised=memorised).set_xlabel("")
        above.tick_params(labelbottom=False)
        position_counts(panel, below)
        for ax in (above, below) if i % columns else ():
            ax.set_ylabel("")
    head(figure, title)
    band = Patch(color=view_style("full").colour, alpha=0.2, linewidth=0)
    entries: list[Entry] = []
    if has(points, "low", "high"):
        entries.append((band, "95 % interval over examples"))
    entries += ceiling_entries(points)
    entries += twin_entries(points, memorised)
    if note:
        entries.append((Patch(alpha=0), note))
    figure_legends(figure, entries)
    return figure


def position_map_figure(points: pd.DataFrame, *, title: str, note: str = "") -> Figure:
    """`position_map` of several layers, a panel an anchor, under one colour scale.

    Args:
        points: with a column `layer`.
        title: whose they are.
        note: a line at the foot, such as what was left out.

    Raises:
        InputError: a column missing, or no row.
    """
    parts = _parts(points)
    width, columns = figure_width(), side_by_side(len(parts))
    rows = -(-len(parts) // columns)
    layers = points["layer"].nunique()
    tall = min(1.8, max(0.6, 0.13 * layers)) + 0.45
    height = tall * rows + 0.85 + 0.15 * bool(note)
    figure = Figure(figsize=(width, height), layout="constrained")
    ratios = [tall] * rows + [0.09]
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=ratios)
    norm = scale(points["value"].to_numpy(float))
    for i, panel in enumerate(parts):
        ax = figure.add_subplot(grid[i // columns, i % columns])
        position_map(panel, ax, norm=norm)
        if i % columns:
            ax.set_ylabel("")
    head(figure, title)
    words = f"MI estimate ({points['unit'].iloc[0]}), n = {count_words(points['n'])} a cell"
    ceiling = float(points["ceiling"].mean()) if "ceiling" in points else float("nan")
    marked = ceiling if np.isfinite(ceiling) else None
    if marked is not None:
        varies = " on average" if points["ceiling"].round(3).nunique() > 1 else ""
        words += f"\n$H(Y)$ = {marked:.3f} {points['unit'].iloc[0]}{varies}"
    if (points["value"] < -_SLIGHT * float(norm.vmax or 0)).any():
        words += "; dash in a cell: below 0"
    noise = noise_note(points["random"]) if "random" in points else ""
    words += "".join(f"\n{line}" for line in (noise, note) if line)
    draw_scale(figure.add_subplot(grid[rows, :]), norm, words, marked=marked)
    return figure


def _parts(points: pd.DataFrame) -> list[pd.DataFrame]:
    check_table(points, ("anchor", "position"), "points", IN_UNIT)
    parts = [rows for _, rows in points.groupby("anchor", sort=False)]
    for part in parts:
        _check(part)
    return parts
