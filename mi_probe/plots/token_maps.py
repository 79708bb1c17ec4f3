"""Heat maps of tokens: a sentence by definition or layer, words against predictions."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mi_probe.errors import InputError
from mi_probe.plots.captions import count_words
from mi_probe.plots.controls import noise_note
from mi_probe.plots.heat_map import heat_figure
from mi_probe.plots.page import IN_UNIT, check_table

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
        order = {name: i for i, name in enumerate((*QUANTITIES, _RANDOM[1]))}
        cells = cells.assign(_at=cells["row"].map(order))
    else:
        cells = tokens[[*common, "layer", "pointwise"]]
        cells = cells.rename(columns={"layer": "row", "pointwise": "value"})
        # The deepest on top, as a network is drawn.
        cells = cells.assign(_at=-cells["row"].astype(float))
        cells["row"] = [f"layer {layer:g}" for layer in cells["row"]]
    cells = cells.sort_values(["_at", "position"], kind="stable").drop(columns="_at")
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
    cells = kept[kept["word"].isin(chosen)]
    cells = cells.assign(_at=cells["word"].map(chosen.index))
    cells = cells.sort_values(["predicted_word", "_at"], kind="stable")
    return (
        cells.drop(columns="_at")
        .rename(columns={"predicted_word": "row", "word": "column"})
        .reset_index(drop=True)
    )


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
    first = cells.assign(_at=np.arange(len(cells))).drop_duplicates("column")
    order = list(first.sort_values("_at")["column"])
    cells = cells.assign(_at=cells["column"].map(order.index))
    cells = cells.sort_values(["_at"], kind="stable").drop(columns="_at")
    return heat_figure(
        cells,
        title=title,
        words="information of the word",
        note=note,
        x_label="word of the input",
        y_label=rows,
    )
