"""What else may be given in I(Y;Z|C): columns of the table, words, length, other states.

COLUMN           a column of the task's table: text is kinds, one column each; numbers
words            TF-IDF of the prompts, in its leading directions; no label is used
length           tokens and characters of the prompts
answer           the model's own log probability of each label
site:NAME        the mean of another site's states, of the same model
checkpoint:PATH  the mean of the last site's states of another model, of the same rows
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mi_probe.analysis.control_parts import why_no_answer
from mi_probe.analysis.controls import length_features, words_features
from mi_probe.analysis.measurables import Measurable
from mi_probe.errors import InputError

SITE, CHECKPOINT = "site:", "checkpoint:"
BY_NAME = ("words", "length", "answer")
"""What can be given of any task, whatever columns it has."""
_MOST_KINDS = 256
_WORDS, _ROWS_A_WORD = 50, 10
"""Columns of the words at most, and rows that each needs: all else is regressed on them."""
_LEAST = -30.0
"""Log probability that stands for all below it, such as that of an option a row lacks."""


def check_given(name: str) -> None:
    """Refuse what cannot be given, before anything is read.

    Raises:
        InputError: for no name.
    """
    if not name or name in (SITE, CHECKPOINT):
        raise InputError(
            f"given must be a column of the data, {', '.join(BY_NAME)}, {SITE}NAME or "
            f"{CHECKPOINT}PATH; got '{name}'."
        )


def column_of(name: str) -> str | None:
    """The column of the task's table that a name stands for; None for none."""
    own = name in BY_NAME or name.startswith((SITE, CHECKPOINT))
    return None if own else name


def check_answers(model: Measurable) -> None:
    """Refuse a model that says no label probabilities, where they are to be given.

    Raises:
        InputError: for an encoder, a bare backbone, or scores.
    """
    if model.own is None:
        raise InputError(
            "given 'answer' needs a model that says how likely each label is; "
            f"'{model.backbone.name}' does not: {why_no_answer(model)}. Leave it out."
        )


def given_by(name: str, model: Measurable) -> Float[np.ndarray, "n k"]:
    """Words, length, the model's answers, or a column of the task's table, as vectors.

    Args:
        name: what is given.
        model: what is measured, with its rows; ``answer`` asks it, which may take long.

    Raises:
        InputError: for a column that the task has not, that has gaps or too many kinds;
            as `check_answers`.
    """
    task = model.task
    if name == "words":
        width = min(_WORDS, max(1, len(task) // _ROWS_A_WORD))
        return words_features(task.prompts, width=width)
    if name == "length":
        return np.log1p(length_features(task.prompts, model.prompt_lengths()))
    if name == "answer":
        check_answers(model)
        assert model.own is not None
        return np.maximum(model.own.log_probabilities(), _LEAST)
    if name not in task.columns:
        has = ", ".join(repr(one) for one in task.columns) or "none beside its prompts"
        raise InputError(
            f"given must be {', '.join(BY_NAME)}, {SITE}NAME, {CHECKPOINT}PATH, or a "
            f"column of task '{task.name}', which keeps {has}; got '{name}'."
        )
    return _numbers_or_kinds(name, task.columns[name])


def _numbers_or_kinds(name: str, values: Sequence[object]) -> Float[np.ndarray, "n k"]:
    empty = [i for i, v in enumerate(values) if v is None or not str(v).strip()]
    if empty:
        raise InputError(
            f"given column '{name}' must be filled in every row; {len(empty)} of "
            f"{len(values)} are empty, the first in row {empty[0] + 1}."
        )
    try:
        numbers = np.array([float(str(value)) for value in values])
    except ValueError:
        numbers = None
    if numbers is not None:
        if not np.isfinite(numbers).all():
            raise InputError(f"given column '{name}' must hold finite numbers.")
        return numbers[:, None]
    kinds, codes = np.unique([str(value) for value in values], return_inverse=True)
    if len(kinds) > _MOST_KINDS:
        raise InputError(
            f"given column '{name}' must hold numbers, or at most {_MOST_KINDS} kinds; got "
            f"{len(kinds)}. Is it the text itself? 'words' gives that."
        )
    return np.eye(len(kinds))[codes]
