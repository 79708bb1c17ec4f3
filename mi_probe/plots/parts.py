"""What the figures share: ceiling, null, legend, titles."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import re
import textwrap
from typing import TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from mi_probe.analysis.reading import STATUS_WORDS
from mi_probe.errors import InputError
from mi_probe.plots.style import INK, REFERENCE

Entry: TypeAlias = tuple[Artist, str]
"""A legend's handle and its label."""

LINE_SPACING = 0.95
"""STIX asks for a quarter of a line too much between lines."""

DRAWN = (
    *("value", "low", "high", "ceiling", "null_high", "unit", "x", "status"),
    *("extrapolated", "extrapolated_low", "extrapolated_high", "claim"),
)


def check_points(points: pd.DataFrame) -> None:
    """Refuse a table that `over_seeds` has not made, or an empty one.

    Raises:
        InputError: a column or every row is missing.
    """
    missing = [column for column in DRAWN if column not in points.columns]
    if missing:
        raise InputError(
            f"points lack the columns {', '.join(missing)}; "
            "pass results through mi_probe.analysis.summaries.over_seeds first."
        )
    if points.empty:
        raise InputError("points hold no rows; there is nothing to draw.")


def y_label(points: pd.DataFrame) -> str:
    """Quantity and unit."""
    return f"MI estimate ({points['unit'].iloc[0]})"


def ceiling_label(points: pd.DataFrame) -> str:
    """H(Y), with its value where all points share one."""
    values = sorted({f"{value:.3f}" for value in points["ceiling"].dropna()})
    value = f" = {values[0]} {points['unit'].iloc[0]}" if len(values) == 1 else ""
    return f"$H(Y)${value}"


def null_label(points: pd.DataFrame, what: str, percentile: str) -> str:
    """The permutation null, with the number of permutations where all share one."""
    counts = points.loc[points["null_high"].notna(), "n_permutations"].dropna().unique()
    times = f" {counts[0]:g}×" if len(counts) == 1 else ""
    # Below 20 draws the 95th percentile is the largest one; say that.
    high = "maximum" if len(counts) and counts.max() < 20 else percentile
    return f"$Y$ permuted{times}: {what}{high}"


def interval_label(points: pd.DataFrame) -> str:
    """What the error bars or bands are; empty where there are none."""
    over = [text for text in dict.fromkeys(points["interval"]) if text]
    if not over:
        return ""
    return f"95 % interval {over[0] if len(over) == 1 else 'over examples (and seeds)'}"


def flag_label(points: pd.DataFrame) -> str:
    """Why some markers are open; empty where none is."""
    flagged = [s for s in dict.fromkeys(points["status"]) if s != "ok"]
    words = ", ".join(STATUS_WORDS.get(s, s) for s in flagged)
    return f"flagged: {words}" if words else ""


def sample_label(panel: pd.DataFrame) -> str:
    """Rows, seeds and, where it applies, the warning that Y was in the input."""
    counts = sorted(panel["n_seeds"].unique())
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
    plural = "" if counts[-1] == 1 else "s"
    sizes = sorted(panel["n"].dropna().unique())
    n = f"n = {sizes[0]:,.0f}" if len(sizes) == 1 else f"n = {sizes[0]:,.0f}"
    if len(sizes) > 1:
        n += f" to {sizes[-1]:,.0f}"
    leak = (panel["gold_leak"].astype(str) == "True").any()
    return f"{n}, {seeds} seed{plural}" + (", gold answer in Z" if leak else "")


def flag_handle() -> Line2D:
    """Legend entry of a flagged estimate: an open marker."""
    return Line2D([], [], color=INK, marker="o", markerfacecolor="white", linestyle="")


def interval_handle(*, across: bool = False) -> Line2D:
    """Legend entry of an error bar, upright or lying."""
    mark = "_" if across else "|"
    return Line2D(
        [], [], color=INK, marker=mark, markersize=6, linestyle="", markeredgewidth=0.8
    )


def ceiling_handle() -> Line2D:
    """Legend entry of H(Y)."""
    return Line2D([], [], color=REFERENCE, linestyle=(0, (5, 2)), linewidth=0.9)


def draw_extrapolated(ax: Axes, x: np.ndarray, points: pd.DataFrame, colour: str) -> None:
    """The value at n -> infinity: a diamond with its own interval, or an open arrow.

    An arrow stands at the least that a value from below claims, where that is more than
    the bound shows already. Both are other numbers than the bound, so they are never
    joined to it by a line.
    """
    two_sided, raised = _drawn_limits(points)
    place = np.asarray(x, float)
    low, high = (points[f"extrapolated_{e}"].to_numpy(float) for e in ("low", "high"))
    if two_sided.any():
        ends = low[two_sided], high[two_sided]
        look = {"color": colour, "linewidth": 0.5, "linestyle": (0, (2, 1))}
        ax.vlines(place[two_sided], *ends, zorder=6.5, **look)
    value = points["extrapolated"].to_numpy(float)
    for chosen, height, mark, face, edge in (
        (two_sided, value, "D", colour, INK),
        (raised, low, "^", "white", colour),
    ):
        if chosen.any():
            ax.plot(
                place[chosen],
                height[chosen],
                mark,
                markersize=2.4,
                markerfacecolor=face,
                markeredgecolor=edge,
                markeredgewidth=0.4,
                zorder=7,
            )


def _drawn_limits(points: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which values at n -> infinity are drawn as diamonds, and which as arrows."""
    claim = points["claim"].astype(str)
    more = points["extrapolated_low"].astype(float) > points["value"].astype(float)
    return (claim == "two_sided").to_numpy(), ((claim == "at_least") & more).to_numpy()


def extrapolation_entries(points: pd.DataFrame) -> list[Entry]:
    """Legend of the diamonds and of the arrows; none of what is not drawn."""
    two_sided, raised = _drawn_limits(points)
    entries: list[Entry] = []
    for chosen, shape, face, words in (
        (two_sided, "D", "0.5", "value at $n \\to \\infty$"),
        (raised, "^", "white", "at least, at $n \\to \\infty$"),
    ):
        if chosen.any():
            mark = Line2D([], [], marker=shape, linestyle="", markersize=2.4, color="none")
            mark.set(markerfacecolor=face, markeredgecolor=INK, markeredgewidth=0.4)
            entries.append((mark, words))
    return entries


def figure_legends(figure: Figure, *blocks: list[Entry]) -> None:
    """Legends below the axes, where they cover no data; the figure grows by them.

    Each block is a legend of its own, in as many columns as fit, the first on top:
    short names then do not take the width of long notes. Call it last.
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
    figure.set_size_inches(width, height + bottom)
    share = bottom / (height + bottom)
    engine = figure.get_layout_engine()
    kept = engine.get() if isinstance(engine, ConstrainedLayoutEngine) else {}
    room = {"rect": (0, share, 1, 1 - share)}
    figure.set_layout_engine("constrained", **(kept | room))


def wrapped(text: str, inches: float, *, size: float = 8.0) -> str:
    """`text` in lines that fit `inches` at `size` points."""
    letters = max(12, int(inches / (0.0062 * size)))
    # "n = 600" stays together.
    text = re.sub(r"(\S) = (\S)", "\\1\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}\\2", text)
    return "\n".join(textwrap.wrap(text, letters, break_long_words=True))


def plain_title(ax: Axes, text: str, inches: float) -> None:
    """Title whose text is taken as it is: a model's name may hold a dollar sign."""
    size = float(mpl.rcParams["axes.titlesize"])
    ax.set_title(
        wrapped(text, inches, size=size),
        loc="left",
        parse_math=False,
        linespacing=LINE_SPACING,
    )
