"""The DPI gap along one axis: the critic's capacity, or the noise before pooling."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mi_probe.analysis.labels import in_order, short_name, view_label
from mi_probe.errors import InputError
from mi_probe.plots.captions import has, is_true
from mi_probe.plots.marks import (
    aside,
    draw_ceiling,
    draw_intervals,
    draw_line,
    draw_reference,
    drawn_so_far,
    interval_entries,
    line_handle,
)
from mi_probe.plots.page import (
    IN_UNIT,
    LINE_SPACING,
    Entry,
    check_table,
    figure_legends,
    figure_width,
    fitted_names,
    head,
    pairs_of_panels,
    plain_title,
    side_by_side,
    slant_names,
)
from mi_probe.plots.style import INK, NULL_FILL, REFERENCE, ViewStyle, view_style

LADDER = ("subject", "task", "site", "layer", "token_set")
"""What one figure holds constant; `capacity.csv` and `noise.csv` share it."""
GAP = ViewStyle(INK, "D", "-", "")
"""How the gap is drawn: no view has its colour."""
Axis = Literal["capacity", "noise"]
_NEEDED = ("pooling", "full", "pooled", "gap", "low", "high", "unit")
_ASIDE = 1.5
"""Points that I(Y;Z) stands to the left of its rung, and I(Y;Z_p) to the right."""
_SMALL = 6.5
"""Points of the rungs' names."""
_PLACE = {"capacity": "capacity", "noise": "sigma"}


def ladder_panels(
    points: pd.DataFrame, above: Axes, below: Axes, *, axis: Axis
) -> tuple[Axes, Axes]:
    """Draw one pooling's rungs: I(Y;Z) and I(Y;Z_p) above, their paired gap below.

    H(Y) is the dashed line. The shaded rung of a capacity ladder is the one that was
    chosen on other rows. Sigma is logarithmic, but for 0, which stands a step before its
    least value. Nothing is clipped.

    Raises:
        InputError: a column missing, no row, or several poolings.
    """
    _check(points, axis)
    if points["pooling"].nunique() > 1:
        raise InputError(
            "points must hold one pooling a pair of panels; use ladder_figure for several."
        )
    points = points.sort_values(_PLACE[axis], kind="stable")
    x = _places(points, axis)
    pooling = points["pooling"].iloc[0]
    for name, view, place in (("full", "full", -_ASIDE), ("pooled", pooling, _ASIDE)):
        before, look = drawn_so_far(above), view_style(view)
        draw_line(above, x, points[name], look, view_label(view))
        if f"{name}_low" in points:
            ends = points[f"{name}_low"], points[f"{name}_high"]
            draw_intervals(above, x, *ends, look.colour)
        aside(above, before, place)
    draw_reference(above, 0.0, color=REFERENCE, linewidth=0.5, zorder=0.7)
    if "ceiling" in points:
        draw_ceiling(above, float(points["ceiling"].mean()))
    below.axhline(0, color=REFERENCE, linewidth=0.6, zorder=0.7)
    draw_line(below, x, points["gap"], GAP, "gap")
    draw_intervals(below, x, points["low"], points["high"], INK)
    for place in x[is_true(points, "chosen")]:
        for ax in (above, below):
            ax.axvspan(place - 0.4, place + 0.4, color=NULL_FILL, linewidth=0, zorder=0)
    unit = points["unit"].iloc[0]
    above.set_ylabel(f"MI estimate ({unit})")
    below.set_ylabel(f"gap ({unit})")
    below.set_xlabel(_axis_words(axis))
    names = points["rung"].astype(str) if axis == "capacity" else points["sigma"]
    words = [f"{name:g}" if axis == "noise" else name for name in names]
    for ax in (above, below):
        ax.set_xticks(x, words, parse_math=False)
        ax.margins(x=0.08, y=0.12)
        ax.locator_params(axis="y", nbins=5)
        ax.set_xlim(x.min() - 0.5, x.max() + 0.5)
    above.tick_params(labelbottom=False)
    return above, below


def _check(points: pd.DataFrame, axis: Axis) -> None:
    if axis not in _PLACE:
        raise InputError(f"axis must be capacity or noise; not {axis!r}.")
    needed = (*_NEEDED, _PLACE[axis], *(("rung",) if axis == "capacity" else ()))
    check_table(points, needed, "points", IN_UNIT)


def _places(points: pd.DataFrame, axis: Axis) -> np.ndarray:
    """Rungs stand a step apart; sigmas too, in steps of their logarithm's range."""
    if axis == "capacity":
        return np.arange(len(points), dtype=float)
    sigma = points["sigma"].to_numpy(float)
    noised = sigma > 0
    place = np.zeros(len(sigma))
    if not noised.any():
        return place
    logs = np.log10(sigma[noised])
    # The mean distance of neighbours is one step.
    step = np.ptp(logs) / max(noised.sum() - 1, 1) or 1.0
    place[noised] = 1.0 + (logs - logs.min()) / step
    return place


def _axis_words(axis: Axis) -> str:
    if axis == "noise":
        return "noise $\\sigma$ (RMS of the states; log scale above 0)"
    return "critic, by rising capacity"


def ladder_figure(points: pd.DataFrame, *, axis: Axis) -> Figure:
    """`ladder_panels`, a pair of panels a pooling, as wide as `style` says.

    Raises:
        InputError: as `ladder_panels`.
    """
    _check(points, axis)
    poolings = in_order(points["pooling"])
    columns, width = side_by_side(len(poolings)), figure_width()
    names, slant = _rung_names(points, axis, 0.9 * width / columns - 0.5)
    deep = 0.12 * (1 + max((name.count("\n") for name in names.values()), default=0))
    deep += 0.035 * max(map(len, names.values()), default=0) if slant else 0.0
    rungs = points.groupby("pooling")[_PLACE[axis]].agg(
        lambda column: tuple(sorted(column))
    )
    # Names once, under the last row, where all pairs have the same.
    same = rungs.nunique() == 1
    tall, over = (1.75, 0.6 + deep) if same else (2.05 + deep, 0.3)
    figure, pairs = pairs_of_panels(len(poolings), columns, tall, over, (1.35, 1.0))
    head(figure, _title(points))
    for i, (pooling, (above, below)) in enumerate(zip(poolings, pairs, strict=True)):
        panel = points[points["pooling"] == pooling]
        ladder_panels(panel, above, below, axis=axis)
        plain_title(above, f"pooling: {pooling}", 0.9 * width / columns)
        if names:
            order = panel.sort_values("capacity", kind="stable")["rung"].astype(str)
            below.set_xticks(
                range(len(order)),
                [names[name] for name in order],
                parse_math=False,
                linespacing=LINE_SPACING,
                fontsize=_SMALL,
            )
            slant_names(below, slant)
        if same and i + columns < len(poolings):
            below.tick_params(labelbottom=False)
            below.set_xlabel("")
        if i % columns:
            above.set_ylabel("")
            below.set_ylabel("")
    lines: list[Entry] = [
        (line_handle(view_style(view)), view_label(view))
        for view in in_order(pd.Series(["full", *poolings]))
    ]
    lines.append((line_handle(GAP), "gap $I(Y;Z)-I(Y;Z_p)$"))
    figure.align_ylabels()
    figure_legends(figure, lines, _notes(points))
    return figure


def _rung_names(points: pd.DataFrame, axis: Axis, room: float) -> tuple[dict, float]:
    if axis == "noise":
        return {}, 0.0
    every = list(dict.fromkeys(points["rung"].astype(str)))
    fitted, slant = fitted_names(every, room / len(every), size=_SMALL)
    return dict(zip(every, fitted, strict=True)), slant


def _title(points: pd.DataFrame) -> str:
    row = points.iloc[0]
    place = row["site"] if pd.isna(row.get("layer")) else f"layer {row['layer']:g}"
    words = f"{short_name(str(row['subject']))} on {short_name(str(row['task']))}, {place}"
    sizes = points["n"].dropna().unique() if "n" in points else []
    return words + (f", n = {sizes[0]:,.0f}" if len(sizes) == 1 else "")


def _notes(points: pd.DataFrame) -> list[Entry]:
    # Tables of before intervals of the two values were kept have the gap's alone.
    whole = has(points, "full_low")
    of = "over examples (gap: paired)" if whole else "of the gap, paired over examples"
    notes = interval_entries(points, f"95 % interval {of}")
    if is_true(points, "chosen").any():
        notes.append((Patch(facecolor=NULL_FILL), "capacity chosen on other rows"))
    return notes
