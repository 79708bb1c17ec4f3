"""The controls of a token map in its figures: what there is where nothing can be known."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportReturnType=false

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mi_probe.plots.marks import draw_intervals, marker_handle
from mi_probe.plots.parts import Entry
from mi_probe.plots.style import ViewStyle

CONTROLS: Mapping[str, tuple[str, ViewStyle]] = MappingProxyType(
    {
        "random": ("random labels: true value 0", ViewStyle("0.55", "x", ":", "")),
        "control_task": (
            "control task: a random label a word type",
            ViewStyle("#882255", "+", (0, (3, 1, 1, 1)), ""),
        ),
    }
)
"""Controls by the column of their values: what they are called, and their look."""


def controls_in(points: pd.DataFrame) -> list[str]:
    """The controls that a table has values of."""
    return [name for name in CONTROLS if name in points and points[name].notna().any()]


def control_lines(ax: Axes, x: np.ndarray, points: pd.DataFrame) -> None:
    """Draw each control along the axis, random labels with their band."""
    for name in controls_in(points):
        look = CONTROLS[name][1]
        if name == "random":
            ends = points["random_low"], points["random_high"]
            ax.fill_between(x, *ends, color=look.colour, alpha=0.25, linewidth=0, zorder=1)
        ax.plot(x, points[name], color=look.colour, linestyle=look.line, linewidth=0.9)


def control_marks(ax: Axes, at: np.ndarray, points: pd.DataFrame) -> None:
    """Draw each control as a mark a line, with its interval, below the line's own."""
    for i, name in enumerate(controls_in(points)):
        look, places = CONTROLS[name][1], at + 0.3 + 0.12 * i
        ends = points[f"{name}_low"], points[f"{name}_high"]
        draw_intervals(ax, places, *ends, look.colour, across=True, zorder=3.5)
        mark = {"color": look.colour, "markersize": 3, "markeredgewidth": 0.8}
        ax.plot(points[name], places, look.marker, zorder=4, **mark)


def control_entries(points: pd.DataFrame) -> list[Entry]:
    """Legend entries of the controls that are drawn."""
    return [(marker_handle(CONTROLS[n][1]), CONTROLS[n][0]) for n in controls_in(points)]


def noise_note(values: pd.Series) -> str:
    """How far single values reach with random labels, in words; empty without any."""
    known = values.dropna()
    if known.empty:
        return ""
    low, high = np.quantile(known, (0.025, 0.975))
    ends = f"{low:.2f} to {high:.2f}".replace("-", "\N{MINUS SIGN}")
    return f"with random labels 95 % of such values lie in {ends}"
