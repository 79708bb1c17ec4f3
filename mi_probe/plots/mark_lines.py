"""Numbers one a line, with intervals, counts and random labels.

Hollow markers have an interval that holds 0, or none. Nothing is clipped.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mi_probe.plots.captions import has
from mi_probe.plots.controls import twin_marks
from mi_probe.plots.marks import (
    DASHES,
    draw_intervals,
    draw_values,
    marker_handle,
    open_handle,
)
from mi_probe.plots.page import Entry
from mi_probe.plots.style import REFERENCE, ViewStyle


@dataclass(frozen=True)
class Mark:
    """One number of each line, and how it is drawn."""

    value: str
    """Name of its column."""
    words: str
    look: ViewStyle
    begins: str = ""
    """How the names of its interval's columns begin."""

    @property
    def ends(self) -> list[str]:
        """The columns of its interval."""
        return [f"{self.begins}low", f"{self.begins}high"]


def known_marks(lines: pd.DataFrame, marks: Sequence[Mark]) -> list[Mark]:
    """Those that the table has columns and values for."""
    there = [mark for mark in marks if {*mark.ends} <= {*lines}]
    return [mark for mark in there if has(lines, mark.value)]


def draw_mark(ax: Axes, at: np.ndarray, lines: pd.DataFrame, mark: Mark) -> None:
    """Draw one number of each line, with its interval, at these heights."""
    low, high = (lines[end] for end in mark.ends)
    draw_intervals(ax, at, low, high, mark.look.colour, across=True)
    draw_values(ax, lines[mark.value], at, mark.look, _holds_0(lines, mark), size=3.0)


def _holds_0(lines: pd.DataFrame, mark: Mark) -> np.ndarray:
    """Which intervals hold 0, or are not known."""
    low, high = (lines[end].to_numpy(float) for end in mark.ends)
    return ~((low > 0) | (high < 0))


def draw_named_lines(
    ax: Axes, lines: pd.DataFrame, names: Sequence[str], fonts: list[str]
) -> None:
    """Names at the left, counts at the right, 0, H(Y), and random labels."""
    at = np.arange(len(lines), dtype=float)
    ax.axvline(0, color=REFERENCE, linewidth=0.6, zorder=1)
    if has(lines, "ceiling"):
        look = {"color": REFERENCE, "linestyle": DASHES, "linewidth": 0.9, "zorder": 1}
        if lines["ceiling"].round(9).nunique() == 1:
            ax.axvline(float(lines["ceiling"].mean()), **look)
        else:
            # Each line's sentences have their own: a piece a line.
            ax.vlines(lines["ceiling"], at - 0.5, at + 0.5, **look)
    twin_marks(ax, at, lines)
    ax.set_yticks(at, names, parse_math=False, fontfamily=fonts)
    ax.tick_params(axis="y", length=0)
    beside = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    beside |= {"xytext": (3, 0), "va": "center", "fontsize": 7, "annotation_clip": False}
    for height, n in zip(at, lines["n"], strict=True):
        ax.annotate(f"{n:,.0f}", (1, height), **beside)
    ax.annotate("n", (1, -0.95), **beside)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.locator_params(axis="x", nbins=5)


def mark_entries(marks: Sequence[Mark]) -> list[Entry]:
    """Legend of the marks."""
    return [(marker_handle(mark.look), mark.words) for mark in marks]


def hollow_entries(lines: pd.DataFrame, marks: Sequence[Mark]) -> list[Entry]:
    """Legend of hollow markers, where there are some."""
    if not any(_holds_0(lines, mark).any() for mark in marks):
        return []
    return [(open_handle(), "hollow: the interval holds 0, or is unknown")]
