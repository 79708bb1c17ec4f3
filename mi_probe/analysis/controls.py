"""Controls: what simpler things than hidden states know about Y.

A number of nats means little alone. Beside I(Y;Z) stands what the prompt's words know, its
length, the embeddings, the same architecture with random weights, labels that were drawn at
random, and what the model itself says, asked for the label or for the text. This module
names the controls and makes the features of those that read texts alone; all of it knows no
label.

==================  ====================================================================
control             what is measured
==================  ====================================================================
``words``           TF-IDF of the prompt's own text
``length``          how many tokens and characters the prompt has
``answer``          the model's own label probabilities, as they are and calibrated
``likelihood``      the same model's p(text | label), as they are and calibrated
``embeddings``      the mean of the embeddings that the prompt's tokens have
``random_weights``  the states of the same architecture with random weights
``random_labels``   the states, of labels drawn at random a group: 0 but for noise
==================  ====================================================================

References:
    Hewitt and Liang 2019, Designing and Interpreting Probes with Control Tasks, 1909.03368.
    Min et al. 2022, Noisy Channel Language Model Prompting, 2108.04106 (``likelihood``).
    Deerwester et al. 1990, Indexing by Latent Semantic Analysis (TF-IDF in few columns).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from mi_probe.errors import InputError, check_known
from mi_probe.predgen.label_probabilities import answer_log_probabilities
from mi_probe.tasks import Task

__all__ = [
    "CHEAP",
    "CONTROLS",
    "answer_log_probabilities",
    "chosen_controls",
    "length_features",
    "random_labels",
    "tf_idf",
    "words_features",
]

CONTROLS = (
    *("words", "length", "answer", "likelihood"),
    *("embeddings", "random_weights", "random_labels"),
)
"""Every control, in the order in which they are listed."""
CHEAP = ("words", "length", "answer")
"""Those that are measured unless others are asked for."""
_WORD = r"(?u)\w+|[^\w\s]"
"""A word, or a mark: an exclamation mark tells, too."""
_FEWEST, _MOST, _ROWS_A_COLUMN = 20, 300, 6
"""Columns of `words_features` at least and at most, and rows that each needs."""


def chosen_controls(wanted: Sequence[str]) -> tuple[str, ...]:
    """The controls that a user names, in the order of `CONTROLS`.

    ``none`` is none of them, ``all`` all.

    Raises:
        InputError: on an unknown name, one that comes twice, or ``none`` or ``all`` beside
            another.

    >>> chosen_controls(["length", "words"])
    ('words', 'length')
    """
    names = list(wanted)
    if names in (["none"], []):
        return ()
    if names == ["all"]:
        return CONTROLS
    check_known("controls", tuple(names), CONTROLS, "Or 'all' or 'none' alone.")
    if len(set(names)) < len(names):
        raise InputError(f"controls must be named once each; got {', '.join(names)}.")
    return tuple(name for name in CONTROLS if name in names)


def tf_idf(texts: Sequence[str]) -> csr_matrix:
    """TF-IDF (n, words) of words, marks and pairs of them, a row a text of length 1.

    A word that one text alone has says nothing of another and is left out. The weights know
    all texts and no label, so held-out values stay held out.

    Args:
        texts: one a row.
    """
    for fewest in (2, 1):
        try:
            found = TfidfVectorizer(
                token_pattern=_WORD, ngram_range=(1, 2), min_df=fewest, sublinear_tf=True
            ).fit_transform(list(texts))
        except ValueError:  # no word at all, or none that two texts share
            continue
        return csr_matrix(found)
    return csr_matrix((len(texts), 1))


def words_features(
    texts: Sequence[str], *, width: int | None = None, seed: int = 0
) -> Float[np.ndarray, "n d"]:
    r"""What the words of texts say, in as few columns as so many rows can carry.

    With T the TF-IDF (`tf_idf`), :math:`T \approx U S V^\top` of few columns and R a random
    rotation, the features are U S R. Rotated, all columns vary about alike, so that an
    estimator that scales its columns still sees T's own distances. Fitted on all texts and
    on no label.

    Not to be trusted for *all* that the words tell where texts are many: what a thousand
    rare words tell does not fit into 300 columns (`words` as a control also asks a logistic
    regression of T itself).

    Args:
        texts: one a row.
        width: columns; None: one in six of the rows, 20 to 300 of them.
        seed: of the decomposition and the rotation.

    Returns:
        Features, a row a text; fewer columns where the texts have fewer words.

    >>> words_features(["good film", "bad film", "good plot"], width=2).shape
    (3, 2)
    """
    found = tf_idf(texts)
    assert found.shape is not None
    if width is None:
        width = min(max(len(texts) // _ROWS_A_COLUMN, _FEWEST), _MOST)
    width = min(width, len(texts), found.shape[1])
    if width == found.shape[1]:
        return found.toarray().astype(np.float64)
    reduced = TruncatedSVD(width, random_state=seed).fit_transform(found)
    rng = np.random.default_rng([seed, 7])
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    return np.asarray((reduced - reduced.mean(0)) @ rotation, dtype=np.float64)


def length_features(
    texts: Sequence[str], tokens: Sequence[int]
) -> Float[np.ndarray, "n 2"]:
    """The number of tokens and of characters of each text.

    Args:
        texts: the prompts.
        tokens: how many tokens the model read of each.

    >>> length_features(["good film"], [3])
    array([[3., 9.]])
    """
    counts = [[n, len(text)] for n, text in zip(tokens, texts, strict=True)]
    return np.array(counts, dtype=np.float64).reshape(-1, 2)


def random_labels(task: Task, *, seed: int = 0) -> Task:
    """The task with labels drawn at random: those there are, dealt out anew.

    Class shares stay (about, where groups are large), and with them H(Y). All rows of a
    group get one label, so that nothing but the group could be known. Rows without groups,
    ordered ones too (`Task.blocks`), are permuted one by one.

    Args:
        task: the rows.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 8])
    if task.groups is None:
        return replace(task, labels=task.labels[rng.permutation(len(task))])
    group = np.unique(np.asarray(task.groups), return_inverse=True)[1].reshape(-1)
    sizes = np.bincount(group)
    order = rng.permutation(len(sizes))
    middle = np.cumsum(sizes[order]) - (sizes[order] + 1) // 2
    # Along sorted labels, middles of groups in random order meet each as often as rows do.
    given = np.empty(len(sizes), dtype=task.labels.dtype)
    given[order] = np.sort(task.labels)[middle]
    return replace(task, labels=given[group])
