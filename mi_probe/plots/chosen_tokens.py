"""Which lines of a table of tokens are drawn: frequent types, telling words, spans."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd

from mi_probe.errors import InputError
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
    pooled = pooled_types(types)
    own = types[~pooled].sort_values("n", ascending=False, kind="stable")
    return pd.concat([own[:most], types[pooled]], ignore_index=True)


def pooled_types(types: pd.DataFrame) -> pd.Series:
    """Which lines are rare types together; none where the table does not say."""
    if "pooled" not in types:
        return pd.Series(False, index=types.index)
    return types["pooled"].astype(str).str.lower() == "true"


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
    order = kept.assign(_least=kept["low"].fillna(-np.inf))
    order = order.sort_values("_least", ascending=False, kind="stable")
    first = order.groupby("predicted_word").head(most)
    first = first.sort_values("predicted_word", kind="stable")
    return first.drop(columns="_least").reset_index(drop=True)


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
    kept = kept.assign(line=names, _rest=kept["span"].eq("(rest)"))
    kept = kept.sort_values(["kind", "_rest"], kind="stable").drop(columns="_rest")
    return kept.reset_index(drop=True)
