"""Controls in a figure: thin lines beside estimates, random labels beside tokens."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from mi_probe.analysis.control_points import AT_SITES, control_label
from mi_probe.facts import fixed
from mi_probe.plots.captions import has
from mi_probe.plots.marks import draw_intervals, marker_handle
from mi_probe.plots.page import Entry
from mi_probe.plots.style import ViewStyle, view_style


def _line(colour: str, dashes: Any, width: float = 0.65) -> dict[str, Any]:
    """A thin line, of dashes that no view and no ceiling has."""
    return {"color": colour, "linestyle": dashes, "linewidth": width}


_LINES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "words": _line("#000000", "-", 0.55),
        "length": _line("#777777", (0, (1, 3))),
        "answer": _line("#7A3E00", (0, (7, 1.5, 1, 1.5))),
        "answer, calibrated": _line("#7A3E00", (0, (7, 1.5, 1, 1.5, 1, 1.5))),
        "likelihood": _line("#1B6B4A", (0, (7, 1.5, 1, 1.5))),
        "likelihood, calibrated": _line("#1B6B4A", (0, (7, 1.5, 1, 1.5, 1, 1.5))),
        "embeddings": _line("#5A4FA0", (0, (3, 3))),
        "random_weights": _line("#555555", (0, (3, 1))),
        "random_labels": _line("#999999", (0, (1, 1))),
    }
)
_OTHER = _line("#555555", (0, (2, 2)))
_RANDOM = ViewStyle("0.55", "x", ":", "")
_TASK = ViewStyle("#882255", "", (0, (3, 1, 1, 1)), "")


def _line_of(row: pd.Series) -> Mapping[str, Any]:
    """How a control is drawn."""
    calibrated = ", calibrated" * (row["view"] == "calibrated")
    return _LINES.get(f"{row['control']}{calibrated}", _OTHER)


def draw_control_lines(ax: Axes, controls: pd.DataFrame) -> None:
    """Over layers: those of the text run across, those at sites are lines in x.

    Lines at sites have the colour of their view. A control far below 0, as of a model that
    is sure of the wrong words, would flatten all else: where it lies lower than the axis it
    is not drawn, and the legend has its value.

    Args:
        ax: with the states drawn.
        controls: of `controls_beside`.
    """
    low, high = ax.get_ylim()
    for _, row in controls[~controls["control"].isin(AT_SITES)].iterrows():
        if np.isfinite(row["value"]) and low <= row["value"]:
            ax.axhline(row["value"], **_line_of(row), zorder=2)
            high = max(high, row["value"] + 0.03 * (high - low))
    at_sites = controls[controls["control"].isin(AT_SITES) & controls["x"].notna()]
    for (_, view), rows in at_sites.groupby(["control", "view"], sort=False):
        rows = rows.sort_values("x")
        style = {**_line_of(rows.iloc[0]), "color": view_style(str(view)).colour}
        if len(rows) == 1:  # no line goes through one point
            style |= {"marker": "_", "markersize": 7}
        ax.plot(rows["x"], rows["value"], **style, zorder=2.2)
        low = min(low, float(np.nanmin([low, *rows["value"]])))
        high = max(high, float(np.nanmax([high, *rows["value"]])))
    ax.set_ylim(low, high)


def draw_control_pieces(
    ax: Axes, controls: pd.DataFrame, left: float, right: float, places: Mapping[str, float]
) -> None:
    """Over one group of bars: those of the text across it, those at sites over their bar.

    Args:
        ax: with the bars drawn.
        controls: of this group.
        left: its left end.
        right: its right end.
        places: the middle of each view's bar.
    """
    low = ax.get_ylim()[0]
    half = 0.5 * (right - left) / max(len(places), 1)
    for _, row in controls.iterrows():
        ends = left, right
        if row["control"] in AT_SITES:
            if row["view"] not in places:
                continue
            middle = places[row["view"]]
            ends = middle - half, middle + half
        if np.isfinite(row["value"]) and low <= row["value"] + 0.01:
            ax.plot(ends, [row["value"]] * 2, **_line_of(row), zorder=4.5)


def control_entries(controls: pd.DataFrame) -> list[Entry]:
    """Legend of the controls; with its value, where all of one control have the same.

    Args:
        controls: those of the whole figure.
    """
    entries: list[Entry] = []
    if controls.empty:
        return entries
    names = controls.apply(control_label, axis=1)
    for name in dict.fromkeys(names):
        rows = controls[names == name]
        label = str(name)
        values = {fixed(value) for value in rows["value"] if np.isfinite(value)}
        if len(values) == 1:
            label += f" {values.pop()}"
        entries.append((Line2D([], [], **_line_of(rows.iloc[0])), label))
    return entries


def twin_lines(
    ax: Axes, x: np.ndarray, points: pd.DataFrame, memorised: float | None = None
) -> None:
    """Draw random labels along the axis with their band, and the control task's mean."""
    if has(points, "random"):
        ends = points["random_low"], points["random_high"]
        ax.fill_between(x, *ends, color=_RANDOM.colour, alpha=0.25, linewidth=0, zorder=1)
        ax.plot(x, points["random"], color=_RANDOM.colour, linestyle=":", linewidth=0.9)
    if memorised is not None:
        ax.axhline(memorised, color=_TASK.colour, linestyle=_TASK.line, linewidth=0.9)


def twin_marks(ax: Axes, at: np.ndarray, points: pd.DataFrame) -> None:
    """Draw random labels as a mark a line, with its interval, below the line's own."""
    if has(points, "random"):
        places, ends = at + 0.32, (points["random_low"], points["random_high"])
        draw_intervals(ax, places, *ends, _RANDOM.colour, across=True, zorder=3.5)
        mark = {"color": _RANDOM.colour, "markersize": 3, "markeredgewidth": 0.8}
        ax.plot(points["random"], places, _RANDOM.marker, zorder=4, **mark)


def twin_entries(points: pd.DataFrame, memorised: float | None = None) -> list[Entry]:
    """Legend entries of the controls that are drawn."""
    entries: list[Entry] = []
    if has(points, "random"):
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
