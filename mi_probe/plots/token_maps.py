"""Tokens in a figure: which lines of a table are drawn, and heat maps of them."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mi_probe.errors import InputError
from mi_probe.plots.captions import count_words, is_true
from mi_probe.plots.controls import noise_note
from mi_probe.plots.heat_map import heat_figure
from mi_probe.plots.page import IN_UNIT, check_table

LEAST_N = 20
"""Occurrences that a word must have to be chosen, where any word has as many."""
TYPES = ("token", "n", "value", "low", "high", "unit")
"""Columns of a table of token types that are drawn."""
WORDS = ("predicted_word", "word", "n", "value", "low", "high", "unit")
SPANS = ("kind", "span", "number", "n", "value", "low", "high", "cumulative", "unit")


def most_frequent(types: pd.DataFrame, most: int = 20) -> pd.DataFrame:
    """The types with most occurrences, and the pooled rest last; not chosen by value.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(types, TYPES, "types", IN_UNIT)
    pooled = is_true(types, "pooled")
    own = types[~pooled].sort_values("n", ascending=False, kind="stable")
    return pd.concat([own[:most], types[pooled]], ignore_index=True)


def chosen_words(words: pd.DataFrame, most: int = 8) -> pd.DataFrame:
    """Of each predicted word, those words whose intervals end highest below, in order.

    Words of fewer occurrences than `LEAST_N` are left out, unless all are as rare. Rare
    words do not lead by chance alone then; and still the chosen lean high.

    Raises:
        InputError: a column missing, or no row has a value.
    """
    check_table(words, WORDS, "words", IN_UNIT)
    kept = words[words["value"].notna()]
    often = kept[kept["n"] >= LEAST_N]
    kept = kept if often.empty else often
    if kept.empty:
        raise InputError("words must hold one with a value; none has.")
    order = kept.sort_values("low", ascending=False, kind="stable", na_position="last")
    first = order.groupby("predicted_word").head(most)
    return first.sort_values("predicted_word", kind="stable", ignore_index=True)


def span_lines(spans: pd.DataFrame) -> pd.DataFrame:
    """The lines that are drawn: numbered spans where a row has several, else names.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(spans, SPANS, "spans", IN_UNIT)
    several = spans.groupby(["kind", "span"])["number"].transform("max") > 1
    kept = spans[np.where(several, spans["number"] > 0, spans["number"] == 0)]
    names = kept["span"] + kept["number"].map(lambda n: f" {n:g}" if n else "")
    # The rest is no span: it stands last.
    kept = kept.assign(line=names)
    kept = kept.sort_values("span", key=lambda span: span.eq("(rest)"), kind="stable")
    return kept.sort_values("kind", kind="stable", ignore_index=True)


QUANTITIES = ("pointwise", "increment", "cumulative")
_RANDOM = ("random_pointwise", "random labels")
"""A column that is drawn where it is there, and what its row is called."""


def sentence_cells(tokens: pd.DataFrame, rows: str = "quantity") -> pd.DataFrame:
    """Cells of one sentence: a column a token, a row a definition or a layer.

    Args:
        tokens: of one sentence, `in_unit`; several layers have a column `layer`.
        rows: ``quantity``, or ``layer`` (of the pointwise value).

    Raises:
        InputError: several sentences, or a column missing.
    """
    if rows not in ("quantity", "layer"):
        raise InputError(f"rows must be quantity or layer; not {rows!r}.")
    needed = ["row_id", "position", "token", "unit", *QUANTITIES]
    check_table(tokens, [*needed, *["layer"] * (rows == "layer")], "tokens", IN_UNIT)
    if tokens["row_id"].nunique() != 1:
        raise InputError("tokens must be of one sentence.")
    common = ["position", "token", "unit"]
    if rows == "quantity":
        drawn = [*QUANTITIES, *([_RANDOM[0]] if _RANDOM[0] in tokens else [])]
        cells = tokens.melt(common, drawn, var_name="row", value_name="value")
        cells["row"] = cells["row"].replace(*_RANDOM)
        order = [*QUANTITIES, _RANDOM[1]]
    else:
        cells = tokens[[*common, "layer", "pointwise"]]
        cells = cells.rename(columns={"layer": "row", "pointwise": "value"})
        # The deepest on top, as a network is drawn.
        order = [f"layer {layer:g}" for layer in sorted(set(cells["row"]), reverse=True)]
        cells["row"] = [f"layer {layer:g}" for layer in cells["row"]]
    cells = _in_order(cells.sort_values("position", kind="stable"), "row", order)
    cells = cells.rename(columns={"position": "column", "token": "column_label"})
    return cells.reset_index(drop=True)


def sentence_figure(cells: pd.DataFrame, *, title: str, note: str = "") -> Figure:
    """A heat map of `sentence_cells`: tokens across, definitions or layers down.

    Args:
        cells: of one sentence.
        title: over it.
        note: a line at the foot, such as what was left out.
    """
    by_layer = cells["row"].astype(str).str.startswith("layer").all()
    words = "information of the token, $i(y; z_t)$" if by_layer else "information"
    notes = [
        "cumulative: of all tokens up to this one",
        "increment: what became readable at it",
    ]
    if (cells["row"] == _RANDOM[1]).any():
        notes.append("random labels: the pointwise value where nothing can be known")
    notes = [*([] if by_layer else notes), *([note] if note else [])]
    return heat_figure(cells, title=title, words=words, note="; ".join(notes))


def word_cells(words: pd.DataFrame, *, most: int = 14, least_n: int = 1) -> pd.DataFrame:
    """Cells of the words that tell most, by any predicted word: a row a prediction.

    Args:
        words: `in_unit` of a table of words: predicted_word, word, n, value, low.
        most: columns of the figure; those are chosen whose intervals end highest below,
            which rare words' do not by chance alone, and still they lean high.
        least_n: occurrences below which a word is not shown.

    Raises:
        InputError: a column missing, or no word is left.
    """
    check_table(words, ("predicted_word", "word", "n", "value"), "words", IN_UNIT)
    kept = words[(words["n"] >= least_n) & words["value"].notna()]
    if kept.empty:
        raise InputError(f"words must hold one with n >= {least_n}; none has.")
    least = kept["low"].fillna(-np.inf) if "low" in kept else kept["value"]
    best = least.groupby(kept["word"]).max().sort_values(ascending=False, kind="stable")
    chosen = list(best.index[:most])
    cells = _in_order(kept[kept["word"].isin(chosen)], "word", chosen)
    cells = cells.sort_values("predicted_word", kind="stable", ignore_index=True)
    return cells.rename(columns={"predicted_word": "row", "word": "column"})


def _in_order(cells: pd.DataFrame, column: str, order: Sequence[str]) -> pd.DataFrame:
    """Sorted by the place of a column's values in a list."""
    places = [*order]
    return cells.sort_values(column, key=lambda v: v.map(places.index), kind="stable")


def word_figure(
    cells: pd.DataFrame, *, title: str, total: int, rows: str = "predicted"
) -> Figure:
    """A heat map of `word_cells`.

    Args:
        cells: of the words that are shown.
        title: over it.
        total: how many words they were chosen of.
        rows: what a row is of: ``label`` where the model predicted nothing.
    """
    shown = cells["column"].nunique()
    note = f"n = {count_words(cells['n'])} a cell"
    noise = noise_note(cells["random"]) if "random" in cells else ""
    note += f"; {noise}" if noise else ""
    if shown < total:
        note += f"; {shown} of {total} words, of the highest lower bounds: they lean high"
    cells = _in_order(cells, "column", list(dict.fromkeys(cells["column"])))
    return heat_figure(
        cells,
        title=title,
        words="information of the word",
        note=note,
        x_label="word of the input",
        y_label=rows,
    )
