"""The figures of a results folder's token tables."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from mi_probe.analysis.labels import short_name
from mi_probe.analysis.tokens.reading import words_are_of
from mi_probe.analysis.units import in_unit
from mi_probe.folder_tables import TokenSet
from mi_probe.plots.positions import position_figure, position_map_figure
from mi_probe.plots.token_maps import (
    sentence_cells,
    sentence_figure,
    word_cells,
    word_figure,
)
from mi_probe.plots.token_strip import token_strips
from mi_probe.plots.token_types import most_frequent, pooled_types, type_figure

Found = Iterator[tuple[str, Figure, pd.DataFrame]]


def strips(sets: tuple[TokenSet, ...], unit: str, sentences: int) -> Found:
    """The first sentences of each table as text, by the token alone and by increment."""
    for found in sets:
        rows = _sentences(found.tokens, unit, sentences)
        for quantity in ("pointwise", "increment"):
            if not rows.empty and rows[quantity].notna().any():
                figure = token_strips(rows, quantity=quantity)
                yield f"strip-{quantity}-{found.stem}", figure, rows


def sentence_maps(sets: tuple[TokenSet, ...], unit: str, sentences: int) -> Found:
    """The first sentences as heat maps: by definition, and by layer where several are."""
    for found in sets:
        for row_id, rows in _sentences(found.tokens, unit, sentences).groupby(
            "row_id", sort=False
        ):
            cells = sentence_cells(rows)
            title = f"{row_id}: label {rows['label'].iloc[0]}; {_title(found)}"
            yield (
                f"tokens-{found.stem}-{row_id}",
                sentence_figure(cells, title=title),
                cells,
            )
    for name, group in _by_layer(sets):
        tables = [
            _sentences(one.tokens, unit, sentences).assign(layer=one.about["layer"])
            for one in group
        ]
        for row_id, rows in pd.concat(tables).groupby("row_id", sort=False):
            if rows["layer"].nunique() > 1:
                cells = sentence_cells(rows, "layer")
                title = f"{row_id}: label {rows['label'].iloc[0]}; {name}"
                figure = sentence_figure(cells, title=title)
                yield f"tokens-layers-{name}-{row_id}", figure, cells


def positions(sets: tuple[TokenSet, ...], unit: str) -> Found:
    """By position a line a table, and a map where several layers are of one subject."""
    for found in sets:
        table = found.beside["positions"]
        if not table.empty:
            points = in_unit(table, unit, source=f"{found.stem}.positions.csv")
            figure = position_figure(points, title=_title(found))
            yield f"positions-{found.stem}", figure, points
    for name, group in _by_layer(sets):
        tables = [
            one.beside["positions"].assign(layer=one.about["layer"])
            for one in group
            if not one.beside["positions"].empty
        ]
        if len(tables) > 1:
            points = in_unit(pd.concat(tables), unit, source="positions.csv")
            yield (
                f"positions-layers-{name}",
                position_map_figure(points, title=name),
                points,
            )


def types(sets: tuple[TokenSet, ...], unit: str) -> Found:
    """The most frequent token types of each table."""
    for found in sets:
        table = found.beside["types"]
        if not table.empty:
            points = in_unit(table, unit, source=f"{found.stem}.types.csv")
            rows, own = most_frequent(points), int((~pooled_types(points)).sum())
            figure = type_figure(rows, title=_title(found), total=own)
            yield f"types-{found.stem}", figure, rows


def words(sets: tuple[TokenSet, ...], unit: str) -> Found:
    """Words of the input against what was predicted."""
    for found in sets:
        table = found.beside["words"]
        if not table.empty:
            points = in_unit(table, unit, source=f"{found.stem}.words.csv")
            cells = word_cells(points)
            total = points["word"].nunique()
            rows = words_are_of(found.about)
            figure = word_figure(cells, title=_title(found), total=total, rows=rows)
            yield f"words-{found.stem}", figure, cells


def _sentences(tokens: pd.DataFrame, unit: str, most: int) -> pd.DataFrame:
    """The first sentences, in the order of the table: not chosen by their values."""
    first = list(dict.fromkeys(tokens["row_id"]))[:most]
    rows = tokens[tokens["row_id"].isin(first)]
    return rows if rows.empty else in_unit(rows, unit, source="tokens.parquet")


def _by_layer(sets: tuple[TokenSet, ...]) -> Iterator[tuple[str, list[TokenSet]]]:
    """Tables of one subject and task at several layers."""
    groups: dict[str, list[TokenSet]] = {}
    for one in sets:
        if one.about.get("layer") is not None:
            groups.setdefault(_subject(one), []).append(one)
    for name, group in groups.items():
        if len({one.about["layer"] for one in group}) > 1:
            yield name, group


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
