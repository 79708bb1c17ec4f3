"""A figure's page: panels, titles, names, legends; and what a table must have."""

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any, TypeAlias

import matplotlib as mpl
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from mi_probe.errors import InputError
from mi_probe.plots.style import styled

Entry: TypeAlias = tuple[Artist, str]
"""A legend's handle and its label."""

LINE_SPACING = 0.95
"""STIX asks for a quarter of a line too much between lines."""
NARROW = 4.5
"""Figures below this width in inches stack their panels."""
_LETTER = 0.055
"""Inches that a letter takes at 8 pt, on average."""
FILL = 0.66
"""Share of a figure's height that its axes have at least."""
IN_UNIT = "pass them through mi_probe.analysis.units.in_unit first"
"""What to do with a table that a command wrote."""


def check_table(table: pd.DataFrame, needed: Sequence[str], what: str, made: str) -> None:
    """Refuse a table without the columns that a figure needs, or without a row.

    Args:
        table: what is to be drawn.
        needed: its columns.
        what: a message calls it.
        made: what to do to have them.

    Raises:
        InputError: a column or every row is missing.
    """
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise InputError(f"{what} lack the columns {', '.join(missing)}; {made}.")
    if table.empty:
        raise InputError(f"{what} hold no rows; there is nothing to draw.")


def axes_or_current(ax: Axes | None) -> Axes:
    """The axes that were given, or pyplot's current ones."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.gca()


def figure_width() -> float:
    """Inches that `style` gives a figure."""
    return float(mpl.rcParams["figure.figsize"][0])


def side_by_side(count: int) -> int:
    """How many panels stand in a row: two where the page is wide enough."""
    return 1 if figure_width() < NARROW else min(2, count)


def panels(
    count: int, columns: int, tall: float, more: float, **told: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, row by row; places that are left over stay empty.

    Args:
        count: of panels.
        columns: of panels side by side.
        tall: inches of a row.
        more: inches for what stands above and below all rows.
        told: what `Figure.subplots` is told.
    """
    rows = -(-count // columns)
    size = (figure_width(), rows * tall + more)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **told).ravel().tolist()
    for ax in axes[count:]:
        ax.remove()
    return figure, axes[:count]


def pairs_of_panels(
    count: int, columns: int, tall: float, more: float, ratios: tuple[float, float]
) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """The same of pairs that stand over each other; all that are above share their y axis.

    Args:
        count: of pairs.
        columns: of pairs side by side.
        tall: inches of a pair.
        more: inches for what stands above and below all of them.
        ratios: the heights of a pair's two panels.
    """
    rows = -(-count // columns)
    size = (figure_width(), rows * tall + more)
    figure = Figure(figsize=size, layout="constrained")
    told = {"squeeze": False, "height_ratios": list(ratios) * rows}
    axes = figure.subplots(2 * rows, columns, **told)
    pairs = [
        (axes[2 * (i // columns), i % columns], axes[2 * (i // columns) + 1, i % columns])
        for i in range(rows * columns)
    ]
    for above, below in pairs[1:count]:
        # Before anything is drawn: limits that are shared later clip.
        above.sharey(axes[0, 0])
        below.sharey(axes[1, 0])
    for ax in (ax for pair in pairs[count:] for ax in pair):
        ax.remove()
    return figure, pairs[:count]


def wrapped(text: str, inches: float, *, size: float = 8.0) -> str:
    """`text` in lines that fit `inches` at `size` points."""
    letters = max(12, int(inches / (0.0062 * size)))
    # "n = 600" stays together.
    text = re.sub(r"(\S) = (\S)", "\\1\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}\\2", text)
    return "\n".join(textwrap.wrap(text, letters, break_long_words=True))


def text_widths(texts: Sequence[str], fonts: Sequence[str], size: float) -> list[float]:
    """Inches that each text takes at `size` points."""
    figure = Figure(dpi=300)
    renderer = FigureCanvasAgg(figure).get_renderer()
    look: dict[str, Any] = {"fontsize": size, "fontfamily": fonts, "parse_math": False}
    found: dict[str, float] = {}
    for text in dict.fromkeys(texts):
        extent = figure.text(0, 0, text, **look).get_window_extent(renderer)
        found[text] = extent.width / 300
    return [found[text] for text in texts]


def plain_title(ax: Axes, text: str, inches: float) -> None:
    """Title whose text is taken as it is: a model's name may hold a dollar sign.

    Left out where `style` wants no titles and no other panel stands beside this one.
    """
    figure = ax.get_figure(root=True)
    if not styled().titles and figure is not None and len(figure.axes) == 1:
        return
    size = float(mpl.rcParams["axes.titlesize"])
    ax.set_title(
        wrapped(text, inches, size=size),
        loc="left",
        parse_math=False,
        linespacing=LINE_SPACING,
    )


def head(figure: Figure, title: str) -> None:
    """Title over a whole figure, taken as it is; none where `style` wants none."""
    if not styled().titles:
        return
    figure.suptitle(
        wrapped(title, figure.get_figwidth(), size=9.0),
        parse_math=False,
        linespacing=LINE_SPACING,
    )


def fitted_names(
    names: list[str], room: float, *, size: float = 8.0
) -> tuple[list[str], float]:
    """Names broken to fit `room` inches each, and the slant that they still need.

    Words are broken only where they are longer than a slanted name may be.

    Args:
        names: in any order.
        room: inches from one name to the next.
        size: of the letters, in points.
    """
    letter = _LETTER * size / 8
    broken = ["\n".join(_pieces(name, int(room / letter))) for name in names]
    longest = max(len(line) for name in broken for line in name.splitlines())
    if longest * letter <= room:
        return broken, 0.0
    # Slanted lines of one name need half an inch to stay clear of the next name's.
    limit = 16 if room > 0.5 else 32
    return ["\n".join(_pieces(name, limit, cut=True)) for name in names], 30.0


def _pieces(name: str, letters: int, *, cut: bool = False) -> list[str]:
    """Lines of at most `letters`, broken after a dash, underscore, comma or blank."""
    lines = [""]
    for part in re.findall(r"[^-_, ]*[-_, ]*", name):
        while cut and len(part) > letters:
            lines += [part[:letters], ""]
            part = part[letters:]
        if len(lines[-1]) + len(part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines if line.strip()]


def slant_names(ax: Axes, slant: float) -> None:
    """Turn the names under an axis, so that they end at their ticks."""
    ax.tick_params(axis="x", rotation=slant)
    for label in ax.get_xticklabels() if slant else []:
        label.set(ha="right", rotation_mode="anchor")


def figure_legends(figure: Figure, *blocks: list[Entry]) -> None:
    """Legends below the axes, where they cover no data; the figure grows by them.

    Each block is a legend of its own, in as many columns as fit, the first on top:
    short names then do not take the width of long notes. The axes fill `FILL` of the height
    then. Call it last.
    """
    width, height = figure.get_size_inches()
    renderer = FigureCanvasAgg(figure).get_renderer()
    bottom = 0.02
    for block in reversed([b for b in blocks if b]):
        # Balanced: four entries are 4, 2 x 2 or one column, never 3 + 1.
        for columns in dict.fromkeys(-(-len(block) // r) for r in range(1, 99)):
            legend = figure.legend(
                [handle for handle, _ in block],
                [label for _, label in block],
                ncols=columns,
                loc="lower center",
                bbox_to_anchor=(width / 2, bottom),
                bbox_transform=figure.dpi_scale_trans,
                borderaxespad=0,
                borderpad=0.1,
            )
            size = legend.get_window_extent(renderer)
            if size.width <= (width - 0.04) * figure.dpi or columns == 1:
                bottom += size.height / figure.dpi + 0.02
                break
            legend.remove()
    _make_room(figure, bottom, height + bottom)
    # The axes take what titles, labels and legends leave: of little, the page grows. What
    # they leave changes a little with it.
    for _ in range(3):
        figure.draw_without_rendering()
        if (covered := _covered(figure)) >= FILL:
            break
        needed = (1 - covered) * figure.get_figheight() / (1 - FILL)
        # The layout's solver is not exact to the last bit; hundredths of an inch are.
        _make_room(figure, bottom, math.ceil(100 * needed) / 100)


def _covered(figure: Figure) -> float:
    """Share of the figure's height at which some axes stand."""
    covered, top = 0.0, 0.0
    for low, high in sorted(tuple(ax.get_position().intervaly) for ax in figure.axes):
        covered += max(0.0, high - max(low, top))
        top = max(top, high)
    return covered


def _make_room(figure: Figure, inches: float, height: float) -> None:
    """A figure of this height, whose lowest inches the layout leaves free."""
    figure.set_figheight(height)
    engine = figure.get_layout_engine()
    kept = engine.get() if isinstance(engine, ConstrainedLayoutEngine) else {}
    room = {"rect": (0, inches / height, 1, 1 - inches / height)}
    figure.set_layout_engine("constrained", **(kept | room))
