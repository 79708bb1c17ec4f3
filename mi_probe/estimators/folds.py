"""Which rows a critic may see: folds for the reported value, a split for its choices."""

import numpy as np
from jaxtyping import Bool, Int

from mi_probe.estimators.targets import Classes, Scores
from mi_probe.estimators.tokens import TokenSequences


def assign_folds(
    target: Classes | Scores | TokenSequences, n_folds: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """A fold 0 ... n_folds-1 for each example; classes are spread evenly over them."""
    shuffled = rng.permutation(len(target))
    if isinstance(target, Classes):
        # A stable sort by class keeps the shuffled order inside each class.
        shuffled = shuffled[np.argsort(target.index[shuffled], kind="stable")]
    fold = np.empty(len(target), dtype=np.int64)
    fold[shuffled] = np.arange(len(target)) % n_folds
    return fold


def choose_validation(
    rows: Int[np.ndarray, " m"], share: float, rng: np.random.Generator
) -> Bool[np.ndarray, " m"]:
    """True for the rows that stop the training and choose the critic."""
    chosen = np.zeros(len(rows), dtype=bool)
    chosen[rng.permutation(len(rows))[: max(1, round(share * len(rows)))]] = True
    return chosen
