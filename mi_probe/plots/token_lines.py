"""Token types, words and spans, one a line: values with intervals, counts and controls."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mi_probe.errors import InputError
from mi_probe.plots.captions import has, is_true
from mi_probe.plots.controls import twin_entries
from mi_probe.plots.glyphs import BEGINS, families, shown, shown_token
from mi_probe.plots.heat_map import shown_name
from mi_probe.plots.mark_lines import (
    Mark,
    draw_mark,
    draw_named_lines,
    hollow_entries,
    known_marks,
    mark_entries,
)
from mi_probe.plots.marks import (
    ceiling_entries,
    ceiling_handle,
    interval_entries,
    marker_handle,
)
from mi_probe.plots.page import (
    IN_UNIT,
    LINE_SPACING,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    head,
    panels,
    plain_title,
    side_by_side,
)
from mi_probe.plots.style import ViewStyle, view_style
from mi_probe.plots.token_maps import SPANS, TYPES, WORDS

POOLED = "rarer types together"
"""What the line of pooled types is called."""
LINE = 0.2
"""Inches from one line to the next."""


_ASIDE = 0.17
"""Share of a line by which two marks stand above and below its middle."""
_SECOND = ViewStyle("#D55E00", "D", "-", "")
_STATE = Mark("value", "of its state, $i(y; z_t)$", view_style("full"))
_POOLED = replace(_STATE, look=view_style("mean"))
_OF_WORDS = (
    _STATE,
    Mark("increment", "added by it, the increment", _SECOND, "increment_"),
)
_OF_SPANS = (
    replace(_STATE, words="became readable in it, over all rows"),
    Mark(
        "cumulative",
        "known by its end, $i(y; z_{\\leq t})$, over its n rows",
        _SECOND,
        "cumulative_",
    ),
)


def type_forest(types: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw I(Y; Z_t) of each token type, in the order of the table, with its count.

    A token that no blank stands before is marked. The controls stand beneath. Pooled types
    have a square. H(Y) of each type's own sentences is dashed.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(types, TYPES, "types", IN_UNIT)
    ax = axes_or_current(ax)
    pooled = is_true(types, "pooled").to_numpy()
    tokens = ["" if pd.isna(token) else str(token) for token in types["token"]]
    at = np.arange(len(types), dtype=float)
    for chosen, mark in ((~pooled, _STATE), (pooled, _POOLED)):
        draw_mark(ax, at[chosen], types[chosen], mark)
    names = [
        POOLED if rest else shown_token(token)
        for rest, token in zip(pooled, tokens, strict=True)
    ]
    draw_named_lines(ax, types, names, families(tokens))
    ax.set_xlabel(f"MI estimate of the token's state ({types['unit'].iloc[0]})")
    return ax


def word_dots(words: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one predicted word's lines of `in_unit(words)`: two marks a word, with n.

    -log p of the predicted word, which no value may pass, is dashed.

    Raises:
        InputError: a column missing, no row, or several predicted words.
    """
    check_table(words, WORDS, "words", IN_UNIT)
    if words["predicted_word"].nunique() > 1:
        raise InputError(
            "words must be of one predicted word; use word_dot_figure for several."
        )
    return _drawn(axes_or_current(ax), words, _OF_WORDS, words["word"], shown)


def span_dots(lines: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one kind's `span_lines`: added and known by the end, with n and controls.

    Raises:
        InputError: a column missing, no row, or several kinds.
    """
    check_table(lines, SPANS, "spans", IN_UNIT)
    if lines["kind"].nunique() > 1:
        raise InputError("lines must be of one kind of spans; use span_figure for several.")
    return _drawn(axes_or_current(ax), lines, _OF_SPANS, lines["line"], shown_name)


def _drawn(
    ax: Axes,
    lines: pd.DataFrame,
    marks: Sequence[Mark],
    names: pd.Series,
    shown_as: Callable[[str], str],
) -> Axes:
    at = np.arange(len(lines), dtype=float)
    known = known_marks(lines, marks)
    for i, mark in enumerate(known):
        draw_mark(ax, at + 2 * _ASIDE * (i - (len(known) - 1) / 2), lines, mark)
    texts = [str(name) for name in names]
    draw_named_lines(ax, lines, [shown_as(text) for text in texts], families(texts))
    return ax


def type_figure(types: pd.DataFrame, *, title: str, total: int) -> Figure:
    """`type_forest` of the `most_frequent`; `total` is how many types there were.

    Raises:
        InputError: as `type_forest`.
    """
    check_table(types, TYPES, "types", IN_UNIT)
    figure, (ax,) = panels(1, 1, 0.15 * len(types), 0.75)
    head(figure, title)
    type_forest(types, ax)
    pooled = is_true(types, "pooled")
    if (~pooled).sum() < total:
        words = f"the {(~pooled).sum()} most frequent of {total} types"
        ax.set_xlabel(f"{ax.get_xlabel()}\n{words}", linespacing=LINE_SPACING)
    entries = ceiling_entries(types)
    entries += interval_entries(types, "95 % interval over examples", across=True)
    if pooled.any():
        entries.append((marker_handle(view_style("mean")), POOLED))
    entries += [*twin_entries(types), *hollow_entries(types, [_STATE])]
    if types["token"].astype(str).str.match(r"\w").any():
        entries.append((Patch(alpha=0), BEGINS))
    figure_legends(figure, entries)
    return figure


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
    check_table(words, WORDS, "words", IN_UNIT)
    parts = [
        (f"{rows}: {shown_name(str(name))}", part)
        for name, part in _parts(words, "predicted_word")
    ]
    label = f"information of the word ({words['unit'].iloc[0]})"
    figure = _figure(parts, word_dots, title, label, side_by_side(len(parts)))
    known = known_marks(words, _OF_WORDS)
    notes: list[Entry] = []
    if has(words, "ceiling"):
        notes.append((ceiling_handle(), "$-\\log p(y)$, the most that can be known"))
    notes += interval_entries(words, "95 % interval over sentences", across=True)
    notes += hollow_entries(words, known)
    count = words["word"].nunique()
    if count < total:
        said = f"{count} of {total} words, of the highest lower bounds: lean high"
        notes.append((Patch(alpha=0), said))
    figure_legends(figure, [*mark_entries(known), *twin_entries(words)], notes)
    return figure


def span_figure(lines: pd.DataFrame, *, title: str) -> Figure:
    """`span_dots` of `span_lines`, a panel a kind, as wide as `style` says.

    Raises:
        InputError: as `span_dots`.
    """
    check_table(lines, SPANS, "spans", IN_UNIT)
    label = f"information ({lines['unit'].iloc[0]})"
    figure = _figure(_parts(lines, "kind"), span_dots, title, label, 1)
    known = known_marks(lines, _OF_SPANS)
    notes = interval_entries(
        lines, "95 % interval over examples", across=True
    ) + ceiling_entries(lines)
    notes += [*twin_entries(lines), *hollow_entries(lines, known)]
    figure_legends(figure, [*mark_entries(known), *notes])
    return figure


def _parts(table: pd.DataFrame, by: str) -> list[tuple[str, pd.DataFrame]]:
    groups = table.groupby(by, sort=False)
    return [(str(name), part.reset_index(drop=True)) for name, part in groups]


def _figure(
    parts: Sequence[tuple[str, pd.DataFrame]],
    draw: Callable[[pd.DataFrame, Axes], Axes],
    title: str,
    label: str,
    columns: int,
) -> Figure:
    """A panel a part, in rows as tall as their most lines."""
    counts = [len(part) for _, part in parts]
    tall = [max(counts[i : i + columns]) for i in range(0, len(parts), columns)]
    height = sum(LINE * lines + 0.35 for lines in tall) / len(tall)
    ratios = [lines + 1 for lines in tall]
    figure, axes = panels(
        len(parts), columns, height, 0.75, sharex=True, height_ratios=ratios
    )
    head(figure, title)
    for i, (ax, (name, part)) in enumerate(zip(axes, parts, strict=True)):
        draw(part, ax)
        plain_title(ax, name, 0.8 * figure_width() / columns)
        last = i + columns >= len(parts)
        ax.tick_params(labelbottom=last)
        ax.set_xlabel(label if last else "")
    return figure
