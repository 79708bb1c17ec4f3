"""The paper's word table with its intervals: what words say of what was predicted."""

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

from mi_probe.errors import InputError
from mi_probe.plots.control_marks import control_entries, control_marks
from mi_probe.plots.glyphs import families, shown
from mi_probe.plots.heat_map import shown_name
from mi_probe.plots.marks import DASHES, draw_intervals, marker_handle
from mi_probe.plots.parts import (
    LINE_SPACING,
    Entry,
    ceiling_handle,
    figure_legends,
    interval_handle,
    plain_title,
    wrapped,
)
from mi_probe.plots.style import INK, REFERENCE, ViewStyle, view_style

QUANTITIES = {
    "value": ("low", "high", "of its state, $i(y; z_t)$", view_style("full")),
    "increment": (
        *("increment_low", "increment_high"),
        *("added by it, the increment", ViewStyle("#D55E00", "D", "-", "")),
    ),
}
"""What is drawn of a word: its interval's columns, what it is called, its look."""
LEAST_N = 20
"""Occurrences that a word must have to be chosen, where any word has as many."""
LINE = 0.19
"""Inches from one word to the next."""
_ASIDE = 0.17
"""Share of a line by which the two quantities stand above and below its middle."""
_NEEDED = ("predicted_word", "word", "n", "value", "low", "high", "unit")


def chosen_words(words: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """Of each predicted word, those words whose intervals end highest below, in order.

    Words of fewer occurrences than `LEAST_N` are left out, unless all are as rare. Rare
    words do not lead by chance alone then; and still the chosen lean high.

    Raises:
        InputError: a column missing, or no row has a value.
    """
    _check(words)
    kept = words[words["value"].notna()]
    often = kept[kept["n"] >= LEAST_N]
    kept = kept if often.empty else often
    if kept.empty:
        raise InputError("words must hold one with a value; none has.")
    order = kept.assign(_least=kept["low"].fillna(-np.inf))
    order = order.sort_values("_least", ascending=False, kind="stable")
    first = order.groupby("predicted_word").head(most)
    first = first.sort_values("predicted_word", kind="stable")
    return first.drop(columns="_least").reset_index(drop=True)


def word_dots(words: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one predicted word's lines of `in_unit(words)`: two marks a word, with n.

    A mark whose interval holds 0, or that has none, is hollow. -log p of the predicted
    word, which no value may pass, is dashed. Nothing is clipped.

    Raises:
        InputError: a column missing, no row, or several predicted words.
    """
    _check(words)
    if words["predicted_word"].nunique() > 1:
        raise InputError(
            "words must be of one predicted word; use word_dot_figure for several."
        )
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.gca()
    at = np.arange(len(words), dtype=float)
    ax.axvline(0, color=REFERENCE, linewidth=0.6, zorder=1)
    if "ceiling" in words and words["ceiling"].notna().any():
        most = float(words["ceiling"].mean())
        ax.axvline(most, color=REFERENCE, linestyle=DASHES, linewidth=0.9, zorder=1)
    drawn = _drawn(words)
    for i, name in enumerate(drawn):
        low, high, _, look = QUANTITIES[name]
        places = at + 2 * _ASIDE * (i - (len(drawn) - 1) / 2)
        draw_intervals(ax, places, words[low], words[high], look.colour, across=True)
        sure = ((words[low] > 0) | (words[high] < 0)).to_numpy()
        for chosen, face in ((sure, look.colour), (~sure, "white")):
            ax.plot(
                words[name][chosen],
                places[chosen],
                look.marker,
                color=look.colour,
                markerfacecolor=face,
                markersize=3,
                markeredgewidth=0.8,
                zorder=5,
            )
    control_marks(ax, at, words)
    names = [str(word) for word in words["word"]]
    ax.set_yticks(at, list(map(shown, names)), parse_math=False, fontfamily=families(names))
    ax.tick_params(axis="y", length=0)
    for label in ax.get_yticklabels():
        label.set_va("center_baseline")
    beside = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points"}
    beside |= {"xytext": (3, 0), "va": "center", "fontsize": 7, "annotation_clip": False}
    for height, n in zip(at, words["n"], strict=True):
        ax.annotate(f"{n:,.0f}", (1, height), **beside)
    ax.annotate("n", (1, -0.95), **beside)
    ax.set_ylim(len(words) - 0.4, -0.6)
    ax.locator_params(axis="x", nbins=5)
    return ax


def _check(words: pd.DataFrame) -> None:
    missing = [column for column in _NEEDED if column not in words]
    if missing:
        raise InputError(
            f"words lack the columns {', '.join(missing)}; pass a table of words through "
            "mi_probe.analysis.units.in_unit first."
        )
    if words.empty:
        raise InputError("words hold no rows; there is nothing to draw.")


def _drawn(words: pd.DataFrame) -> list[str]:
    return [
        name
        for name, (low, high, _, _) in QUANTITIES.items()
        if {name, low, high} <= set(words) and words[name].notna().any()
    ]


def word_dot_figure(
    words: pd.DataFrame, *, title: str, total: int, rows: str = "predicted"
) -> Figure:
    """`word_dots` of `chosen_words`, a panel a predicted word, as wide as `style` says.

    Args:
        words: that are shown.
        title: whose they are.
        total: how many words they were chosen of.
        rows: what a panel is of: ``label`` where the model predicted nothing.

    Raises:
        InputError: as `word_dots`.
    """
    _check(words)
    width = mpl.rcParams["figure.figsize"][0]
    panels = [panel for _, panel in words.groupby("predicted_word", sort=False)]
    columns = 1 if width < 4.5 else min(2, len(panels))
    deep = -(-len(panels) // columns)
    tall = [
        max(len(panel) for panel in panels[i * columns : (i + 1) * columns])
        for i in range(deep)
    ]
    height = sum(LINE * lines + 0.35 for lines in tall) + 0.75
    figure = Figure(figsize=(width, height), layout="constrained")
    heading = wrapped(title, width, size=9.0)
    figure.suptitle(heading, parse_math=False, linespacing=LINE_SPACING)
    axes = figure.subplots(
        deep, columns, squeeze=False, sharex=True, height_ratios=[n + 1 for n in tall]
    ).ravel()
    for i, (ax, panel) in enumerate(zip(axes, panels, strict=False)):
        word_dots(panel.reset_index(drop=True), ax)
        name = shown_name(str(panel["predicted_word"].iloc[0]))
        plain_title(ax, f"{rows}: {name}", 0.8 * width / columns)
        last = i + columns >= len(panels)
        ax.tick_params(labelbottom=last)
        if last:
            ax.set_xlabel(f"information of the word ({words['unit'].iloc[0]})")
    for ax in axes[len(panels) :]:
        ax.remove()
    looks: list[Entry] = [
        (marker_handle(QUANTITIES[name][3]), QUANTITIES[name][2]) for name in _drawn(words)
    ]
    looks += control_entries(words)
    figure_legends(figure, looks, _notes(words, total))
    return figure


def _notes(words: pd.DataFrame, total: int) -> list[Entry]:
    notes: list[Entry] = []
    if "ceiling" in words and words["ceiling"].notna().any():
        notes.append((ceiling_handle(), "$-\\log p(y)$, the most that can be known"))
    if words[["low", "high"]].notna().all(axis=1).any():
        notes.append((interval_handle(across=True), "95 % interval over sentences"))
    drawn = _drawn(words)
    ends = [(words[QUANTITIES[name][0]], words[QUANTITIES[name][1]]) for name in drawn]
    if any((~((low > 0) | (high < 0))).any() for low, high in ends):
        hollow = marker_handle(ViewStyle(INK, "o", "-", ""), hollow=True)
        notes.append((hollow, "hollow: the interval holds 0"))
    shown_words = words["word"].nunique()
    if shown_words < total:
        blank = marker_handle(ViewStyle("none", "", "-", ""))
        said = f"{shown_words} of {total} words, of the highest lower bounds: lean high"
        notes.append((blank, said))
    return notes
