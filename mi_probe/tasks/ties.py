"""Which rows are tied: one text but for what copying changes, or one group.

Whoever cuts a data set and whoever refuses trained rows ask the same function, so that
rows which a training could not be measured on never leave it for the other parts.
"""

import re
import unicodedata
from collections.abc import Hashable, Sequence

import numpy as np
from jaxtyping import Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# A sign before a number, and the point or comma within one, are part of what is said.
_MARK = re.compile(r"(?!(?<!\w)-\.?\d)(?!(?<=\d)[.,]\d)(?!(?<!\w)\.\d)[^\w\s]|_")


def levelled(text: str, *, case: bool = False) -> str:
    """A text without what copying changes: Unicode form, blanks, punctuation and case.

    A text of nothing else is itself, but for blanks. Symbols (``+``, an emoji) are no
    punctuation, and a number keeps its sign and its decimal point.

    Args:
        text: to be compared.
        case: keep the case of letters.
    """
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    plain = _MARK.sub(_blank, plain if case else plain.casefold())
    return " ".join(plain.split()) or " ".join(text.split())


def ties(
    texts: Sequence[str], *groupings: Sequence[Hashable | None]
) -> Int[np.ndarray, " n"]:
    """A number a row, the same for rows that may not be parted.

    Rows are tied where their texts are the same, levelled, or where a grouping gives them
    the same name; and so are rows that are tied to one and the same row.

    Args:
        texts: the rows' prompts.
        groupings: a name a row each, such as the speaker or the document; None where a
            row has none.

    Returns:
        Numbers from 0, in the order of the first row of each.
    """
    n = len(texts)
    rows, nodes = [np.arange(n)], [n + _numbered([levelled(text) for text in texts])]
    for names in groupings:
        named = np.array([name is not None for name in names], dtype=bool)
        known = _numbered([name for name in names if name is not None])
        rows.append(np.flatnonzero(named))
        nodes.append(nodes[-1].max(initial=n) + 1 + known)
    left, right = np.concatenate(rows), np.concatenate(nodes)
    size = right.max(initial=n) + 1
    edges = coo_array((np.ones(len(left)), (left, right)), shape=(size, size))
    return _numbered(connected_components(edges, directed=False)[1][:n].tolist())


def _numbered(names: Sequence[Hashable]) -> Int[np.ndarray, " n"]:
    """A number a name, from 0 in the order of their first occurrence."""
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)


def _blank(mark: re.Match[str]) -> str:
    category = unicodedata.category(mark[0])
    if category == "Cf":  # invisible, such as a joiner
        return ""
    return " " if category[0] == "P" or category == "Cc" else mark[0]
