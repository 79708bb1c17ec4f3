"""Values with intervals, one a line: the DPI gap; `differences` draws on it too."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_probe.analysis.labels import in_order, short_name
from mi_probe.analysis.verdict import LEVEL, is_shown
from mi_probe.plots.marks import (
    draw_intervals,
    draw_values,
    interval_entries,
    marker_handle,
    open_handle,
)
from mi_probe.plots.page import (
    IN_UNIT,
    LINE_SPACING,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    panels,
    wrapped,
)
from mi_probe.plots.style import (
    REFERENCE,
    ViewStyle,
    system_label,
    view_style,
    view_styles,
)

LINE = 0.145
"""Inches between two lines."""
_GAPS = ("subject", "task", "pooling", "gap", "low", "high", "unit")


@dataclass(frozen=True)
class Line:
    """One line of the figure: a heading over all columns, or a point of the table."""

    words: str
    point: int | None


def gap_forest(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw `points` of `in_unit(gaps)`: I(Y;Z) - I(Y;Z_p), one a line.

    A heading a subject and task names n and H(Y), the most that a gap can be. Markers
    tell poolings apart; hollow ones are not shown: their p-value (of the conditional
    randomisation test, corrected for the gaps measured together where ``p_holm`` says so)
    is above 0.05, or, where the test was not run, their interval holds 0. At the right
    stand the value and that p-value. Nothing is clipped.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(points, _GAPS, "points", IN_UNIT)
    ax = axes_or_current(ax)
    lines = _gap_lines(points, ax.get_figure().get_figwidth())
    draw_lines(ax, points, lines, view_styles(in_order(points["pooling"])), "gap")
    ax.set_xlabel(f"DPI gap $I(Y;Z)-I(Y;Z_p)$ ({points['unit'].iloc[0]})")
    return ax


def draw_lines(
    ax: Axes,
    points: pd.DataFrame,
    lines: Sequence[Line],
    looks: Mapping[str, ViewStyle],
    value: str,
    *,
    ticks: int = 5,
) -> None:
    """Headings, and points with their intervals and values, from top to bottom.

    Args:
        ax: what to draw on.
        points: with ``low``, ``high``, where it is known a p-value, and the value.
        lines: from top to bottom.
        looks: of each pooling; none where markers tell nothing apart.
        value: name of its column.
        ticks: of the axis, at most.
    """
    names = []
    beside = {"textcoords": "offset points", "va": "center", "annotation_clip": False}
    for place, line in enumerate(lines):
        height = float(place)
        if line.point is None:
            at = {"xycoords": ("figure fraction", "data"), "xytext": (3, 0)}
            heading = ax.annotate(line.words, (0, height), parse_math=False, **at, **beside)
            heading.set_in_layout(False)
            continue
        names.append((height, line.words))
        # A piece a line: headings stay free of it.
        ax.vlines(0, height - 0.5, height + 0.5, color=REFERENCE, linewidth=0.6, zorder=1)
        row, here = points.iloc[line.point], np.array([height])
        look = looks[row["pooling"]] if looks else view_style("full")
        ends = (np.array([row[end]], float) for end in ("low", "high"))
        draw_intervals(ax, here, *ends, look.colour, across=True)
        hollow = np.array([not _is_shown(row, value)])
        draw_values(ax, np.array([row[value]]), here, look, hollow)
        at = {"xycoords": ax.get_yaxis_transform(), "xytext": (4, 0), "fontsize": 7}
        ax.annotate(_value_words(row, value), (1, height), **at, **beside)
    ax.set_yticks([h for h, _ in names], [w for _, w in names], parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.margins(x=0.06)
    ax.locator_params(axis="x", nbins=ticks)


def _p_of(row: pd.Series) -> float | None:
    """The corrected p-value where there is one, else the p-value, else None."""
    for name in ("p_holm", "p_value"):
        if pd.notna(row.get(name)):
            return float(row[name])
    return None


def _is_shown(row: pd.Series, value: str) -> bool:
    """Whether a gap, which has one side, or a difference, which has two, is shown."""
    p, low, high = _p_of(row), float(row["low"]), float(row["high"])
    if value == "gap":
        shown = is_shown(low, p)
    else:
        shown = low > 0 or high < 0 if p is None else p <= LEVEL
    return bool(np.isfinite(row[value])) and shown


def _value_words(row: pd.Series, value: str) -> str:
    if not np.isfinite(row[value]):
        return "no value"
    # Minus zero is zero.
    words = f"{round(row[value], 3) + 0.0:+.3f}".replace("-", "\N{MINUS SIGN}")
    p = _p_of(row)
    if p is None:
        return words
    return words + (f"  $p$ = {p:.3f}" if p >= 0.0005 else "  $p$ < 0.001")


def headings(text: str, inches: float) -> list[Line]:
    """A heading over all columns, in as many lines as it needs."""
    size = float(mpl.rcParams["font.size"])
    return [Line(part, None) for part in wrapped(text, inches, size=size).split("\n")]


def _gap_lines(points: pd.DataFrame, inches: float) -> list[Line]:
    varying = [
        column
        for column in ("layer", "pooling", "token_set", "step", "seed")
        if column in points and points[column].nunique(dropna=False) > 1
    ] or ["pooling"]
    lines: list[Line] = []
    table = points.reset_index(drop=True)
    for (task, subject), group in table.groupby(["task", "subject"], sort=False):
        heading = f"{short_name(str(task))}, {_subject_words(group, str(subject))}"
        heading += _sample_words(group)
        lines += headings(heading, inches)
        order = group.assign(_at=group["pooling"].map(in_order(points["pooling"]).index))
        keys = [key for key in ("step", "layer") if key in order]
        order = order.sort_values([*keys, "_at"], kind="stable")
        lines += [Line(_row_words(row, varying), int(i)) for i, row in order.iterrows()]
    return lines


def _subject_words(group: pd.DataFrame, subject: str) -> str:
    objective = str(group["objective"].iloc[0]) if "objective" in group else ""
    known = objective not in ("", "nan", "None", "<NA>")
    return short_name(subject) + (f" ({system_label(objective)})" if known else "")


def n_words(group: pd.DataFrame) -> str:
    """The number of rows, where all lines share one."""
    sizes = group["n"].dropna().unique() if "n" in group else []
    return f", n = {sizes[0]:,.0f}" if len(sizes) == 1 else ""


def _sample_words(group: pd.DataFrame) -> str:
    words = n_words(group)
    ceilings = group["ceiling"].dropna().unique() if "ceiling" in group else []
    if len(ceilings) == 1:
        words += f", H(Y) = {ceilings[0]:.3f} {group['unit'].iloc[0]}"
    return words


def _row_words(row: pd.Series, varying: Sequence[str]) -> str:
    words = []
    for column in varying:
        value = row[column]
        if column == "layer":
            words.append(f"layer {value:g}" if pd.notna(value) else str(row["site"]))
        elif column == "step":
            words.append(f"step {value:g}" if pd.notna(value) else "")
        elif column == "seed":
            words.append(f"seed {value:g}")
        else:
            words.append(str(value))
    return ", ".join(word for word in words if word)


def gap_figure(points: pd.DataFrame) -> Figure:
    """`gap_forest` with its legend, as wide as `style` says and as tall as its lines.

    Raises:
        InputError: as `gap_forest`.
    """
    check_table(points, _GAPS, "points", IN_UNIT)
    figure, (ax,) = panels(1, 1, LINE * len(_gap_lines(points, figure_width())), 0.5)
    gap_forest(points, ax)
    readings = list(dict.fromkeys(points["reading"])) if "reading" in points else []
    if len(readings) == 1:
        ax.set_xlabel(f"{ax.get_xlabel()}\n{readings[0]}", linespacing=LINE_SPACING)
    looks = view_styles(in_order(points["pooling"]))
    blocks: list[Entry] = [
        (marker_handle(look), f"$g$ = {name}") for name, look in looks.items()
    ]
    figure_legends(figure, blocks, forest_notes(points, "gap", "examples"))
    return figure


def forest_notes(points: pd.DataFrame, what: str, over: str, p: str = "$p$") -> list[Entry]:
    """The legend of intervals and hollow markers.

    Args:
        points: with ``low``, ``high`` and, where it is known, a p-value.
        what: a shown one is called.
        over: the intervals are taken.
        p: what its p-value is called.
    """
    notes = interval_entries(points, f"95 % interval, paired over {over}", across=True)
    held = ~points.apply(_is_shown, axis=1, value=what)
    if held.any():
        tested = points.loc[held].apply(_p_of, axis=1).notna()
        words = f"{p} > {LEVEL:g}" if tested.any() else ""
        if not tested.all():
            words += ", or " * bool(tested.any()) + "0 in interval, or none"
        notes.append((open_handle(), f"no {what} shown: {words}"))
    return notes
