"""What else may be given in I(Y;Z|C): columns of the table, words, length, other states.

COLUMN           a column of the task's table: text is kinds, one column each; numbers
words            TF-IDF of the prompts, in its leading directions; no label is used
length           tokens and characters of the prompts
site:NAME        the mean of another site's states, of the same model
checkpoint:PATH  the mean of the last site's states of another model, of the same rows
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from mi_probe.errors import InputError
from mi_probe.tasks import Task

SITE, CHECKPOINT = "site:", "checkpoint:"
OF_TEXTS = ("words", "length")
_MOST_KINDS = 256
_WORDS = 50
"""Leading directions of TF-IDF at most, a tenth of the rows at most."""


def check_given(name: str) -> None:
    """Refuse what cannot be given, before anything is read.

    Raises:
        InputError: for no name, or the model's own answers.
    """
    if name == "answer":
        raise InputError(
            "given must not be 'answer': no label probabilities of a model's own are kept "
            "to compare with. Put them into columns of your file and name these."
        )
    if not name or name in (SITE, CHECKPOINT):
        raise InputError(
            f"given must be a column of the data, {', '.join(OF_TEXTS)}, {SITE}NAME or "
            f"{CHECKPOINT}PATH; got '{name}'."
        )


def column_of(name: str) -> str | None:
    """The column of the task's table that a name stands for; None for none."""
    own = name in OF_TEXTS or name.startswith((SITE, CHECKPOINT))
    return None if own else name


def given_text(
    name: str, task: Task, n_tokens: Sequence[int] | None = None
) -> Float[np.ndarray, "n k"]:
    """Words, length, or a column of the task's table, as vectors.

    Args:
        name: what is given.
        task: the rows.
        n_tokens: of each prompt; without them length is that of characters.

    Raises:
        InputError: for a column that the task has not, that has gaps or too many kinds.
    """
    if name == "words":
        return words_of(task.prompts)
    if name == "length":
        characters = [len(prompt) for prompt in task.prompts]
        counts = [characters] if n_tokens is None else [characters, list(n_tokens)]
        return np.log1p(np.array(counts, dtype=float).T)
    if name not in task.columns:
        has = ", ".join(repr(one) for one in task.columns) or "none beside its prompts"
        raise InputError(
            f"given must be {', '.join(OF_TEXTS)}, {SITE}NAME, {CHECKPOINT}PATH, or a "
            f"column of task '{task.name}', which keeps {has}; got '{name}'."
        )
    return _numbers_or_kinds(name, task.columns[name])


def words_of(texts: Sequence[str]) -> Float[np.ndarray, "n k"]:
    """TF-IDF of words and pairs of words, in its leading directions; label-free."""
    found = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    try:
        weights = found.fit_transform(texts)
    except ValueError as error:
        raise InputError(
            "given 'words' needs prompts that share words; no word is in two of them."
        ) from error
    most = min(_WORDS, max(1, len(texts) // 10), weights.shape[1] - 1)
    if most < 1:
        return np.asarray(weights.todense())
    return TruncatedSVD(most, random_state=0).fit_transform(weights)


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
