"""What else may be given in I(Y;Z|C): columns of the table, words, length, other states.

COLUMN           a column of the task's table: kinds, one column each, whole numbers too,
                 which may be ids; numbers where one of them has a fraction
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
from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.errors import InputError
from mi_probe.tasks import Task
from mi_probe.tasks.labels import are_numbers, plain_scores

SITE, CHECKPOINT = "site:", "checkpoint:"
BY_NAME = ("words", "length", "answer")
"""What can be given of any task, whatever columns it has."""
_MOST_KINDS = 256
_NO_NUMBERS = ("nan", "inf", "-inf", "+inf", "infinity", "-infinity")
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


def check_answers(model: Measurable | MadeStates) -> None:
    """Refuse a model that says no label probabilities, where they are to be given.

    Raises:
        InputError: for an encoder, a bare backbone, or scores.
    """
    if model.own is None:
        raise InputError(
            "given 'answer' needs a model that says how likely each label is; "
            f"'{model.name}' does not: {why_no_answer(model)}. Leave it out."
        )


def given_by(name: str, model: Measurable | MadeStates) -> Float[np.ndarray, "n k"]:
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
    return numbers_or_kinds(name, task.columns[name])


def read_as(values: Sequence[object]) -> str:
    """How a column is read: as numbers, or as so many kinds.

    By the rule that labels have (`mi_probe.tasks.labels.classes_or_scores`).
    """
    if plain_scores(values) is not None:
        return "numbers"
    return f"{len({str(value) for value in values})} kinds"


def given_notes(names: Sequence[str], task: Task) -> list[str]:
    """How each column that is given is read, a note each."""
    notes = []
    for name in names:
        values = task.columns.get(name) if column_of(name) else None
        if values is not None:
            whole = are_numbers(values) and plain_scores(values) is None
            said = f"given column '{name}' is taken as {read_as(values)}"
            notes.append(said + ": whole numbers may be ids" * whole)
    return notes


def numbers_or_kinds(name: str, values: Sequence[object]) -> Float[np.ndarray, "n k"]:
    """A column without gaps as vectors: numbers, or a column for each kind.

    Raises:
        InputError: for gaps, numbers that are not finite, or too many kinds.
    """
    empty = [i for i, v in enumerate(values) if v is None or not str(v).strip()]
    if empty:
        raise InputError(
            f"given column '{name}' must be filled in every row; {len(empty)} of "
            f"{len(values)} are empty, the first in row {empty[0] + 1}."
        )
    broken = [i for i, v in enumerate(values) if str(v).strip().lower() in _NO_NUMBERS]
    if broken and are_numbers([v for i, v in enumerate(values) if i not in {*broken}]):
        raise InputError(
            f"given column '{name}' must hold finite numbers; row {broken[0] + 1} holds "
            f"{values[broken[0]]}."
        )
    if (numbers := plain_scores(values)) is not None:
        return np.array(numbers)[:, None]
    kinds, codes = np.unique([str(value) for value in values], return_inverse=True)
    if len(kinds) > _MOST_KINDS:
        raise InputError(
            f"given column '{name}' must hold numbers with fractions, or at most "
            f"{_MOST_KINDS} kinds; got {len(kinds)}. "
            + (
                "Whole numbers are kinds, as ids are; if they are amounts, write them in "
                "a larger unit, with fractions."
                if are_numbers(values)
                else "Is it the text itself? 'words' gives that."
            )
        )
    return np.eye(len(kinds))[codes]
