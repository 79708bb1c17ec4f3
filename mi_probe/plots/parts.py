"""What the figures share: labels, and legends with their entries."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from typing import TypeAlias

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from mi_probe.analysis.reading import STATUS_WORDS
from mi_probe.plots.panels import check_table
from mi_probe.plots.style import INK, REFERENCE

Entry: TypeAlias = tuple[Artist, str]
"""A legend's handle and its label."""

DRAWN = (
    *("value", "low", "high", "ceiling", "null_high", "unit", "x", "status"),
    *("extrapolated", "extrapolated_low", "extrapolated_high", "claim"),
)


def check_points(points: pd.DataFrame) -> None:
    """Refuse a table that `over_seeds` has not made, or an empty one.

    Raises:
        InputError: a column or every row is missing.
    """
    made = "pass results through mi_probe.analysis.summaries.over_seeds first"
    check_table(points, DRAWN, "points", made)


def has(points: pd.DataFrame, *columns: str) -> bool:
    """Whether the columns are there, and some row has a value in each of them."""
    there = set(columns) <= set(points.columns)
    return there and bool(points[list(columns)].notna().all(axis=1).any())


def count_words(sizes: pd.Series) -> str:
    """Numbers of rows in words: "300", or "50 to 300" where they differ."""
    least, most = sizes.min(), sizes.max()
    return f"{least:,.0f}" + (f" to {most:,.0f}" if least < most else "")


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
    leak = (panel["gold_leak"].astype(str) == "True").any()
    return f"n = {count_words(panel['n'])}, {seeds} seed{plural}" + (
        ", gold answer in Z" if leak else ""
    )


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


def ceiling_entries(points: pd.DataFrame) -> list[Entry]:
    """Legend of H(Y), where it is known."""
    return [(ceiling_handle(), ceiling_label(points))] if has(points, "ceiling") else []


def interval_entries(
    points: pd.DataFrame, words: str, *, across: bool = False
) -> list[Entry]:
    """Legend of error bars, where there are some."""
    if not has(points, "low", "high"):
        return []
    return [(interval_handle(across=across), words)]


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
