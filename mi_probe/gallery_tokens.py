"""The figures of a results folder's token tables."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from mi_probe.analysis.labels import short_name
from mi_probe.analysis.tokens.generated import with_texts
from mi_probe.analysis.tokens.reading import words_are_of
from mi_probe.analysis.units import in_unit, unit_factor
from mi_probe.folder_tables import ResultFolders, TokenSet
from mi_probe.plots.captions import is_true
from mi_probe.plots.positions import (
    FEWEST,
    known_places,
    position_figure,
    position_map_figure,
)
from mi_probe.plots.token_lines import span_figure, type_figure, word_dot_figure
from mi_probe.plots.token_maps import (
    LEAST_N,
    chosen_words,
    most_frequent,
    sentence_cells,
    sentence_figure,
    span_lines,
    word_cells,
    word_figure,
)
from mi_probe.plots.token_strip import token_strips
from mi_probe.plots.written_tokens import written_figure

MOST_PANELS = 4
"""Predicted words that have a panel each; more are a map."""
Found = Iterator[tuple[str, Figure, pd.DataFrame]]


@dataclass(frozen=True)
class Options:
    """What the user may choose of a figure's content."""

    unit: str = "nats"
    layer: str | None = None
    """Of the bars: a hidden_states index or a site; None for the deepest."""
    sentences: int = 3
    """How many sentences of each token table: the first, not chosen by value."""
    template: bool = False
    """Draw the words of the prompt's template too, which are the same in each row."""
    stop_words: bool = True
    """Draw stop words (English, scikit-learn's list) too, where words are compared."""


def strips(folders: ResultFolders, options: Options) -> Found:
    """The first sentences of each table as text, by the token alone and by increment."""
    for name, found in _deepest(folders):
        rows, note = _sentences(found.tokens, options)
        for quantity in ("pointwise", "increment"):
            if not rows.empty and rows[quantity].notna().any():
                given = {"quantity": quantity, "title": _title(found), "note": note}
                yield f"strip-{quantity}-{name}", token_strips(rows, **given), rows


def sentence_maps(folders: ResultFolders, options: Options) -> Found:
    """The first sentences as heat maps by layer, where several are of one subject."""
    for name, group in _by_layer(folders):
        tables = [
            _sentences(one.tokens, options)[0].assign(layer=one.about["layer"])
            for one in group
        ]
        every = pd.concat(tables)
        for row_id, rows in every.groupby("row_id", sort=False) if len(every) else ():
            if rows["layer"].nunique() > 1:
                cells = sentence_cells(rows, "layer")
                title = f"{_sentence_words(row_id, rows)}; {_subject(group[0])}"
                sizes = {one.about["n"] for one in group if one.about.get("n")}
                title += f", n = {sizes.pop():,}" if len(sizes) == 1 else ""
                figure = sentence_figure(cells, title=title)
                yield f"tokens-{name}-{row_id}", figure, cells


def spans(folders: ResultFolders, options: Options) -> Found:
    """Spans and steps: what each adds, and what is known by its end."""
    for name, found, points in _beside(folders, "spans", options):
        lines = span_lines(points)
        yield f"spans-{name}", span_figure(lines, title=_title(found)), lines


def positions(folders: ResultFolders, options: Options) -> Found:
    """By position a line a subject, and a map where it has several layers."""
    unit = options.unit
    for name, found, every in _beside(folders, "positions", options):
        points = known_places(every)
        note = _left_out(every, points)
        task = found.about.get("controls", {}).get("control_task", {})
        gives = task["nats"] * unit_factor(unit) if "nats" in task else None
        given = {"title": _title(found), "note": note, "memorised": gives}
        yield f"positions-{name}", position_figure(points, **given), points
    for name, group in _by_layer(folders):
        tables = [
            one.beside["positions"].assign(layer=one.about["layer"])
            for one in group
            if not one.beside["positions"].empty
        ]
        if len(tables) > 1:
            every = in_unit(pd.concat(tables), unit, source="positions.csv")
            points = known_places(every)
            note = _left_out(every, points)
            figure = position_map_figure(points, title=_subject(group[0]), note=note)
            yield f"positions-layers-{name}", figure, points


def _left_out(every: pd.DataFrame, kept: pd.DataFrame) -> str:
    few = len(kept) < len(every)
    return f"places in fewer than {FEWEST} sentences left out" if few else ""


def types(folders: ResultFolders, options: Options) -> Found:
    """The most frequent token types of each table."""
    for name, found, points in _beside(folders, "types", options, "token"):
        rows, own = most_frequent(points), int((~is_true(points, "pooled")).sum())
        yield f"types-{name}", type_figure(rows, title=_title(found), total=own), rows


def words(folders: ResultFolders, options: Options) -> Found:
    """Words of the input against what was predicted, with intervals.

    Of many predicted words a map: the dots of each would be a panel.
    """
    for name, found, points in _beside(folders, "words", options, "word"):
        given = {"title": _title(found), "total": points["word"].nunique()}
        given |= {"rows": words_are_of(found.about)}
        if points["predicted_word"].nunique() > MOST_PANELS:
            often = (points["n"] >= LEAST_N).any()
            cells = word_cells(points, least_n=LEAST_N if often else 1)
            yield f"words-{name}", word_figure(cells, **given), cells
        else:
            lines = chosen_words(points)
            yield f"words-{name}", word_dot_figure(lines, **given), lines


def generated(folders: ResultFolders, options: Options) -> Found:
    """States of written tokens against states of tokens read."""
    for name, found, points in _beside(folders, "generated", options):
        points = with_texts(points, found.tokens)
        yield f"generated-{name}", written_figure(points, title=_title(found)), points


def _beside(
    folders: ResultFolders, which: str, options: Options, compared: str | None = None
) -> Iterator[tuple[str, TokenSet, pd.DataFrame]]:
    """A table beside each group's deepest tokens, where it has lines, in the unit.

    Args:
        folders: what the commands wrote.
        which: of the tables of `folder_tables.BESIDE`.
        options: what the user chose.
        compared: column of types or words, of which some are not asked for.
    """
    for name, found in _deepest(folders):
        table = found.beside[which]
        if compared is not None:
            table = _compared(table, compared, options)
        if not table.empty:
            source = f"{found.stem}.{which}.csv"
            yield name, found, in_unit(table, options.unit, source=source)


def _compared(table: pd.DataFrame, column: str, options: Options) -> pd.DataFrame:
    """Lines of a table of types or words, without those that are not asked for."""
    kept = _without_template(table, options)
    # A word of both the template and the text has two lines.
    apart = kept[column].astype(str) + " (template)"
    apart = kept[column].where(~is_true(kept, "template"), apart)
    kept = kept.assign(**{column: apart})
    if not options.stop_words and not kept.empty:
        texts = kept[column].astype(str).str.strip().str.casefold()
        kept = kept[~texts.isin(ENGLISH_STOP_WORDS)]
    return kept.reset_index(drop=True)


def _without_template(table: pd.DataFrame, options: Options) -> pd.DataFrame:
    if options.template:
        return table
    return table[~is_true(table, "template")].reset_index(drop=True)


def _sentences(tokens: pd.DataFrame, options: Options) -> tuple[pd.DataFrame, str]:
    """The first sentences, in the order of the table, and what is left out of them."""
    unit = options.unit
    first = list(dict.fromkeys(tokens["row_id"]))[: options.sentences]
    every = tokens[tokens["row_id"].isin(first)]
    rows = _without_template(every, options)
    if rows.empty:
        return rows, ""
    note, increments = "", "increment_nats"
    if len(rows) < len(every):
        note = "the template's words are left out"
        if increments in every:
            out = every[increments].sum() - rows[increments].sum()
            share = out * unit_factor(unit) / len(first)
            sign = "\N{MINUS SIGN}" if round(share, 2) < 0 else ""
            note += f"; their increments add {sign}{abs(share):.2f} {unit} a sentence"
    return in_unit(rows, unit, source="tokens.parquet"), note


def _sentence_words(row_id: Any, rows: pd.DataFrame) -> str:
    """Which sentence, its label, and the most that can be known of that."""
    row = rows.iloc[0]
    words = f"{row_id}: label {row['label']}"
    ceiling = row.get("ceiling")
    if ceiling is None or pd.isna(ceiling):
        return words
    return f"{words}, at most {ceiling:.3f} {row['unit']}"


def _by_layer(folders: ResultFolders) -> Iterator[tuple[str, list[TokenSet]]]:
    """Tables of one subject, task, rows and seed at several layers, with a file's name."""
    return ((name, group) for name, group in _grouped(folders) if len(group) > 1)


def _deepest(folders: ResultFolders) -> Iterator[tuple[str, TokenSet]]:
    """Of each such group the deepest layer, which was fixed before any value was seen."""
    return ((name, group[-1]) for name, group in _grouped(folders))


def _grouped(folders: ResultFolders) -> Iterator[tuple[str, list[TokenSet]]]:
    """Tables that differ by their layer alone, shallow ones first."""
    groups: dict[tuple[str, str], dict[float, TokenSet]] = {}
    for one in folders.token_sets:
        layer, key = one.about.get("layer"), one.about.get("key")
        # A table that does not say what it is of stands alone.
        same = {k: v for k, v in key.items() if k != "site"} if key else one.stem
        if layer is None:
            same = [same, one.about.get("site")]
        of = _subject(one), json.dumps(same, sort_keys=True)
        # The same tables may lie in two folders.
        groups.setdefault(of, {}).setdefault(-1.0 if layer is None else layer, one)
    for (name, _), group in groups.items():
        yield name.replace(" on ", "-"), [group[layer] for layer in sorted(group)]


def _subject(found: TokenSet) -> str:
    subject = short_name(str(found.about.get("subject", found.stem)))
    task = found.about.get("task")
    return f"{subject} on {short_name(str(task))}" if task else subject


def _title(found: TokenSet) -> str:
    layer, site = found.about.get("layer"), found.about.get("site")
    place = f"layer {layer:g}" if layer is not None else site
    parts = [_subject(found), *([str(place)] if place else [])]
    if found.about.get("n"):
        parts.append(f"n = {found.about['n']:,}")
    return ", ".join(parts)
