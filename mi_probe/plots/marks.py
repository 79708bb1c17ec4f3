"""Marks that several figures draw alike: intervals, values, ceilings, limits."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from mi_probe.plots.captions import ceiling_label, drawn_limits, has
from mi_probe.plots.page import Entry
from mi_probe.plots.style import INK, REFERENCE, ViewStyle, styled

Values: TypeAlias = np.ndarray | pd.Series

DASHES = (0, (5, 2))
"""Of the ceiling, and of nothing else that runs across a panel."""
PLAIN = ViewStyle(INK, "o", "-", "")
"""Of a marker that is of no view and no system."""


def draw_intervals(
    ax: Axes,
    at: Values,
    low: Values,
    high: Values,
    colour: str = INK,
    *,
    across: bool = False,
    zorder: float = 4.0,
) -> None:
    """Error bars with short caps; nothing where an end is unknown.

    Args:
        ax: what to draw on.
        at: where the bars stand.
        low: their lower ends.
        high: their upper ends.
        colour: of bars and caps.
        across: the bars lie along x instead of y.
        zorder: in front of what they are drawn.
    """
    places, least, most = (np.asarray(values, float) for values in (at, low, high))
    known = np.isfinite(least) & np.isfinite(most)
    if not known.any():
        return
    places, least, most = places[known], least[known], most[known]
    lines = ax.hlines if across else ax.vlines
    lines(places, least, most, color=colour, linewidth=0.8, zorder=zorder)
    for end in (least, most):
        points = (end, places) if across else (places, end)
        ax.plot(*points, "|" if across else "_", color=colour, markersize=3, zorder=zorder)


def drawn_so_far(ax: Axes) -> tuple[int, int]:
    """What `aside` leaves where it is."""
    return len(ax.lines), len(ax.collections)


def aside(ax: Axes, before: tuple[int, int], points: float) -> None:
    """Move what was drawn since `before` a few points to the right.

    Lines that share their places stand side by side: where they agree, the last would
    hide the others. The drawing is moved, not its data.
    """
    moved = ScaledTranslation(points / 72, 0, ax.get_figure().dpi_scale_trans)
    for artist in [*ax.lines[before[0] :], *ax.collections[before[1] :]]:
        artist.set_transform(artist.get_transform() + moved)


def draw_reference(ax: Axes, height: float, **look: Any) -> None:
    """A line across, such as that of 0; `style`'s zoom does not make room for it."""
    if not styled().zoom:
        ax.axhline(height, **look)
        return
    # An artist, unlike a line, is no data that the axis makes room for.
    across = ax.get_yaxis_transform()
    ax.add_artist(Line2D([0, 1], [height, height], transform=across, **look))


def draw_ceiling(ax: Axes, height: float) -> None:
    """H(Y) as a dashed line, named at the right edge; nothing where there is none.

    Where `style` zooms, it is a mark at the upper edge unless the data reach it.
    """
    if not np.isfinite(height):
        return
    look = {"color": REFERENCE, "linestyle": DASHES, "linewidth": 0.9, "zorder": 1}
    draw_reference(ax, height, **look)
    name_ceiling(ax, height)


def name_ceiling(ax: Axes, height: float) -> None:
    """Write H(Y) at the right of its line; where `style` zooms, above the axis."""
    place, words = (1, height), "$H(Y)$"
    across, told = ax.get_yaxis_transform(), {"va": "center", "xytext": (2, 0)}
    if styled().zoom:
        place, across, told = (1, 1), ax.transAxes, {"va": "bottom", "xytext": (0, 1)}
        words = f"\N{UPWARDS ARROW} $H(Y)$ = {height:.3f}"
    ax.annotate(
        words,
        place,
        xycoords=across,
        textcoords="offset points",
        ha="right" if styled().zoom else "left",
        fontsize=7,
        **told,
    )


def draw_line(
    ax: Axes,
    x: Values,
    y: Values,
    look: ViewStyle,
    label: str,
    zorder: float = 5.0,
    marked: tuple[int, int] | None = None,
) -> None:
    """A line with a marker at each known point; or at one in so many from one on."""
    places, heights = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(heights)
    ax.plot(
        places[known],
        heights[known],
        color=look.colour,
        linestyle=look.line,
        linewidth=look.width,
        marker=look.marker,
        markevery=marked,
        markeredgewidth=0.5,
        label=label,
        zorder=zorder,
    )


def draw_values(
    ax: Axes,
    x: Values,
    y: Values,
    look: ViewStyle,
    hollow: np.ndarray,
    *,
    size: float = 4.0,
    zorder: float = 5.0,
) -> None:
    """Markers alone, filled ones and hollow ones.

    Args:
        ax: what to draw on.
        x: where they stand.
        y: how high.
        look: their colour and marker.
        hollow: which are; the legend says what that means.
        size: in points.
        zorder: in front of what they are drawn.
    """
    places, heights = np.asarray(x, float), np.asarray(y, float)
    for chosen, face in ((~hollow, look.colour), (hollow, "white")):
        if chosen.any():
            ax.plot(
                places[chosen],
                heights[chosen],
                look.marker,
                color=look.colour,
                markerfacecolor=face,
                markersize=size,
                markeredgewidth=0.8,
                zorder=zorder,
            )


def draw_no_values(ax: Axes, x: Values, colour: str, zorder: float = 5.0) -> None:
    """A cross on the axis wherever an estimate has no value."""
    if len(x):  # even an empty line that is not clipped takes room in the layout
        ax.plot(
            x,
            np.zeros(len(x)),
            "x",
            color=colour,
            markersize=4,
            transform=ax.get_xaxis_transform(),
            clip_on=False,
            zorder=zorder,
        )


def no_value_entries(points: pd.DataFrame) -> list[Entry]:
    """Legend of `draw_no_values`, where there are some."""
    cross = Line2D([], [], color=INK, marker="x", linestyle="", markersize=4)
    return [(cross, "no value")] if points["value"].isna().any() else []


def line_handle(look: ViewStyle) -> Line2D:
    """Legend entry of `draw_line`."""
    shape = {"color": look.colour, "linestyle": look.line, "marker": look.marker}
    return Line2D([], [], linewidth=look.width, **shape)


def marker_handle(look: ViewStyle, *, hollow: bool = False) -> Line2D:
    """Legend entry of a marker alone."""
    shape = {"color": look.colour, "marker": look.marker, "linestyle": ""}
    return Line2D([], [], markerfacecolor="white" if hollow else look.colour, **shape)


def draw_extrapolated(ax: Axes, x: np.ndarray, points: pd.DataFrame, colour: str) -> None:
    """The value at n -> infinity: a diamond with its own interval, or an open arrow.

    An arrow stands at the least that a value from below claims, where that lies above the
    bound's own 95 % interval: elsewhere it says no more than the interval does. Both are
    other numbers than the bound, so they are never joined to it by a line.
    """
    two_sided, raised = drawn_limits(points)
    place = np.asarray(x, float)
    low, high = (points[f"extrapolated_{e}"].to_numpy(float) for e in ("low", "high"))
    if two_sided.any():
        ends = low[two_sided], high[two_sided]
        look = {"color": colour, "linewidth": 0.5, "linestyle": (0, (2, 1))}
        ax.vlines(place[two_sided], *ends, zorder=6.5, **look)
    value = points["extrapolated"].to_numpy(float)
    for chosen, height, mark, face, edge in (
        (two_sided, value, "D", colour, INK),
        (raised, low, "^", "white", colour),
    ):
        if chosen.any():
            ax.plot(
                place[chosen],
                height[chosen],
                mark,
                markersize=2.4,
                markerfacecolor=face,
                markeredgecolor=edge,
                markeredgewidth=0.4,
                zorder=7,
            )


def extrapolation_entries(points: pd.DataFrame) -> list[Entry]:
    """Legend of the diamonds and of the arrows; none of what is not drawn."""
    two_sided, raised = drawn_limits(points)
    entries: list[Entry] = []
    for chosen, shape, face, words in (
        (two_sided, "D", "0.5", "value at $n \\to \\infty$"),
        (raised, "^", "white", "at least, at $n \\to \\infty$"),
    ):
        if chosen.any():
            mark = Line2D([], [], marker=shape, linestyle="", markersize=2.4, color="none")
            mark.set(markerfacecolor=face, markeredgecolor=INK, markeredgewidth=0.4)
            entries.append((mark, words))
    return entries


def open_handle() -> Line2D:
    """Legend entry of an open marker, whatever it stands for."""
    return marker_handle(PLAIN, hollow=True)


def interval_handle(*, across: bool = False) -> Line2D:
    """Legend entry of an error bar, upright or lying."""
    shape = {"color": INK, "marker": "_" if across else "|", "linestyle": ""}
    return Line2D([], [], markersize=6, markeredgewidth=0.8, **shape)


def ceiling_handle() -> Line2D:
    """Legend entry of H(Y)."""
    return Line2D([], [], color=REFERENCE, linestyle=DASHES, linewidth=0.9)


def ceiling_entries(points: pd.DataFrame) -> list[Entry]:
    """Legend of H(Y), where it is known."""
    return [(ceiling_handle(), ceiling_label(points))] if has(points, "ceiling") else []


def interval_entries(
    points: pd.DataFrame, words: str, *, across: bool = False
) -> list[Entry]:
    """Legend of error bars, where there are some."""
    if not has(points, "low", "high"):
        return []
    return [(interval_handle(across=across), words)]
