"""I(Y; Z_t) over a data set: by position, by token type, by word; table to table.

Each value is a mean of held-out terms i(y; z_t). Terms of one sentence are not
independent, nor are sentences of one group (copies, one document), so the interval is over
groups: with the sums s_i and counts n_i of the groups in which something occurs,
m = sum s_i / sum n_i,

    Var(m) = g / (g - 1) * sum_i (s_i - n_i m)^2 / (sum n_i)^2,

g groups, Student's t with g - 1 degrees of freedom. It is the interval of the held-out
bound for critics like these; that others could be learned from other rows is not in it.

Beside each value stand those of the map's controls (`mi_probe.analysis.tokens.controls`),
where they were made: ``random_nats`` with random labels, whose truth is 0, and
``control_task_nats``, what memorising the words gives.
"""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false, reportAssignmentType=false

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

RARE = "(rare)"
"""The type that stands for all rare ones."""
FEWEST = 20
"""Sentences in which a type must occur to stand for itself."""
LEAST_N = 20
"""Occurrences that a word must have to lead a table of words."""
_INTERVAL = ("n", "value_nats", "ci_low", "ci_high", "H_Y_nats")
_CONTROLS = {"random_pointwise_nats": "random", "control_task_nats": "control_task"}
"""Columns of tokens and words, and what their means are called."""
_ENDS = ("nats", "low", "high")


def by_position(tokens: pd.DataFrame) -> pd.DataFrame:
    """I(Y; Z_t) by position, counted from the start and from the end of each sentence.

    n falls with the position: far from the anchor only long sentences are left, so the
    value there is about these, and so is its ceiling ``H_Y_nats``, the mean of -log p(y).
    """
    parts = []
    for anchor, column in (("start", "position"), ("end", "position_from_end")):
        found = _controlled(tokens, [column])
        found = found.rename(columns={column: "position"})
        found.insert(0, "anchor", anchor)
        parts.append(found.sort_values("position"))
    found = pd.concat(parts, ignore_index=True)
    return found[["anchor", "position", *_INTERVAL, *_beside(found)]]


def by_type(tokens: pd.DataFrame, *, fewest: int = FEWEST) -> pd.DataFrame:
    """What an occurrence of each token type tells of Y, on average, types sorted by it.

    The mean of i(y; z_t) over the occurrences: a type's share of the information, that it
    stands there included; not the information within the sentences that hold it. The
    template's own tokens are types of their own, also where the text has the same.

    Args:
        tokens: from `token_table`.
        fewest: types in fewer sentences are one row together, ``(rare)``.
    """
    if "template" not in tokens:
        tokens = tokens.assign(template=False)
    sentences = tokens.groupby(["token", "template"])["row_id"].transform("nunique")
    rare = sentences < fewest
    named = tokens.assign(token=tokens["token"].where(~rare, RARE), pooled=rare)
    named["template"] &= ~rare
    found = _controlled(named, ["token", "pooled", "template"])
    found = found.sort_values("value_nats", ascending=False, ignore_index=True)
    return found[["token", *_INTERVAL, "pooled", "template", *_beside(found)]]


def by_word(
    words: pd.DataFrame, *, fewest: int = 5, group: str = "predicted"
) -> pd.DataFrame:
    """The paper's word table: how much each word speaks for the word that was predicted.

    For each predicted word, the mean over the words of the sentences with that prediction
    of i(y; z_t), where Y is the prediction and z_t the state of the word's last piece, and
    the mean of the word's increment beside it. ``ceiling_nats`` is -log p of the predicted
    word, which neither may pass. Letters' case is ignored. Words in fewer sentences than
    ``fewest`` are left out. Of each predicted word those lead that are sure: by the lower
    end of their interval, words of 20 occurrences (`LEAST_N`) before rarer ones. The
    template's own words have lines of their own.
    """
    own = words[words["role"] == "prompt"]
    if "template" not in own:
        own = own.assign(template=False)
    own = own.assign(
        word=own["word_text"].str.casefold(), predicted_word=own[group].astype(str)
    )
    own = own[own["word"].str.contains(r"\w", regex=True)]
    keys = ["predicted_word", "word", "template"]
    found = _clustered(own, keys, "pointwise_nats")
    found = found.merge(_named(own, keys, "increment_nats", "increment"), on=keys)
    if "random_label" in own:
        # Of the same word with a random class: under the twin that is the row's own.
        twin = own.assign(predicted_word=own["random_label"].astype(str))
        said = _named(twin, keys, "random_pointwise_nats", "random")
        found = found.merge(said, on=keys, how="left")
    if "control_task_nats" in own:
        said = _named(own, keys[1:], "control_task_nats", "control_task")
        found = found.merge(said, on=keys[1:], how="left")
    found = found[found["sentences"] >= fewest]
    found = found.rename(columns={"H_Y_nats": "ceiling_nats"})
    found = found.assign(_few=found["n"] < LEAST_N).sort_values(
        ["predicted_word", "_few", "ci_low"], ascending=[True, True, False], kind="stable"
    )
    return found[
        [
            *("predicted_word", "word", "n", "value_nats", "ci_low", "ci_high"),
            *("increment_nats", "increment_low", "increment_high", "ceiling_nats"),
            *("template", *_beside(found)),
        ]
    ].reset_index(drop=True)


def _controlled(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Means of i(y; z_t) by key, and of the controls beside them."""
    found = _clustered(table, keys, "pointwise_nats")
    for column, name in _CONTROLS.items():
        if column in table:
            beside = _named(table, keys, column, name)
            found = found.merge(beside, on=list(keys), how="left")
    return found


def _named(
    table: pd.DataFrame, keys: Sequence[str], column: str, name: str
) -> pd.DataFrame:
    """Means of a column by key, and their intervals, by a name of their own."""
    found = _clustered(table, keys, column)
    means = {"value_nats": f"{name}_nats", "ci_low": f"{name}_low"}
    found = found.rename(columns={**means, "ci_high": f"{name}_high"})
    return found[[*keys, f"{name}_nats", f"{name}_low", f"{name}_high"]]


def _beside(found: pd.DataFrame) -> list[str]:
    columns = [f"{name}_{end}" for name in _CONTROLS.values() for end in _ENDS]
    return [column for column in columns if column in found]


def _clustered(table: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """Means by key with their intervals over groups of sentences; gaps are left out."""
    keys, table = list(keys), table[table[column].notna()]
    unit = "group" if "group" in table else "row_id"
    by_row = table.groupby([*keys, unit], sort=False)
    rows = pd.DataFrame(
        {
            "sum": by_row[column].sum(),
            "n": by_row.size(),
            "ceiling": by_row["ceiling_nats"].sum(),
        }
    ).reset_index()
    grouped = rows.groupby(keys, sort=False)
    total = grouped[["sum", "n", "ceiling"]].sum()
    mean = total["sum"] / total["n"]
    expected = rows.set_index(keys).index.map(mean)
    rows["squared"] = (rows["sum"] - rows["n"] * np.asarray(expected, dtype=float)) ** 2
    g = grouped.size()
    squares = rows.groupby(keys, sort=False)["squared"].sum()
    freedom = np.maximum(g - 1, 1)
    error = np.sqrt(g / freedom * squares) / total["n"]
    # One sentence alone says nothing about the others.
    reach = (stdtrit(freedom, 0.975) * error).where(g > 1, math.nan)
    return pd.DataFrame(
        {
            "n": total["n"],
            "sentences": g,
            "value_nats": mean,
            "ci_low": mean - reach,
            "ci_high": mean + reach,
            "H_Y_nats": total["ceiling"] / total["n"],
        }
    ).reset_index()
