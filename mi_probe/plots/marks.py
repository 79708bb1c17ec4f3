"""Marks that several figures draw alike: intervals, ceilings, panels of two heights."""

# Line styles of `ViewStyle` are matplotlib's, and wider to pyright.
# pyright: reportArgumentType=false, reportOptionalMemberAccess=false

from typing import TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from mi_probe.plots.style import INK, REFERENCE, ViewStyle

Values: TypeAlias = np.ndarray | pd.Series

DASHES = (0, (5, 2))
"""Of the ceiling, and of nothing else that runs across a panel."""


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


def draw_ceiling(ax: Axes, height: float) -> None:
    """H(Y) as a dashed line, named at the right edge; nothing where there is none."""
    if not np.isfinite(height):
        return
    ax.axhline(height, color=REFERENCE, linestyle=DASHES, linewidth=0.9, zorder=1)
    ax.annotate(
        "$H(Y)$",
        (1, height),
        xycoords=ax.get_yaxis_transform(),
        xytext=(2, 0),
        textcoords="offset points",
        va="center",
        ha="left",
        fontsize=7,
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


def line_handle(look: ViewStyle, *, marker: bool = True) -> Line2D:
    """Legend entry of `draw_line`."""
    return Line2D(
        [],
        [],
        color=look.colour,
        linestyle=look.line,
        linewidth=look.width,
        marker=look.marker if marker else "",
    )


def marker_handle(look: ViewStyle, *, hollow: bool = False) -> Line2D:
    """Legend entry of a marker alone."""
    face = "white" if hollow else look.colour
    return Line2D(
        [], [], color=look.colour, marker=look.marker, markerfacecolor=face, linestyle=""
    )
