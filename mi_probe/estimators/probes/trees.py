"""Trees as probes: a random forest, and gradient boosting.

Trees split along axes. In more than ``width`` dimensions they are shown the telling
directions instead of the raw columns, where the split they look for lies along an axis.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.conditional.models import ClassPath, ClassRows, PredictClasses
from mi_probe.estimators.conditional.subspace import telling_subspace

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
    ) -> ClassPath:
        """One forest."""
        from sklearn.ensemble import RandomForestClassifier

        coordinates = _coordinates(rows, self.width)
        forest = RandomForestClassifier(
            self.trees,
            min_samples_leaf=max(self.leaf, round(len(rows) ** 0.5 / 4)),
            random_state=int(rng.integers(2**31)),
        ).fit(coordinates(rows.vectors), rows.y)
        predict = _log_probabilities(rows, coordinates, forest.predict_proba)
        return ClassPath({"forest": predict})


@dataclass(frozen=True)
class Boosting:
    """Histogram gradient boosting, along the path of its own rounds."""

    rounds: tuple[int, ...] = (8, 25, 80)
    learning_rate: float = 0.15
    leaves: int = 15
    width: int = 48

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> ClassPath:
        """The model after so many rounds; one fit."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        coordinates = _coordinates(rows, self.width)
        model = HistGradientBoostingClassifier(
            learning_rate=self.learning_rate,
            max_iter=max(self.rounds),
            max_leaf_nodes=self.leaves,
            l2_regularization=1.0,
            early_stopping=False,  # pyright: ignore[reportArgumentType]
            random_state=int(rng.integers(2**31)),
        ).fit(coordinates(rows.vectors), rows.y)

        def after(rounds: int) -> Callable[[np.ndarray], np.ndarray]:
            def probabilities(u: np.ndarray) -> np.ndarray:
                stages = model.staged_predict_proba(u)
                return next(p for k, p in enumerate(stages, 1) if k == rounds)

            return probabilities

        return ClassPath(
            {
                f"rounds={rounds}": _log_probabilities(rows, coordinates, after(rounds))
                for rounds in self.rounds
            }
        )


def _coordinates(
    rows: ClassRows, width: int
) -> Callable[[Float[np.ndarray, "n d"]], Float[np.ndarray, "n m"]]:
    if rows.vectors.shape[1] <= width:
        return lambda x: x
    return telling_subspace(rows, width)


def _log_probabilities(
    rows: ClassRows,
    coordinates: Callable[[np.ndarray], np.ndarray],
    probabilities: Callable[[np.ndarray], np.ndarray],
) -> PredictClasses:
    def predict(x: np.ndarray) -> np.ndarray:
        return rows.all_classes(np.log(np.maximum(probabilities(coordinates(x)), _FLOOR)))

    return predict
