"""Which rows a critic may see: folds for the reported value, a split for its choices."""

import numpy as np
from jaxtyping import Bool, Int

from mi_probe.estimators.protocol.copies import first_of_each
from mi_probe.estimators.protocol.targets import Classes, Scores
from mi_probe.estimators.protocol.tokens import TokenSequences


def assign_folds(
    target: Classes | Scores | TokenSequences,
    n_folds: int,
    rng: np.random.Generator,
    group: Int[np.ndarray, " n"] | None = None,
) -> Int[np.ndarray, " n"]:
    """A fold 0 ... n_folds-1 for each example; classes are spread evenly over them.

    Args:
        target: Y.
        n_folds: how many.
        rng: draws them.
        group: which examples share a fold, as copies do (`copies_of`); None for none.
    """
    rows = np.arange(len(target)) if group is None else first_of_each(group)
    shuffled = rng.permutation(len(rows))
    if isinstance(target, Classes):
        # A stable sort by class keeps the shuffled order inside each class.
        own = target.index[rows[shuffled]]
        shuffled = shuffled[np.argsort(own, kind="stable")]
    fold = np.empty(len(rows), dtype=np.int64)
    fold[shuffled] = np.arange(len(rows)) % n_folds
    return fold if group is None else fold[group]


def choose_validation(
    rows: Int[np.ndarray, " m"],
    share: float,
    rng: np.random.Generator,
    *,
    most: int | None = None,
) -> Bool[np.ndarray, " m"]:
    """True for the rows that stop the training and choose the critic.

    Args:
        rows: the training rows.
        share: how many of them, as a share.
        rng: draws them.
        most: how many at most: where each is scored against all others, their square is
            what takes the memory.
    """
    count = max(1, round(share * len(rows)))
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[rng.permutation(len(rows))[: count if most is None else min(count, most)]] = True
    return chosen
