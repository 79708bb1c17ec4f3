"""What token tables show, in sentences: numbers only, and what they do not say."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false

from collections.abc import Mapping
from typing import Any

import pandas as pd

from mi_probe.analysis.tokens.population import LEAST_N
from mi_probe.facts import fixed

ANSWERED = "the model's own answers"
"""Of what a word table is where the model was asked; `predicted_by` says it."""
_FEW = 50
_MOST = 6
"""Words that a terminal shows of each predicted one."""


def words_are_of(about: Mapping[str, Any]) -> str:
    """What ``predicted_word`` of a word table holds: ``predicted`` words, or ``label``s."""
    return "predicted" if about.get("predicted_by", ANSWERED) == ANSWERED else "label"


def reading(
    about: Mapping[str, Any],
    tokens: pd.DataFrame,
    positions: pd.DataFrame,
    *,
    causal: bool,
) -> list[str]:
    """The sentences that belong to the tables of one site."""
    low, high = about["I_YZ_ci"]
    total, ceiling = about["I_YZ_nats"], about["H_Y_nats"]
    said = [
        f"The increments of a sentence add up to its i(y; z); on average to "
        f"{fixed(total)} nats ({fixed(low)} .. {fixed(high)}) of H(Y) = {ceiling:.3f}, "
        "a held-out lower bound of I(Y;Z).",
    ]
    if low <= 0:
        said.append(
            "That interval holds 0: no single token's value should be read from these rows."
        )
    said += _controls(about) + list(about.get("dependence", ()))
    special = tokens[tokens["special"]].groupby("row_id")["increment_nats"].sum()
    if len(special):
        share = float(special.sum()) / about["n"]
        said.append(f"Special tokens hold {fixed(share)} nats of it, apart from all words.")
    start = positions[positions["anchor"] == "start"]
    longest, last = int(start["position"].max()), int(start["n"].iloc[-1])
    known = start[start["n"] >= _FEW]["position"]
    known = int(known.max()) if len(known) else -1
    said.append(
        f"By position, n falls from {int(start['n'].iloc[0])} to {last} at position "
        f"{longest}: values there are of long sentences only. Up to position {known} there "
        f"are {_FEW} or more."
    )
    said.append(
        "The model reads left to right, so z_t holds all earlier tokens: a pointwise value "
        "is what is known by t, the increment says at which token it became readable for "
        "these critics; it may have been in the states before, in a form that they miss."
        if causal
        else "The model reads both ways, so every z_t may hold the whole sentence: "
        "increments say what one more state adds for a reader from the left, not which "
        "word brought it."
    )
    return said


def _controls(about: Mapping[str, Any]) -> list[str]:
    """What the controls give beside the map, a sentence each."""
    said = []
    for name, found in about.get("controls", {}).items():
        words = _CONTROLLED[name]
        if "nats" not in found:
            said.append(f"{words}: not made, since {found['reason']}")
            continue
        low, high = found["ci"]
        value = f"{words} {fixed(found['nats'])} nats ({fixed(low)} .. {fixed(high)})"
        if name == "control_task":
            value += f" of H = {found['H_nats']:.3f} a word: what memorising words gives"
        elif low > 0:
            value += (
                ", where nothing can be known: rows depend on one another. Do not read the "
                "map before this is 0"
            )
        said.append(f"{value}.")
    return said


_CONTROLLED = {
    "random_labels": "With random labels the same map adds up to",
    "control_task": "The control task, a random label a word type, gives",
}


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
