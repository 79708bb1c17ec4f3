r"""Boosted trees as a member of the stack: what has edges along axes.

Each round adds one small tree a class to the log odds,

.. math:: F_{t+1}(z) = F_t(z) + \eta \, \mathrm{tree}_t(z)

fitted to the gradient of the log likelihood. The rounds are a path: fewer rounds are a
stronger regularisation. Trees cut one column at a time, so they are given columns in which
a cut may mean something: X's own, and `independent_axes`.

References:
    Friedman 2001, Greedy function approximation: a gradient boosting machine.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

_RATE = 0.2
_LEAVES = 24
_LEAF_ROWS = 20
_RIDGE = 3.0
_BINS, _FEW_BINS, _FEW_COLUMNS = 255, 63, 8
"""Places of a cut in each of at most so many columns, and of more, where most time goes."""


def fit_trees(
    z: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " m"],
    rows: Int[np.ndarray, " m"],
    log_prior: Float[np.ndarray, " c"],
    rounds: Sequence[int],
    seed: int,
) -> list[Callable[[Int[np.ndarray, " k"]], Float[np.ndarray, "k c"]]]:
    """For each number of rounds a function from rows to unnormalised log posteriors.

    Args:
        z: the columns to cut, of all rows.
        y: the classes of the rows to learn from.
        rows: the rows to learn from.
        log_prior: of all classes; a class that does not occur in ``y`` keeps its own.
        rounds: how many.
        seed: of the binning.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if len(np.unique(y)) < 2:
        return [lambda rows: np.tile(log_prior, (len(rows), 1))] * len(rounds)
    model = HistGradientBoostingClassifier(
        learning_rate=_RATE,
        max_iter=max(rounds),
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=_LEAF_ROWS,
        l2_regularization=_RIDGE,
        max_bins=_BINS if z.shape[1] <= _FEW_COLUMNS else _FEW_BINS,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    )
    # So few rows are learned from faster by one thread than by several that wait.
    with threadpool_limits(1, user_api="openmp"):
        model.fit(z[rows], y)
    return [_predictor(model, z, log_prior, count) for count in rounds]


def _predictor(
    model: Any, z: Float[np.ndarray, "n d"], log_prior: Float[np.ndarray, " c"], count: int
) -> Callable[[Int[np.ndarray, " k"]], Float[np.ndarray, "k c"]]:
    known = model.classes_

    def predict(rows: Int[np.ndarray, " k"]) -> Float[np.ndarray, "k c"]:
        staged = model.staged_predict_proba(z[rows])
        found = next(islice(staged, count - 1, None))
        scores = np.tile(log_prior, (len(rows), 1))
        share = np.log(np.exp(log_prior[known]).sum())
        scores[:, known] = np.log(np.maximum(found, 1e-12)) + share
        return scores

    return predict
