"""Values with intervals, one a line: the DPI gap; `differences` draws on it too."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_probe.analysis.labels import in_order, short_name
from mi_probe.analysis.verdict import LEVEL, is_shown
from mi_probe.errors import InputError
from mi_probe.plots.marks import draw_intervals, marker_handle
from mi_probe.plots.parts import LINE_SPACING, Entry, figure_legends, interval_handle
from mi_probe.plots.parts import wrapped as wrapped_text
from mi_probe.plots.style import INK, REFERENCE, ViewStyle, system_label, view_styles

LINE = 0.145
"""Inches between two lines."""
_NEEDED = ("subject", "task", "pooling", "gap", "low", "high", "unit")


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
    _check(points)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    lines = _lines(points, ax.get_figure().get_figwidth())
    looks = view_styles(in_order(points["pooling"]))
    draw_lines(ax, points, lines, [looks[name] for name in points["pooling"]], "gap")
    ax.set_xlabel(f"DPI gap $I(Y;Z)-I(Y;Z_p)$ ({points['unit'].iloc[0]})")
    return ax


def draw_lines(
    ax: Axes,
    points: pd.DataFrame,
    lines: Sequence[Line],
    looks: Sequence[ViewStyle],
    value: str,
) -> None:
    """Headings, and points with their intervals and values, from top to bottom.

    Args:
        ax: what to draw on.
        points: with ``low``, ``high``, where it is known ``p_value``, and the value.
        lines: from top to bottom.
        looks: of each point.
        value: name of its column.
    """
    names = []
    for place, line in enumerate(lines):
        height = float(place)
        if line.point is None:
            ax.annotate(
                line.words,
                (0, height),
                xycoords=("figure fraction", "data"),
                xytext=(3, 0),
                textcoords="offset points",
                va="center",
                parse_math=False,
                annotation_clip=False,
            ).set_in_layout(False)
            continue
        names.append((height, line.words))
        # A piece a line: headings stay free of it.
        ax.vlines(0, height - 0.5, height + 0.5, color=REFERENCE, linewidth=0.6, zorder=1)
        _draw_point(ax, points.iloc[line.point], height, looks[line.point], value)
    ax.set_yticks([h for h, _ in names], [w for _, w in names], parse_math=False)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.margins(x=0.06)
    ax.locator_params(axis="x", nbins=5)


def _check(points: pd.DataFrame) -> None:
    missing = [column for column in _NEEDED if column not in points.columns]
    if missing:
        raise InputError(
            f"points lack the columns {', '.join(missing)}; pass a table of gaps through "
            "mi_probe.analysis.units.in_unit first."
        )
    if points.empty:
        raise InputError("points hold no rows; there is nothing to draw.")


def _draw_point(
    ax: Axes, row: pd.Series, height: float, look: ViewStyle, value: str
) -> None:
    p, shown = _p_of(row), _is_shown(row, value)
    ends = (np.array([row["low"]]), np.array([row["high"]]))
    draw_intervals(ax, np.array([height]), *ends, look.colour, across=True)
    # Minus zero is zero.
    words = f"{round(row[value], 3) + 0.0:+.3f}".replace("-", "\N{MINUS SIGN}")
    if not np.isfinite(row[value]):
        words = "no value"
    elif p is not None:
        words += f"  {_p_words(p)}"
    ax.plot(
        [row[value]],
        [height],
        look.marker,
        color=look.colour,
        markerfacecolor=look.colour if shown else "white",
        markersize=4,
        markeredgewidth=0.8,
        zorder=5,
    )
    ax.annotate(
        words,
        (1, height),
        xycoords=ax.get_yaxis_transform(),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        annotation_clip=False,
    )


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


def _p_words(p: float) -> str:
    return f"$p$ = {p:.3f}" if p >= 0.0005 else "$p$ < 0.001"


def _lines(points: pd.DataFrame, inches: float) -> list[Line]:
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
        size = float(mpl.rcParams["font.size"])
        lines += [
            Line(part, None)
            for part in wrapped_text(heading, inches, size=size).split("\n")
        ]
        order = group.assign(_at=group["pooling"].map(in_order(points["pooling"]).index))
        keys = [key for key in ("step", "layer") if key in order]
        order = order.sort_values([*keys, "_at"], kind="stable")
        lines += [Line(_row_words(row, varying), int(i)) for i, row in order.iterrows()]
    return lines


def _subject_words(group: pd.DataFrame, subject: str) -> str:
    objective = str(group["objective"].iloc[0]) if "objective" in group else ""
    known = objective not in ("", "nan", "None", "<NA>")
    return short_name(subject) + (f" ({system_label(objective)})" if known else "")


def _sample_words(group: pd.DataFrame) -> str:
    words = ""
    sizes = group["n"].dropna().unique() if "n" in group else []
    if len(sizes) == 1:
        words += f", n = {sizes[0]:,.0f}"
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
    _check(points)
    width = mpl.rcParams["figure.figsize"][0]
    count = len(_lines(points, width))
    figure = Figure(figsize=(width, LINE * count + 0.5), layout="constrained")
    ax = gap_forest(points, figure.subplots())
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
        points: with ``low``, ``high`` and, where it is known, ``p_value``.
        what: a shown one is called.
        over: the intervals are taken.
        p: what its p-value is called.
    """
    notes: list[Entry] = []
    if points[["low", "high"]].notna().all(axis=1).any():
        notes.append((interval_handle(across=True), f"95 % interval, paired over {over}"))
    held = ~points.apply(_is_shown, axis=1, value=what)
    if held.any():
        hollow = marker_handle(ViewStyle(INK, "o", "-", ""), hollow=True)
        tested = points.loc[held].apply(_p_of, axis=1).notna()
        words = f"{p} > {LEVEL:g}" if tested.any() else ""
        if not tested.all():
            words += ", or " * bool(tested.any()) + "0 in interval, or none"
        notes.append((hollow, f"no {what} shown: {words}"))
    return notes
