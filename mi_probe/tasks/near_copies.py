"""Which texts are copies of one another, and so which rows depend on each other.

A copy of a held-out row among the training rows is known by heart. Texts are copies where
they are equal once case, Unicode form, white space and punctuation are levelled, or where
nearly all of their words, weighed by how rare these are, are the same: a word changed, a
line cut off, a signature added.
"""

import re
from array import array
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from mi_probe.errors import InputError
from mi_probe.tasks.ties import levelled

ALIKE = 0.5
"""Weight of the words that two texts share, of the weight of all words of either, from
which one is a near copy of the other."""
_MOST, _MOST_SHARE = 20, 0.01
"""Different texts, and share of all, up to which texts alike are copies; more of them are
one template with other words in it."""
_ENDS = 128
"""Words at either end of a text that are compared."""
_RAREST = 12
"""Rare words of a text by which its copies are looked for."""
_PART = 64
"""Texts that are compared at most, of those that hold one rare word."""
_CANDIDATES = 8
"""Texts with which one is compared in all its words, those that share most rare ones."""
_CHUNK = 4096
"""Texts whose candidates are looked for at once, for bounded memory."""


class Copies(NamedTuple):
    """How many texts have a copy, and in how many groups these are."""

    rows: int
    groups: int
    templated: int = 0
    """Rows that differ from many others in a few words only, and are not grouped for it."""

    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know; nothing where there are no copies."""
        several = "groups" if self.groups > 1 else "group"
        found = (
            f"{self.rows:,} rows in {self.groups:,} {several} of equal or nearly equal "
            "texts",
            f"{self.templated:,} rows differ from many others in a few words only, as "
            "texts of one template do; if they belong together, name their "
            "--group-column",
        )
        return tuple(
            note for note, n in zip(found, (self.rows, self.templated), strict=True) if n
        )


def text_groups(
    texts: Sequence[str], groups: Sequence[Hashable] | None = None
) -> tuple[Int[np.ndarray, " n"], Copies]:
    """A number a row, equal where texts are copies or rows were said to belong together.

    Near copies are found by words: a text's weight is that of its different words, each
    weighing the logarithm of how many times fewer texts hold it than there are. So what
    all prompts share, a template or an instruction, weighs nothing. Half of the weight of
    either text must be shared, and more than any two texts would share by chance: a few
    common words are no copy. Of long texts, 128 words at either end are compared. Where a
    rare word is in more than 64 texts, not all pairs of these are: of a great many texts
    of the same words a near copy may be missed, an equal one never. Paraphrases and
    translations are not found.

    Args:
        texts: the rows' prompts, or their own texts.
        groups: what is known already, a name a row; rows of one name stay together, and
            copies join their groups into one.

    Returns:
        The groups' numbers from 0, in the order of their first rows, and what was found
        among the texts alone.

    Raises:
        InputError: unless groups are one a row.
    """
    if groups is not None and len(groups) != len(texts):
        raise InputError(f"groups must be one a row, {len(texts)} here; got {len(groups)}.")
    known: dict[str, int] = {}
    of_text = np.array([known.setdefault(levelled(t), len(known)) for t in texts], int)
    alike = _near_copies(list(known))
    sizes = np.bincount(alike, minlength=1)
    many = (sizes > max(_MOST, _MOST_SHARE * len(known)))[alike]
    alike[many] = len(sizes) + np.arange(len(known))[many]
    near = _in_order(alike[of_text])
    sizes = np.bincount(near, minlength=1)
    found = Copies(
        int(sizes[sizes > 1].sum()), int((sizes > 1).sum()), int(many[of_text].sum())
    )
    if groups is None:
        return near, found
    return tied([("copy", number) for number in near.tolist()], groups), found


def tied(*columns: Sequence[Hashable | None]) -> Int[np.ndarray, " n"]:
    """A number a row, equal where rows have a name in common, directly or through others.

    Args:
        columns: names, one a row each; one name in two columns is the same name. None
            ties a row to no other.
    """
    n = len(columns[0])
    known: dict[Hashable, int] = {}
    pairs = [
        (row, n + known.setdefault(name, len(known)))
        for column in columns
        for row, name in enumerate(column)
        if name is not None
    ]
    edges = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return _in_order(_joined(n + len(known), *edges)[:n])


def _in_order(groups: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The same groups, numbered from 0 in the order of their first rows."""
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[place].astype(np.int64)


def _joined(
    n: int, left: Int[np.ndarray, " e"], right: Int[np.ndarray, " e"]
) -> Int[np.ndarray, " n"]:
    """The connected component of each of n nodes."""
    edges = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(n, n))
    return connected_components(edges, directed=False)[1].astype(np.int64)


# Scripts without blanks between words: Thai to Burmese and Khmer, kana, Han.
_UNBROKEN = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]+"
)


def _words(text: str) -> Iterator[str]:
    """The words at both ends; of a script without blanks, pairs of characters."""
    pieces = text.split(" ")
    if _UNBROKEN.search(text):
        text = _UNBROKEN.sub(lambda run: f" {' '.join(_pairs(run[0]))} ", text)
        pieces = text.split()
    if len(pieces) <= 2 * _ENDS:
        yield from pieces
    else:
        yield from pieces[:_ENDS]
        yield from pieces[-_ENDS:]


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(max(1, len(run) - 1))]


def _near_copies(texts: list[str]) -> Int[np.ndarray, " n"]:
    """The group of each of several different texts."""
    held, weight = _held_words(texts)
    total = held @ weight
    by_words = csr_array((weight[held.indices], held.indices, held.indptr), held.shape)
    rare = _rare_words(held, weight, total)
    holders = csr_array(rare.T.astype(bool).astype(np.float64))
    found = []
    for start in range(0, len(texts), _CHUNK):
        left, right = _candidates(rare, holders, start)
        shared = held[left].multiply(by_words[right]).sum(axis=1)
        either = total[left] + total[right] - shared
        # Of n texts, half a pair would share this much by chance, were words independent.
        least = np.maximum(ALIKE * either, 2 * np.log(len(texts)))
        found.append(np.stack([left, right])[:, shared >= least])
    if not found:
        return np.zeros(0, dtype=np.int64)
    return _in_order(_joined(len(texts), *np.concatenate(found, axis=1)))


def _held_words(
    texts: list[str],
) -> tuple[csr_array, Float[np.ndarray, " v"]]:
    """Which text holds which word, as ones, and what each word weighs."""
    known: dict[str, int] = {}
    indices, ends = array("q"), array("q", [0])
    for text in texts:
        words = {known.setdefault(word, len(known)) for word in _words(text)}
        indices.extend(words)
        ends.append(len(indices))
    columns = np.frombuffer(indices, dtype=np.int64) if indices else np.zeros(0, np.int64)
    shape = (len(texts), len(known))
    held = csr_array((np.ones(len(columns)), columns, np.asarray(ends)), shape=shape)
    return held, np.log(len(texts) / np.maximum(np.bincount(columns), 1))


def _rare_words(
    held: csr_array, weight: Float[np.ndarray, " v"], total: Float[np.ndarray, " n"]
) -> csr_array:
    """Of each text the rare words by which its near copies are found, as their weights.

    From the rarest on, until what is left weighs less than a near copy must share. A word
    of one text is none's copy. The texts of a frequent word are taken in parts of so many,
    each a column, of like weights together.
    """
    rows = np.repeat(np.arange(len(total)), np.diff(held.indptr))
    words = held.indices
    shared = np.bincount(words, minlength=len(weight))[words] > 1
    rows, words = rows[shared], words[shared]
    # The least telling first, so that a running sum is what is left.
    order = np.lexsort((words, weight[words], rows))
    rows, words = rows[order], words[order]
    left = np.cumsum(weight[words])
    start = np.searchsorted(rows, rows)
    left -= np.concatenate([[0.0], left])[start]
    rank = np.searchsorted(rows, rows, side="right") - 1 - np.arange(len(rows))
    needed = (left >= ALIKE * total[rows] - 1e-6) & (rank < _RAREST)
    rows, words = rows[needed], words[needed]
    order = np.lexsort((total[rows], words))
    rows, words = rows[order], words[order]
    part = (np.arange(len(words)) - np.searchsorted(words, words)) // _PART
    new = np.diff(words, prepend=-1).astype(bool) | np.diff(part, prepend=-1).astype(bool)
    columns = np.cumsum(new) - 1
    shape = (len(total), int(columns[-1]) + 1 if len(columns) else 0)
    return csr_array(coo_array((weight[words], (rows, columns)), shape=shape))


def _candidates(
    rare: csr_array, holders: csr_array, start: int
) -> tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]]:
    """Of each text of a chunk, the few before it that share most of its rare words."""
    found = rare[start : start + _CHUNK] @ holders
    found.sort_indices()
    product = coo_array(found)
    earlier = product.col < product.row + start
    left, right = product.row[earlier].astype(np.int64), product.col[earlier]
    shared = product.data[earlier]
    # By text, most shared first, then by place: one key to sort by, for its cost.
    key = left * (2 * shared.max(initial=0.0) + 1) - shared
    order = np.argsort(key, kind="stable")
    left, right = left[order] + start, right[order]
    best = np.arange(len(left)) - np.searchsorted(left, left) < _CANDIDATES
    return left[best], right[best]
