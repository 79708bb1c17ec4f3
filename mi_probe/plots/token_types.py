"""Information by token type: one line a type, with its interval and count."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mi_probe.errors import InputError
from mi_probe.plots.control_marks import control_entries, control_marks
from mi_probe.plots.glyphs import BEGINS, families, shown_token
from mi_probe.plots.marks import DASHES, draw_intervals, marker_handle
from mi_probe.plots.parts import (
    LINE_SPACING,
    Entry,
    ceiling_handle,
    ceiling_label,
    figure_legends,
    interval_handle,
    wrapped,
)
from mi_probe.plots.style import REFERENCE, view_style

POOLED = "rarer types together"
"""What the line of pooled types is called."""
_NEEDED = ("token", "n", "value", "low", "high", "unit")


def most_frequent(types: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """The types with most occurrences, and the pooled rest last; not chosen by value.

    Raises:
        InputError: a column missing, or no row.
    """
    _check(types)
    pooled = pooled_types(types)
    own = types[~pooled].sort_values("n", ascending=False, kind="stable")
    return pd.concat([own[:most], types[pooled]], ignore_index=True)


def pooled_types(types: pd.DataFrame) -> pd.Series:
    """Which lines are rare types together; none where the table does not say."""
    if "pooled" not in types:
        return pd.Series(False, index=types.index)
    return types["pooled"].astype(str).str.lower() == "true"


def type_forest(types: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw I(Y; Z_t) of each token type, in the order of the table, with its count.

    A token that no blank stands before is marked. The controls stand beneath. Pooled types
    have a square. H(Y) of each type's own sentences is dashed.

    Raises:
        InputError: a column missing, or no row.
    """
    _check(types)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    pooled = pooled_types(types).to_numpy()
    at = np.arange(len(types), dtype=float)
    tokens = ["" if pd.isna(token) else str(token) for token in types["token"]]
    ax.axvline(0, color=REFERENCE, linewidth=0.6, zorder=1)
    if "ceiling" in types:
        # Each type's sentences have their own H(Y): a piece a line.
        look = {"color": REFERENCE, "linestyle": DASHES, "linewidth": 0.9, "zorder": 1}
        ax.vlines(types["ceiling"], at - 0.5, at + 0.5, **look)
    for chosen, view in ((~pooled, "full"), (pooled, "mean")):
        look = view_style(view)
        rows = types[chosen]
        ends = rows["low"], rows["high"]
        draw_intervals(ax, at[chosen], *ends, look.colour, across=True)
        ax.plot(rows["value"], at[chosen], look.marker, color=look.colour, zorder=5)
    control_marks(ax, at, types)
    names = [
        POOLED if rest else shown_token(token)
        for rest, token in zip(pooled, tokens, strict=True)
    ]
    ax.set_yticks(at, names, parse_math=False, fontfamily=families(tokens))
    ax.tick_params(axis="y", length=0)
    for label in ax.get_yticklabels():
        # By the line of writing: a comma's own middle is lower than a word's.
        label.set_va("center_baseline")
    for height, n in zip(at, types["n"], strict=True):
        ax.annotate(
            f"{n:,.0f}",
            (1, height),
            xycoords=ax.get_yaxis_transform(),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            annotation_clip=False,
        )
    ax.annotate(
        "n",
        (1, -1),
        xycoords=ax.get_yaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        annotation_clip=False,
    )
    ax.set_ylim(len(types) - 0.4, -0.6)
    ax.set_xlabel(f"MI estimate of the token's state ({types['unit'].iloc[0]})")
    ax.locator_params(axis="x", nbins=5)
    return ax


def _check(types: pd.DataFrame) -> None:
    missing = [column for column in _NEEDED if column not in types]
    if missing:
        raise InputError(
            f"types lack the columns {', '.join(missing)}; pass a table of types through "
            "mi_probe.analysis.units.in_unit first."
        )
    if types.empty:
        raise InputError("types hold no rows; there is nothing to draw.")


def type_figure(types: pd.DataFrame, *, title: str, total: int) -> Figure:
    """`type_forest` of the `most_frequent`; `total` is how many types there were.

    Raises:
        InputError: as `type_forest`.
    """
    _check(types)
    width = mpl.rcParams["figure.figsize"][0]
    heading = wrapped(title, width, size=9.0)
    height = 0.15 * len(types) + 0.6 + 0.15 * (heading.count("\n") + 1)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(heading, parse_math=False, linespacing=LINE_SPACING)
    ax = type_forest(types, figure.subplots())
    pooled = pooled_types(types)
    if (~pooled).sum() < total:
        words = f"the {(~pooled).sum()} most frequent of {total} types"
        ax.set_xlabel(f"{ax.get_xlabel()}\n{words}", linespacing=LINE_SPACING)
    entries: list[Entry] = []
    if "ceiling" in types and types["ceiling"].notna().any():
        entries.append((ceiling_handle(), ceiling_label(types)))
    if types[["low", "high"]].notna().all(axis=1).any():
        entries.append((interval_handle(across=True), "95 % interval over examples"))
    if pooled.any():
        entries.append((marker_handle(view_style("mean")), POOLED))
    entries += control_entries(types)
    if types["token"].astype(str).str.match(r"\w").any():
        entries.append((Patch(alpha=0), BEGINS))
    figure_legends(figure, entries)
    return figure
