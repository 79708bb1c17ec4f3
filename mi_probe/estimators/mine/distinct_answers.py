"""Answers in tokens as Y: where padding was says nothing; those that repeat are classes."""

import numpy as np

from mi_probe.estimators.core.targets import Classes, TokenSequences


def packed(y: TokenSequences) -> TokenSequences:
    """Each answer's tokens moved to the front."""
    order = np.argsort(~y.mask, axis=1, kind="stable")
    ids, mask = (np.take_along_axis(part, order, axis=1) for part in (y.ids, y.mask))
    longest = int(mask.sum(1).max())
    return TokenSequences(np.maximum(ids, 0)[:, :longest], mask[:, :longest])


def distinct_answers(y: TokenSequences) -> Classes | None:
    """Each distinct answer as a class; None where too few of them repeat for H(Y)."""
    if y.entropy is None:
        return None
    ids = packed(y).ids
    names, index = np.unique(ids, axis=0, return_inverse=True)
    texts = (" ".join(str(token) for token in name if token >= 0) for name in names)
    return Classes(index.reshape(-1), tuple(texts))
