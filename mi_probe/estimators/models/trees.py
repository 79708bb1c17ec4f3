r"""Trees: a random forest, and gradient boosting, also as a member of the stack.

Each round of boosting adds one small tree a class to the log odds,

.. math:: F_{t+1}(z) = F_t(z) + \eta \, \mathrm{tree}_t(z)

fitted to the gradient of the log likelihood. The rounds are a path: fewer rounds are a
stronger regularisation. Trees split along axes, so they are given columns in which a cut
may mean something: the stack's X's own and `independent_axes`, a probe's the telling
directions instead of the raw columns, where these are more than ``width``.

References:
    Friedman 2001, Greedy function approximation: a gradient boosting machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitPath,
    PredictClasses,
    of_coordinates,
)

_FLOOR = 1e-6
"""Probability below which a leaf does not claim to know."""


@dataclass(frozen=True)
class RandomForest:
    """Probabilities averaged over trees."""

    trees: int = 100
    leaf: int = 5
    """Fewest rows in a leaf; a quarter of the root of the rows, where that is more."""
    width: int = 48

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """One forest."""
        from sklearn.ensemble import RandomForestClassifier

        coordinates = _coordinates(rows, self.width)
        forest = RandomForestClassifier(
            self.trees,
            min_samples_leaf=max(self.leaf, round(len(rows) ** 0.5 / 4)),
            random_state=int(rng.integers(2**31)),
        ).fit(coordinates(rows.vectors), rows.y)

        def predict(x: np.ndarray) -> np.ndarray:
            shares = forest.predict_proba(coordinates(x))
            return rows.all_classes(np.log(np.maximum(shares, _FLOOR)))

        return FitPath({"forest": predict})


@dataclass(frozen=True)
class Boosting:
    """Histogram gradient boosting, along the path of its own rounds."""

    rounds: tuple[int, ...] = (8, 25, 80)
    width: int = 48

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """The model after so many rounds; one fit."""
        coordinates = _coordinates(rows, self.width)
        z, seed = coordinates(rows.vectors), int(rng.integers(2**31))
        fits = fit_trees(z, rows.y, rows.log_prior, self.rounds, seed)
        names = (f"rounds={rounds}" for rounds in self.rounds)
        return FitPath(
            {
                n: of_coordinates(coordinates, fit)
                for n, fit in zip(names, fits, strict=True)
            }
        )


def fit_trees(
    z: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    log_prior: Float[np.ndarray, " c"],
    rounds: Sequence[int],
    seed: int,
    bins: int = 255,
) -> list[PredictClasses]:
    """For each number of rounds a function from rows to unnormalised log posteriors.

    Args:
        z: the columns to cut, of the rows to learn from.
        y: their classes.
        log_prior: of all classes; a class that does not occur in ``y`` keeps its own.
        rounds: how many.
        seed: of the binning.
        bins: places of a cut in each column.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if len(np.unique(y)) < 2:
        return [lambda z: np.tile(log_prior, (len(z), 1))] * len(rounds)
    model = HistGradientBoostingClassifier(
        learning_rate=0.2,
        max_iter=max(rounds),
        max_leaf_nodes=24,
        min_samples_leaf=20,
        l2_regularization=3.0,
        max_bins=bins,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    )
    # So few rows are learned from faster by one thread than by several that wait.
    with threadpool_limits(1, user_api="openmp"):
        model.fit(z, y)
    known: Int[np.ndarray, " p"] = np.asarray(model.classes_)
    share = np.log(np.exp(log_prior[known]).sum())

    def predict(z: Float[np.ndarray, "k d"], count: int) -> Float[np.ndarray, "k c"]:
        found = next(islice(model.staged_predict_proba(z), count - 1, None))
        scores = np.tile(log_prior, (len(z), 1))
        scores[:, known] = np.log(np.maximum(found, 1e-12)) + share
        return scores

    return [partial(predict, count=count) for count in rounds]


def _coordinates(
    rows: ClassRows, width: int
) -> Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n m"]]:
    if rows.vectors.shape[1] <= width:
        return lambda x: x
    return telling_subspace(rows, width)
