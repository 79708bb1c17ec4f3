"""One row a token: its text, its word, and what it tells of Y by each definition."""

# pandas ships no types of its own; names and shapes are checked at run time instead.
# pyright: reportArgumentType=false, reportCallIssue=false, reportReturnType=false

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from mi_probe.analysis.tokens.controls import Controls
from mi_probe.analysis.tokens.words import WordReader
from mi_probe.errors import InputError
from mi_probe.estimators.prefixes.token_information import TokenInformation
from mi_probe.hidden import Role

COLUMNS = (
    *("row_id", "group", "position", "position_from_end", "token", "token_id", "word"),
    *("word_text", "role", "special", "template", "label", "predicted", "pointwise_nats"),
    *("increment_nats", "cumulative_nats", "gradient_x_input", "attention"),
    "ceiling_nats",
)
"""Columns of the table; ``group`` numbers the rows that were held out together,
``template`` is true of the tokens that every prompt has, ``ceiling_nats`` is -log p(y) of
the row, which no value may pass."""
CONTROL_COLUMNS = (
    *("random_label", "random_pointwise_nats", "random_increment_nats"),
    *("random_cumulative_nats", "control_task_nats"),
)
"""Columns that `with_controls` adds, as far as the controls were made."""


def token_table(
    prefix: TokenInformation,
    alone: TokenInformation,
    *,
    row_ids: Sequence[str],
    token_ids: Int[np.ndarray, "n t"],
    roles: Int[np.ndarray, "n t"],
    reader: WordReader,
    names: Sequence[str],
    predicted: Sequence[str] | None = None,
    gradient: Float[np.ndarray, "n t"] | None = None,
    attention: Float[np.ndarray, "n t"] | None = None,
    template: Bool[np.ndarray, "n t"] | None = None,
) -> pd.DataFrame:
    """The tokens of all rows, in order.

    ``cumulative_nats`` is i(y; z_<=t), ``increment_nats`` its differences, which add up to
    the row's last cumulative value, ``pointwise_nats`` is i(y; z_t). Positions count the
    real tokens of a row from 0.

    Args:
        prefix: of the reader of prefixes.
        alone: of the reader of single tokens, of the same rows.
        row_ids: the rows' names.
        token_ids: of Z's positions.
        roles: a `Role` for each position.
        reader: of the tokenizer that made the ids.
        names: of the classes.
        predicted: what the model answered, by row; None leaves the column empty. What a
            critic makes of the states is no prediction of the model.
        gradient: gradient x input, NaN where there is none.
        attention: attention paid to each token, NaN where there is none.
        template: true for the template's own tokens; None where there is none.

    Raises:
        InputError: if the two are not of the same rows.
    """
    if prefix.mask.shape != alone.mask.shape or (prefix.y != alone.y).any():
        raise InputError("prefix and alone must be of the same rows and labels.")
    mask = prefix.mask
    answers = [None] * len(mask) if predicted is None else list(predicted)
    nothing = np.full(mask.shape, np.nan)
    lengths = mask.sum(1)
    row, place = np.nonzero(mask)
    position = np.concatenate([np.arange(length) for length in lengths])
    words = [
        reader(token_ids[i, mask[i]].tolist(), roles[i, mask[i]].tolist())
        for i in range(len(mask))
    ]
    group = np.arange(len(mask)) if prefix.split.group is None else prefix.split.group
    role_names = {int(role): role.name.lower() for role in Role}
    columns = {
        "row_id": np.asarray(row_ids, dtype=object)[row],
        "group": group[row],
        "position": position,
        "position_from_end": lengths[row] - 1 - position,
        "token": [text for found in words for text in found.tokens],
        "token_id": token_ids[row, place],
        "word": [number for found in words for number in found.word],
        "word_text": [text for found in words for text in found.texts],
        "role": [role_names[int(role)] for role in roles[row, place]],
        "special": [odd for found in words for odd in found.special],
        "template": np.zeros(len(row), bool) if template is None else template[row, place],
        "label": np.asarray(names, dtype=object)[prefix.y[row]],
        "predicted": np.asarray(answers, dtype=object)[row],
        "pointwise_nats": alone.pointwise[row, place],
        "increment_nats": prefix.increments[row, place],
        "cumulative_nats": prefix.pointwise[row, place],
        "gradient_x_input": (nothing if gradient is None else gradient)[row, place],
        "attention": (nothing if attention is None else attention)[row, place],
        "ceiling_nats": -prefix.log_prior[row, prefix.y[row]],
    }
    return pd.DataFrame(columns)[list(COLUMNS)]


def word_table(tokens: pd.DataFrame) -> pd.DataFrame:
    """One row a word: increments added up; of single tokens, the value of its last piece.

    z_t of a word's last piece has read the whole word; earlier pieces have not. Special
    tokens are left out.
    """
    own = tokens[~tokens["special"]]
    grouped = own.groupby(["row_id", "word"], sort=False)
    once = ("group", "position", "word_text", "role", "label", "predicted", "ceiling_nats")
    once = (*once, "template", "random_label")
    last = ("position_from_end", "pointwise_nats", "cumulative_nats")
    last = (*last, "random_pointwise_nats", "random_cumulative_nats", "control_task_nats")
    added = ("increment_nats", "random_increment_nats", "gradient_x_input", "attention")
    parts = [
        grouped[[c for c in once if c in own]].first(),
        grouped[[c for c in last if c in own]].last(),
        grouped[[c for c in added if c in own]].sum(min_count=1),
    ]
    return pd.concat(parts, axis=1).reset_index()


def word_types(
    tokens: pd.DataFrame, mask: Bool[np.ndarray, "n t"]
) -> Int[np.ndarray, "n t"]:
    """A number for the word type that ends at a token; -1 inside a word, and elsewhere.

    Words of the template and special tokens have none. Letters' case is ignored.

    Args:
        tokens: from `token_table`.
        mask: of the states that it is of.
    """
    own = ~tokens["special"] & ~tokens["template"]
    own &= tokens["word_text"].str.contains(r"\w", regex=True)
    own &= ~tokens.duplicated(["row_id", "word"], keep="last")
    number = np.full(len(tokens), -1, dtype=np.int64)
    texts = [str(text).casefold() for text in tokens["word_text"][own]]
    number[own] = np.unique(texts, return_inverse=True)[1]
    found = np.full(mask.shape, -1, dtype=np.int64)
    found[np.nonzero(mask)] = number
    return found


def with_controls(
    tokens: pd.DataFrame, controls: Controls, names: Sequence[str]
) -> pd.DataFrame:
    """The table with `CONTROL_COLUMNS`, as far as the controls were made.

    Args:
        tokens: from `token_table`, of the same rows.
        controls: of `token_controls`.
        names: of the classes.
    """
    columns: dict[str, np.ndarray] = {}
    if controls.twin is not None:
        prefix, alone = controls.twin["prefix"], controls.twin["alone"]
        at = row, _ = np.nonzero(prefix.mask)
        columns["random_label"] = np.asarray(names, dtype=object)[prefix.y[row]]
        columns["random_pointwise_nats"] = alone.pointwise[at]
        columns["random_increment_nats"] = prefix.increments[at]
        columns["random_cumulative_nats"] = prefix.pointwise[at]
    if controls.task is not None:
        # The table holds the tokens row by row, in order, as the mask does.
        columns["control_task_nats"] = controls.task[np.nonzero(controls.mask)]
    return tokens.assign(**columns)
