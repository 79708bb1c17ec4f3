"""What each span or step of a text adds to I(Y;Z), and what is known by its end."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportReturnType=false
# pyright: reportOperatorIssue=false

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_probe.errors import InputError
from mi_probe.plots.control_marks import control_entries, control_marks
from mi_probe.plots.glyphs import families
from mi_probe.plots.heat_map import shown_name
from mi_probe.plots.marks import DASHES, draw_intervals, marker_handle
from mi_probe.plots.parts import (
    LINE_SPACING,
    Entry,
    ceiling_handle,
    ceiling_label,
    figure_legends,
    interval_handle,
    plain_title,
    wrapped,
)
from mi_probe.plots.style import REFERENCE, ViewStyle, view_style

LINE = 0.21
"""Inches from one span to the next."""
_ASIDE = 0.16
_KNOWN = ViewStyle("#D55E00", "D", "-", "")
_NEEDED = ("kind", "span", "number", "n", "value", "low", "high", "cumulative", "unit")


def span_lines(spans: pd.DataFrame) -> pd.DataFrame:
    """The lines that are drawn: numbered spans where a row has several, else names."""
    _check(spans)
    several = spans.groupby(["kind", "span"])["number"].transform("max") > 1
    kept = spans[np.where(several, spans["number"] > 0, spans["number"] == 0)]
    names = kept["span"] + kept["number"].map(lambda n: f" {n:g}" if n else "")
    # The rest is no span: it stands last.
    kept = kept.assign(line=names, _rest=kept["span"].eq("(rest)"))
    kept = kept.sort_values(["kind", "_rest"], kind="stable").drop(columns="_rest")
    return kept.reset_index(drop=True)


def span_dots(lines: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one kind's `span_lines`: added and known by the end, with n and controls.

    Raises:
        InputError: a column missing, no row, or several kinds.
    """
    _check(lines)
    if lines["kind"].nunique() > 1:
        raise InputError("lines must be of one kind of spans; use span_figure for several.")
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    at = np.arange(len(lines), dtype=float)
    ax.axvline(0, color=REFERENCE, linewidth=0.6, zorder=1)
    if "ceiling" in lines:
        most = float(lines["ceiling"].mean())
        ax.axvline(most, color=REFERENCE, linestyle=DASHES, linewidth=0.9, zorder=1)
    for name, ends, look, aside in (
        ("value", ("low", "high"), view_style("full"), -_ASIDE),
        ("cumulative", ("cumulative_low", "cumulative_high"), _KNOWN, _ASIDE),
    ):
        spans = (lines[ends[0]], lines[ends[1]])
        draw_intervals(ax, at + aside, *spans, look.colour, across=True)
        mark = {"color": look.colour, "markersize": 3, "zorder": 5}
        ax.plot(lines[name], at + aside, look.marker, **mark)
    control_marks(ax, at, lines)
    names = list(lines["line"].astype(str))
    ax.set_yticks(
        at, list(map(shown_name, names)), parse_math=False, fontfamily=families(names)
    )
    ax.tick_params(axis="y", length=0)
    beside = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    beside |= {"xytext": (3, 0), "va": "center", "fontsize": 7, "annotation_clip": False}
    for height, n in zip(at, lines["n"], strict=True):
        ax.annotate(f"{n:,.0f}", (1, height), **beside)
    ax.annotate("n", (1, -0.95), **beside)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.locator_params(axis="x", nbins=5)
    return ax


def _check(spans: pd.DataFrame) -> None:
    missing = [column for column in _NEEDED if column not in spans]
    if missing:
        raise InputError(
            f"spans lack the columns {', '.join(missing)}; pass a table of spans through "
            "mi_probe.analysis.units.in_unit first."
        )
    if spans.empty:
        raise InputError("spans hold no rows; there is nothing to draw.")


def span_figure(lines: pd.DataFrame, *, title: str) -> Figure:
    """`span_dots` of `span_lines`, a panel a kind, as wide as `style` says.

    Raises:
        InputError: as `span_dots`.
    """
    _check(lines)
    width = mpl.rcParams["figure.figsize"][0]
    panels = [
        panel.reset_index(drop=True) for _, panel in lines.groupby("kind", sort=False)
    ]
    heading = wrapped(title, width, size=9.0)
    height = sum(LINE * len(panel) + 0.35 for panel in panels) + 0.75
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(heading, parse_math=False, linespacing=LINE_SPACING)
    ratios = [len(panel) + 1 for panel in panels]
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=ratios)
    for ax, panel in zip(axes.ravel(), panels, strict=True):
        span_dots(panel, ax)
        plain_title(ax, str(panel["kind"].iloc[0]), 0.8 * width)
    axes.ravel()[-1].set_xlabel(f"information ({lines['unit'].iloc[0]})")
    entries: list[Entry] = [
        (marker_handle(view_style("full")), "became readable in it, over all rows"),
        (marker_handle(_KNOWN), "known by its end, $i(y; z_{\\leq t})$, over its n rows"),
        (interval_handle(across=True), "95 % interval over examples"),
    ]
    if "ceiling" in lines:
        entries.append((ceiling_handle(), ceiling_label(lines)))
    figure_legends(figure, [*entries, *control_entries(lines)])
    return figure
