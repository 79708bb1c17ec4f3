"""Token tables as a terminal shows them: the reading, and the words that tell most."""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mi_probe.analysis.tokens.population import LEAST_N
from mi_probe.facts import fixed

_MOST = 6


def format_tables(about: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> str:
    """What the tables of one site show.

    Args:
        about: the JSON file beside the tables.
        tables: at least ``words``.
    """
    lines = [f"{about['site']} (layer {_shown(about['layer'])})"]
    lines += [f"  {sentence}" for sentence in about["reading"]]
    spans = tables.get("spans", pd.DataFrame())
    for kind, own in spans.groupby("kind", sort=False) if len(spans) else ():
        shown = ", ".join(
            f"{row['span']} {fixed(row['value_nats'])} ({fixed(row['ci_low'])} .. "
            f"{fixed(row['ci_high'])})"
            for row in own[own["number"] == 0].to_dict("records")
        )
        lines.append(f"  increments by {kind}, nats: {shown}")
    for word, own in tables["words"].groupby("predicted_word", sort=True):
        # What is sure alone: a word of two sentences can have any value, and one whose
        # interval holds 0 speaks for nothing. The table is in order of lower bounds.
        sure = (own["ci_low"] > 0) & (own["n"] >= LEAST_N)
        best = own[sure & ~own["template"].astype(bool)].head(_MOST)
        shown = ", ".join(
            f"{row['word']} {fixed(row['value_nats'], 2)} (n {row['n']})"
            for row in best.to_dict("records")
        )
        shown = shown or f"none is sure (above 0, in {LEAST_N} occurrences or more)"
        lines.append(f"  speak for '{word}', i(y; z_t) in nats: {shown}")
    if not len(tables["words"]):
        lines.append("  no word occurs in enough sentences for the table of words")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return "-" if value is None else str(value)
