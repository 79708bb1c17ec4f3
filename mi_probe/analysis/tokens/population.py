"""I(Y; Z_t) over a data set: by position, by token type, by word; table to table.

Each value is a mean of held-out terms i(y; z_t). Terms of one sentence are not
independent, so the interval is over sentences: with the sums s_i and counts n_i of the
sentences in which something occurs, m = sum s_i / sum n_i,

    Var(m) = g / (g - 1) * sum_i (s_i - n_i m)^2 / (sum n_i)^2,

g sentences, Student's t with g - 1 degrees of freedom. It is the interval of the held-out
bound for critics like these; that others could be learned from other rows is not in it.
"""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportReturnType=false, reportIndexIssue=false, reportOperatorIssue=false
# pyright: reportGeneralTypeIssues=false

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

RARE = "(rare)"
"""The type that stands for all rare ones."""
FEWEST = 20
"""Sentences in which a type must occur to stand for itself."""
_INTERVAL = ("n", "value_nats", "ci_low", "ci_high", "H_Y_nats")


def by_position(tokens: pd.DataFrame) -> pd.DataFrame:
    """I(Y; Z_t) by position, counted from the start and from the end of each sentence.

    n falls with the position: far from the anchor only long sentences are left, so the
    value there is about these, and so is its ceiling ``H_Y_nats``, the mean of -log p(y).
    """
    parts = []
    for anchor, column in (("start", "position"), ("end", "position_from_end")):
        found = _clustered(tokens, [column], "pointwise_nats")
        found = found.rename(columns={column: "position"})
        found.insert(0, "anchor", anchor)
        parts.append(found.sort_values("position"))
    order = ["anchor", "position", *_INTERVAL]
    return pd.concat(parts, ignore_index=True)[order]


def by_type(tokens: pd.DataFrame, *, fewest: int = FEWEST) -> pd.DataFrame:
    """What an occurrence of each token type tells of Y, on average, types sorted by it.

    The mean of i(y; z_t) over the occurrences: a type's share of the information, that it
    stands there included; not the information within the sentences that hold it.

    Args:
        tokens: from `token_table`.
        fewest: types in fewer sentences are one row together, ``(rare)``.
    """
    sentences = tokens.groupby("token")["row_id"].transform("nunique")
    rare = sentences < fewest
    named = tokens.assign(token=tokens["token"].where(~rare, RARE), pooled=rare)
    found = _clustered(named, ["token", "pooled"], "pointwise_nats")
    found = found.sort_values("value_nats", ascending=False, ignore_index=True)
    return found[["token", *_INTERVAL, "pooled"]]


def by_word(
    words: pd.DataFrame, *, fewest: int = 5, group: str = "predicted"
) -> pd.DataFrame:
    """The paper's word table: how much each word speaks for the word that was predicted.

    For each predicted word, the mean over the words of the sentences with that prediction
    of i(y; z_t), where Y is the prediction and z_t the state of the word's last piece, and
    the mean of the word's increment beside it. ``ceiling_nats`` is -log p of the predicted
    word, which neither may pass. Letters' case is ignored. Words in fewer sentences than
    ``fewest`` are left out.
    """
    own = words[words["role"] == "prompt"]
    own = own.assign(
        word=own["word_text"].str.casefold(), predicted_word=own[group].astype(str)
    )
    own = own[own["word"].str.contains(r"\w", regex=True)]
    keys = ["predicted_word", "word"]
    found = _clustered(own, keys, "pointwise_nats")
    added = _clustered(own, keys, "increment_nats").rename(
        columns={
            "value_nats": "increment_nats",
            "ci_low": "increment_low",
            "ci_high": "increment_high",
        }
    )
    found = found.merge(
        added[[*keys, "increment_nats", "increment_low", "increment_high"]], on=keys
    )
    found = found[found["sentences"] >= fewest]
    found = found.rename(columns={"H_Y_nats": "ceiling_nats"})
    found = found.sort_values(
        ["predicted_word", "value_nats"], ascending=[True, False], ignore_index=True
    )
    return found[
        [
            *(*keys, "n", "value_nats", "ci_low", "ci_high"),
            *("increment_nats", "increment_low", "increment_high", "ceiling_nats"),
        ]
    ]


def _clustered(table: pd.DataFrame, keys: Sequence[str], column: str) -> pd.DataFrame:
    """Means by key with their intervals over sentences."""
    keys = list(keys)
    by_row = table.groupby([*keys, "row_id"], sort=False)
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
