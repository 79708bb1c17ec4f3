"""Generated x input: what the states of written tokens have to do with those read."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mi_probe.errors import InputError
from mi_probe.plots.captions import count_words
from mi_probe.plots.colour_scale import draw_scale, scale
from mi_probe.plots.glyphs import shown_token
from mi_probe.plots.heat_map import heat_map
from mi_probe.plots.marks import (
    aside,
    draw_intervals,
    draw_line,
    drawn_so_far,
    interval_entries,
    line_handle,
)
from mi_probe.plots.page import (
    IN_UNIT,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    head,
)
from mi_probe.plots.style import INK, REFERENCE, ViewStyle

LOOKS = (
    ViewStyle(INK, "o", "-", "", 1.2),
    ViewStyle("0.35", "s", (0, (4, 1.2)), ""),
    ViewStyle("0.5", "^", (0, (4, 1, 1, 1)), ""),
    ViewStyle("0.6", "D", (0, (1, 1)), ""),
)
"""Of the first written token, the second, and so on; no view has their colours."""
_ASIDE = 2.2
"""Points between two written tokens at one place."""
_TEXT = 6.5
_NEEDED = ("generated_position", "input_from_end", "n", "value", "low", "high", "unit")


def written_lines(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw `points` of `in_unit(generated)`: a line a written token, with its intervals.

    Across stand the tokens read, the last one at the right, a step apart. Nothing is
    clipped, and there is no ceiling: such a value has no natural size.

    Raises:
        InputError: a column missing, no row, or two rows for one pair.
    """
    _check(points)
    ax = axes_or_current(ax)
    columns = _columns(points)
    places = {column: i + 0.5 for i, column in enumerate(columns)}
    written = _written(points)
    ax.axhline(0, color=REFERENCE, linewidth=0.5, zorder=0.7)
    for i, position in enumerate(written):
        rows = points[points["generated_position"] == position]
        rows = rows.sort_values("input_from_end", ascending=False)
        x = rows["input_from_end"].map(places).to_numpy(float)
        look, before = LOOKS[i % len(LOOKS)], drawn_so_far(ax)
        draw_line(ax, x, rows["value"], look, _ordinal(position))
        draw_intervals(ax, x, rows["low"], rows["high"], look.colour)
        aside(ax, before, _ASIDE * (i - (len(written) - 1) / 2))
    ax.set_xlim(0, len(columns))
    ax.margins(y=0.08)
    ax.set_ylabel(f"information ({points['unit'].iloc[0]})")
    ax.locator_params(axis="y", nbins=5)
    return ax


def _check(points: pd.DataFrame) -> None:
    check_table(points, _NEEDED, "points", IN_UNIT)
    if points.duplicated(["generated_position", "input_from_end"]).any():
        raise InputError("points must hold one row a written and read token; some two.")


def _columns(points: pd.DataFrame) -> list[int]:
    """Every place read, the last one at the right; also one that no row is of."""
    return list(range(int(points["input_from_end"].max()), -1, -1))


def _written(points: pd.DataFrame) -> list[int]:
    return sorted(map(int, points["generated_position"].unique()))


def _ordinal(position: int) -> str:
    number = position + 1
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"


def written_figure(points: pd.DataFrame, *, title: str) -> Figure:
    """`written_lines` over a heat map of the same pairs, as wide as `style` says.

    Columns ``written``, ``written_share`` and ``read`` (`with_texts`) name the tokens.

    Raises:
        InputError: as `written_lines`.
    """
    _check(points)
    columns, names = _columns(points), _read_names(points)
    rows = points["generated_position"].nunique()
    deep = max(0.17 * rows, 0.3)
    longest = max(len(name) for name in names.values())
    height = 1.3 + deep + 0.065 * longest + 1.0
    figure = Figure(figsize=(figure_width(), height), layout="constrained")
    head(figure, title)
    grid = figure.add_gridspec(3, 1, height_ratios=[1.3, deep, 0.08])
    above = written_lines(points, figure.add_subplot(grid[0]))
    below = figure.add_subplot(grid[1], sharex=above)
    norm = scale(points["value"].to_numpy(float))
    heat_map(_cells(points, columns, names), below, norm=norm)
    above.tick_params(labelbottom=False)
    below.tick_params(labeltop=False, labelbottom=True, axis="x", pad=1)
    below.set_ylabel("written")
    below.set_xlabel("token read, counted from the answer")
    figure.align_ylabels()
    unit = points["unit"].iloc[0]
    words = f"held-out linear information of two states ({unit})\nneither bound, and no "
    words += "ceiling: compare places, not sizes"
    draw_scale(figure.add_subplot(grid[2]), norm, words)
    lines: list[Entry] = [
        (line_handle(LOOKS[i % len(LOOKS)]), _written_words(group))
        for i, (_, group) in enumerate(points.groupby("generated_position"))
    ]
    figure_legends(figure, lines, _notes(points, columns))
    return figure


def _read_names(points: pd.DataFrame) -> dict[int, str]:
    """What stands under a place: its number, and its token where it is always the same."""
    read = {}
    if "read" in points:
        read = dict(zip(points["input_from_end"], points["read"].fillna(""), strict=True))
    # The number stands next to the axis, whatever is long.
    return {
        column: f"{shown_token(str(read.get(column, '')))} {column + 1}".strip()
        for column in _columns(points)
    }


def _cells(points: pd.DataFrame, columns: list[int], names: dict[int, str]) -> pd.DataFrame:
    """Every pair as a cell of `heat_map`; one that was not measured has no value."""
    values = points.set_index(["generated_position", "input_from_end"])["value"]
    written = _written(points)
    return pd.DataFrame(
        {
            "row": _ordinal(position),
            "column": column,
            "column_label": names[column],
            "value": values.get((position, column), np.nan),
            "unit": points["unit"].iloc[0],
        }
        for position in written
        for column in columns
    )


def _written_words(rows: pd.DataFrame) -> str:
    """Which written token a line is of, and what stands there most often."""
    words = f"{_ordinal(_written(rows)[0])} written"
    if "written" in rows and str(rows["written"].iloc[0]):
        # A dollar sign is no mathematics here.
        token = shown_token(str(rows["written"].iloc[0])).replace("$", r"\$")
        words += f": {token}, {100 * rows['written_share'].iloc[0]:.0f} %"
    return words


def _notes(points: pd.DataFrame, columns: list[int]) -> list[Entry]:
    over = f"95 % interval over examples, n = {count_words(points['n'])}"
    notes = interval_entries(points, over)
    pairs = points["generated_position"].nunique() * len(columns)
    if points["value"].notna().sum() < pairs:
        words = "hatched: too few sentences, or states that do not vary"
        notes.append((line_handle(ViewStyle("none", "", "", "")), words))
    return notes
