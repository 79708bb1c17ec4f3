"""Cells of information under one colour scale: tokens, words, layers and positions."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from mi_probe.errors import InputError
from mi_probe.facts import fixed
from mi_probe.plots.colour_scale import NEGATIVE, draw_cell, draw_scale, scale
from mi_probe.plots.glyphs import families, shown
from mi_probe.plots.page import (
    IN_UNIT,
    LINE_SPACING,
    axes_or_current,
    check_table,
    figure_width,
    text_widths,
    wrapped,
)

_NEEDED = ("row", "column", "value", "unit")
_NUMBERED = 0.27
"""Inches from which a cell has room for its number."""
_NARROW = 0.115
"""Inches that a column's upright name needs."""
_TEXT = 6.5


def heat_map(
    cells: pd.DataFrame, ax: Axes | None = None, *, norm: Normalize | None = None
) -> Axes:
    """Draw `cells`: a table with `row`, `column`, `value`, `unit`, one row a cell.

    Rows and columns stand in the order in which they first appear; `column_label` names
    columns where it is there. Cells are vector shapes. Where they are wide enough they
    hold their number; else one below 0 has a dashed line at its foot, so that grey print
    tells the signs apart. A cell that is missing is hatched.

    Raises:
        InputError: a column missing, no row, or two rows for one cell.
    """
    _check(cells)
    ax = axes_or_current(ax)
    rows, columns = _order(cells, "row"), _order(cells, "column")
    norm = scale(cells["value"].to_numpy(float)) if norm is None else norm
    values = _matrix(cells, rows, columns)
    numbered = bool(_inches(ax) / len(columns) >= _NUMBERED)
    for (i, j), value in np.ndenumerate(values):
        _draw_cell(ax, i, j, float(value), norm, numbered)
    names = _names(cells)
    fonts = families([*names.values(), *map(str, rows)])
    ax.set_xlim(0, len(columns))
    ax.set_ylim(len(rows), 0)
    ax.set_xticks(
        np.arange(len(columns)) + 0.5,
        [shown_name(names[column]) for column in columns],
        rotation=90,
        fontsize=_TEXT,
        fontfamily=fonts,
        parse_math=False,
    )
    ax.set_yticks(
        np.arange(len(rows)) + 0.5,
        [shown_name(str(row)) for row in rows],
        fontfamily=fonts,
        parse_math=False,
    )
    ax.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def shown_name(name: str) -> str:
    """A name whose inner blanks stay blanks; a token's leading one is left out."""
    inner = name[1:] if name[:1] == " " and name.strip() else name
    return "".join(c if c == " " and name.strip() else shown(c) for c in inner)


def _check(cells: pd.DataFrame) -> None:
    check_table(cells, _NEEDED, "cells", IN_UNIT)
    if cells.duplicated(["row", "column"]).any():
        raise InputError("cells must hold one row a row and column; some hold two.")


def _order(cells: pd.DataFrame, name: str) -> list:
    return list(dict.fromkeys(cells[name]))


def _names(cells: pd.DataFrame) -> dict:
    label = "column_label" if "column_label" in cells else "column"
    return dict(zip(cells["column"], cells[label].astype(str), strict=True))


def _matrix(cells: pd.DataFrame, rows: list, columns: list) -> np.ndarray:
    wide = cells.pivot(index="row", columns="column", values="value")
    return wide.reindex(index=rows, columns=columns).to_numpy(float)


def _inches(ax: Axes) -> float:
    figure = ax.get_figure()
    assert figure is not None
    return float(figure.get_figwidth() * ax.get_position().width)


def _draw_cell(
    ax: Axes, i: int, j: int, value: float, norm: Normalize, numbered: bool
) -> None:
    place = (float(j), float(i), 1.0, 1.0)
    ink = draw_cell(ax, place, value, norm, edgecolor="white", linewidth=0.4)
    if not np.isfinite(value):
        return
    if numbered:
        ax.text(
            j + 0.5,
            i + 0.5,
            fixed(value, 2).replace("-", "\N{MINUS SIGN}"),
            fontsize=_TEXT,
            ha="center",
            va="center",
            color=ink,
        )
    elif value < 0:
        ends = ([j + 0.08, j + 0.92], [i + 0.9, i + 0.9])
        ax.plot(*ends, color=ink, linewidth=0.6, linestyle=NEGATIVE)


def heat_figure(
    cells: pd.DataFrame,
    *,
    title: str,
    words: str,
    note: str = "",
    x_label: str = "",
    y_label: str = "",
) -> Figure:
    """`heat_map` under its colour scale, broken into blocks where columns are many.

    Args:
        cells: as `heat_map`.
        title: whose cells they are.
        words: quantity of the scale; its unit is added.
        note: a line at the foot.
        x_label: what columns are.
        y_label: what rows are.

    Raises:
        InputError: as `heat_map`.
    """
    _check(cells)
    width = figure_width()
    rows, columns = _order(cells, "row"), _order(cells, "column")
    names = _names(cells)
    fonts = families([*names.values(), *map(str, rows)])
    left = max(text_widths([shown_name(str(row)) for row in rows], fonts, 8.0)) + 0.08
    left += 0.16 if y_label else 0.0
    room = width - left - 0.05
    # Columns as narrow as their upright names allow; a few get room for numbers.
    blocks = _blocks(columns, int(room / _NARROW))
    breadth = min(room / len(blocks[0]), 0.42)
    heading = wrapped(title, width, size=9.0)
    note = wrapped("; ".join(_notes(cells, breadth, note)), width, size=7.0)
    head = 0.16 * (heading.count("\n") + 1) + 0.06
    foot = 0.62 + (0.13 * (note.count("\n") + 1) if note else 0.0)
    deep = min(0.2, max(0.13, 1.6 / len(rows))) * len(rows)
    above = [
        max(text_widths([shown_name(names[column]) for column in block], fonts, _TEXT))
        + 0.06
        for block in blocks
    ]
    above[0] += 0.2 if x_label else 0.0
    height = head + sum(above) + (deep + 0.06) * len(blocks) + foot
    figure = Figure(figsize=(width, height))
    figure.suptitle(
        heading, y=1 - 0.03 / height, parse_math=False, linespacing=LINE_SPACING
    )
    norm = scale(cells["value"].to_numpy(float))
    top = height - head
    for block, over in zip(blocks, above, strict=True):
        top -= over + deep
        place = (left, top, breadth * len(block), deep)
        ax = figure.add_axes(
            [p / s for p, s in zip(place, (width, height) * 2, strict=True)]
        )
        part = cells[cells["column"].isin(block)]
        heat_map(_complete(part, rows, block), ax, norm=norm)
        ax.xaxis.set_label_position("top")
        ax.set_xlabel(x_label if block is blocks[0] else "", labelpad=4)
        ax.set_ylabel(y_label)
        top -= 0.06
    share = min(0.9, 2.4 / width)
    scale_place = ((1 - share) / 2, (foot - 0.2) / height, share, 0.08 / height)
    unit = cells["unit"].iloc[0]
    draw_scale(figure.add_axes(scale_place), norm, f"{words} ({unit})")
    at = {"ha": "center", "fontsize": 7, "linespacing": LINE_SPACING}
    figure.text(0.5, 0.03 / height, note, **at)
    return figure


def _blocks(columns: list, most: int) -> list[list]:
    """Columns in blocks of about equal length, at most so many each."""
    count = -(-len(columns) // max(most, 1))
    each = -(-len(columns) // count)
    return [columns[i : i + each] for i in range(0, len(columns), each)]


def _notes(cells: pd.DataFrame, breadth: float, note: str) -> list[str]:
    notes = []
    if any(name and not name.strip(" ") for name in _names(cells).values()):
        notes.append(f"{shown(' ')}:\N{NO-BREAK SPACE}a\N{NO-BREAK SPACE}blank")
    if (cells["value"] < 0).any() and breadth < _NUMBERED:
        notes.append("dashed line: below 0")
    full = cells["row"].nunique() * cells["column"].nunique()
    if cells["value"].notna().sum() < full:
        notes.append("hatched: no value")
    return [*notes, *([note] if note else [])]


def _complete(part: pd.DataFrame, rows: list, columns: list) -> pd.DataFrame:
    """Every row and column of the block, in the figure's order; new cells are empty."""
    whole = pd.MultiIndex.from_product([columns, rows], names=["column", "row"])
    names = _names(part)
    filled = part.set_index(["column", "row"]).reindex(whole).reset_index()
    labels = [names.get(column, str(column)) for column in filled["column"]]
    return filled.assign(column_label=labels, unit=part["unit"].iloc[0])
