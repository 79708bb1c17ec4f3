"""Tables of the page: gaps and ladders, what stands beside the tokens."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from mi_probe.analysis.labels import short_name
from mi_probe.analysis.tokens.reading import words_are_of
from mi_probe.report.cells import DASH, Cell, interval, number, text, token, whole
from mi_probe.report.sources import Sources

MOST_ROWS = 1500
"""Rows of a table at most; results.csv has them all."""


@dataclass(frozen=True)
class Column:
    """One column: its heading, whether it holds numbers, whether it is filtered by."""

    title: str
    number: bool = False
    chosen: bool = False


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: int = 0
    """Rows of the results that are not shown."""
    alike: tuple[tuple[str, str], ...] = ()
    """Titles and values of columns in which all rows are alike: said above the table."""
    empty: tuple[str, ...] = ()
    """Titles of columns in which no row has anything."""

    def folded(self) -> "Table":
        """The same without the columns in which all of several rows are alike."""
        values = [{row[i].text for row in self.rows} for i in range(len(self.columns))]
        kept = [i for i, found in enumerate(values) if len(found) > 1]
        if not kept:
            return self
        left = [
            (c.title, *v) for c, v in zip(self.columns, values, strict=True) if len(v) == 1
        ]
        return replace(
            self,
            columns=tuple(self.columns[i] for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in self.rows),
            alike=tuple((title, value) for title, value in left if value != DASH),
            empty=tuple(title for title, value in left if value == DASH),
        )


_NUMBER = {
    *("gap_nats", "full_nats", "pooled_nats", "H_Y_nats", "p_value", "value_nats"),
    *("a_value_nats", "b_value_nats", "difference_nats", "p_holm", "p_fdr"),
    *("random_nats", "control_task_nats", "cumulative_nats", "smallest_shown"),
}
_WITH_INTERVAL = ("gap_nats", "value_nats", "difference_nats")
_TITLES = {
    "subject": "Model",
    "task": "Task",
    "site": "Site",
    "layer": "Layer",
    "token_set": "Tokens",
    "pooling": "Pooling",
    "objective": "Objective",
    "step": "Step",
    "rung": "Critic",
    "sigma": "Noise \N{GREEK SMALL LETTER SIGMA}",
    "full_nats": "I(Y;Z)",
    "pooled_nats": "I(Y;Z_p)",
    "gap_nats": "Gap",
    "value_nats": "Estimate",
    "between": "Between",
    "same": "Of",
    "a_value_nats": "I(a)",
    "b_value_nats": "I(b)",
    "difference_nats": "a \N{MINUS SIGN} b",
    "p_holm": "p, Holm",
    "p_fdr": "p, FDR",
    "over": "Interval over",
    "random_nats": "Random labels",
    "control_task_nats": "Control task",
    "cumulative_nats": "Known by its end",
    "p_value": "p",
    "smallest_shown": "Smallest shown",
    "H_Y_nats": "H(Y)",
    "n": "Rows",
    "occurrences": "Occurrences",
    "reading": "Reading",
    "chosen": "Chosen",
    "token": "Token",
    "word": "Word",
    "predicted word": "Predicted word",
    "label": "Label",
    "generated_position": "Written token",
    "input_from_end": "Read token, from the end",
}
_COUNTS = {"layer", "step", "n", "occurrences", "sigma"}
_COUNTS |= {"generated_position", "input_from_end"}


def plain_table(
    table: pd.DataFrame, name: str, title: str, caption: str, columns: Sequence[str]
) -> Table:
    """A table of nats as it was saved, with those of the columns that it has.

    ``ci_low`` and ``ci_high`` become one column behind the estimate.
    """
    shown = [c for c in columns if c in table and table[c].notna().any()]
    has_interval = {"ci_low", "ci_high"} <= set(table)
    heads: list[Column] = []
    for column in shown:
        kind = column in _NUMBER or column in _COUNTS
        heads.append(Column(_TITLES.get(column, column), number=kind))
        if column in _WITH_INTERVAL and has_interval:
            heads.append(Column("95 % interval", number=True))
    rows = []
    for _, row in table.head(MOST_ROWS).iterrows():
        cells: list[Cell] = []
        for column in shown:
            cells.append(_cell(column, row[column]))
            if column in _WITH_INTERVAL and has_interval:
                cells.append(interval(row["ci_low"], row["ci_high"]))
        rows.append(tuple(cells))
    left = max(0, len(table) - MOST_ROWS)
    return Table(name, title, caption, tuple(heads), tuple(rows), left)


def _cell(column: str, value: Any) -> Cell:
    if column in _NUMBER:
        return number(value)
    if column == "token":
        return token(value)
    if column == "subject":
        return text(None if pd.isna(value) else short_name(str(value)))
    return whole(value) if column in _COUNTS else text(value)


_WHERE = ("subject", "objective", "step", "task", "site", "layer", "token_set", "pooling")
_GAP = ("full_nats", "pooled_nats", "gap_nats")
_LADDERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "comparisons": (
        "Paired comparisons",
        "Differences in nats of two estimates of the same rows, row by row. p, Holm: one "
        "false among all as rare as it says; FDR: the share of false ones among those at "
        "or below it. The data processing inequality does not order different networks.",
        (
            "task",
            "between",
            "a",
            "b",
            "same",
            "a_value_nats",
            "b_value_nats",
            "difference_nats",
        )
        + ("p_value", "p_holm", "p_fdr", "n", "over", "status"),
    ),
    "gaps": (
        "Gaps",
        "I(Y;Z|Z_p), or I(Y;Z|C) of another C, in nats, at least, from paired held-out "
        "values. p: conditional randomisation, Y redrawn from what is given; Holm's over "
        "sites and poolings. Smallest shown: gap that these rows show in 80 % of draws.",
        (*_WHERE, *_GAP, "p_value", "p_holm", "smallest_shown", "H_Y_nats", "n", "reading"),
    ),
    "capacity": (
        "Capacity ladder",
        "The gap in nats as the critic grows. A gap that closes with capacity was one of "
        "the weaker critic.",
        (*_WHERE, "rung", *_GAP, "chosen", "H_Y_nats", "n"),
    ),
    "noise": (
        "Noise ladder",
        "The gap in nats of states with noise of \N{GREEK SMALL LETTER SIGMA} times their "
        "root mean square, added before pooling.",
        (*_WHERE, "sigma", *_GAP, "H_Y_nats", "n"),
    ),
}
"""Title, caption and columns of these tables of `Sources`."""


def ladder_tables(sources: Sources) -> list[Table]:
    """Gaps and ladders, where they were measured."""
    return [
        plain_table(measured, name, title, caption, columns)
        for name, (title, caption, columns) in _LADDERS.items()
        if len(measured := getattr(sources, name))
    ]


def token_tables(sources: Sources) -> list[Table]:
    """What stands beside each token table, the most informative rows first."""
    made = []
    for i, table in enumerate(sources.tokens):
        about = table.about
        subject = short_name(str(about.get("subject", about["stem"])))
        of = f"{subject}, {about.get('site', '')}"
        beside = ("random_nats", "control_task_nats")
        word = {"predicted": "predicted word", "label": "label"}[words_are_of(about)]
        for kind, caption, columns in (
            (
                "types",
                "What an occurrence of the token tells of Y on average, in nats; rare "
                "types are pooled. Intervals are over sentences.",
                ("token", "occurrences", "value_nats", *beside, "H_Y_nats"),
            ),
            (
                "words",
                f"How much the state at a word of the input speaks for the {word}, on "
                "average, in nats. Words whose intervals end highest below come first, of "
                "20 occurrences before rarer ones.",
                (word, "word", "occurrences", "value_nats", *beside),
            ),
            (
                "spans",
                "What became readable in each span, over all rows, and what is known by "
                "its end, over the rows that have it, in nats. The numbered spans of a "
                "kind and its rest add up to I(Y;Z).",
                (
                    *("kind", "span", "number", "occurrences", "value_nats"),
                    *("cumulative_nats", "random_nats"),
                ),
            ),
            (
                "generated",
                "Held-out linear information between the states of a written and of a read "
                "token, in nats. Neither bound: for comparing positions.",
                ("generated_position", "input_from_end", "occurrences", "value_nats"),
            ),
        ):
            if kind in table.beside:
                rows = table.beside[kind].rename(
                    columns={"n": "occurrences", "predicted_word": word}
                )
                # Words come in the order of their lower bounds, spans in the text's.
                if kind not in ("words", "spans"):
                    rows = rows.sort_values("value_nats", ascending=False, kind="stable")
                title = f"Token {kind}: {of}"
                made.append(plain_table(rows, f"{kind}{i}", title, caption, columns))
    return made
