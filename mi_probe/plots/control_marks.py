"""The controls of a token map in its figures: what there is where nothing can be known."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mi_probe.plots.marks import draw_intervals, marker_handle
from mi_probe.plots.parts import Entry
from mi_probe.plots.style import ViewStyle

_RANDOM = ViewStyle("0.55", "x", ":", "")
_TASK = ViewStyle("#882255", "", (0, (3, 1, 1, 1)), "")


def has_twin(points: pd.DataFrame) -> bool:
    """Whether a table has values of random labels."""
    return "random" in points and bool(points["random"].notna().any())


def control_lines(
    ax: Axes, x: np.ndarray, points: pd.DataFrame, memorised: float | None = None
) -> None:
    """Draw random labels along the axis with their band, and the control task's mean."""
    if has_twin(points):
        ends = points["random_low"], points["random_high"]
        ax.fill_between(x, *ends, color=_RANDOM.colour, alpha=0.25, linewidth=0, zorder=1)
        ax.plot(x, points["random"], color=_RANDOM.colour, linestyle=":", linewidth=0.9)
    if memorised is not None:
        ax.axhline(memorised, color=_TASK.colour, linestyle=_TASK.line, linewidth=0.9)


def control_marks(ax: Axes, at: np.ndarray, points: pd.DataFrame) -> None:
    """Draw random labels as a mark a line, with its interval, below the line's own."""
    if has_twin(points):
        places, ends = at + 0.32, (points["random_low"], points["random_high"])
        draw_intervals(ax, places, *ends, _RANDOM.colour, across=True, zorder=3.5)
        mark = {"color": _RANDOM.colour, "markersize": 3, "markeredgewidth": 0.8}
        ax.plot(points["random"], places, _RANDOM.marker, zorder=4, **mark)


def control_entries(points: pd.DataFrame, memorised: float | None = None) -> list[Entry]:
    """Legend entries of the controls that are drawn."""
    entries: list[Entry] = []
    if has_twin(points):
        entries.append((marker_handle(_RANDOM), "random labels: true value 0"))
    if memorised is not None:
        line = Line2D([], [], color=_TASK.colour, linestyle=_TASK.line, linewidth=0.9)
        entries.append((line, "control task: a random label a word type, mean"))
    return entries


def noise_note(values: pd.Series) -> str:
    """How far single values reach with random labels, in words; empty without any."""
    known = values.dropna()
    if known.empty:
        return ""
    low, high = np.quantile(known, (0.025, 0.975))
    ends = f"{low:.3f} to {high:.3f}".replace("-", "\N{MINUS SIGN}")
    return f"with random labels 95 % of such values lie in {ends}"
