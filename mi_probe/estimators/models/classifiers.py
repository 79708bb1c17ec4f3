r"""Classifiers of scikit-learn as probes: a support vector machine, a forest, boosting.

Each round of boosting, which is also a member of the stack, adds one small tree a class to
the log odds,

.. math:: F_{t+1}(z) = F_t(z) + \eta \, \mathrm{tree}_t(z)

fitted to the gradient of the log likelihood. The rounds are a path: fewer rounds are a
stronger regularisation. Trees split along axes, so they are given columns in which a cut
may mean something: the stack's X's own and `independent_axes`, a probe's the telling
directions instead of the raw columns, where these are more than ``width``.

References:
    Friedman 2001, Greedy function approximation: a gradient boosting machine.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.gaussian import Subspace
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitPath,
    PredictClasses,
    of_coordinates,
)


@dataclass(frozen=True)
class Svm:
    """Linear machines, of x and of random features of a Gaussian kernel (Nystroem).

    Margins are no probabilities: calibrate them (Platt). In many dimensions the kernel
    sees the telling directions only, since distances between all coordinates tell little.
    """

    features: int = 200
    """Rows that the kernel is approximated with."""
    width: int = 32
    """Telling directions, in more dimensions than that."""
    bandwidths: tuple[float, ...] = (0.5, 1.5)
    """Of the kernel, relative to the root of twice the dimensions."""
    regularisation: float = 0.1
    """scikit-learn's C."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """The linear machine and one for each bandwidth."""
        from sklearn.kernel_approximation import Nystroem

        subspace = telling_subspace(rows, self.width)
        u = subspace(rows.vectors)
        found = {"linear": self._machine(rows, u, subspace, None, rng)}
        for bandwidth in self.bandwidths:
            kernel = Nystroem(
                gamma=1 / (4 * u.shape[1] * bandwidth**2),
                n_components=min(self.features, len(u)),
                random_state=int(rng.integers(2**31)),
            ).fit(u)
            name = f"bandwidth={bandwidth:g}"
            found[name] = self._machine(rows, u, subspace, kernel.transform, rng)
        return FitPath(found)

    def _machine(
        self,
        rows: ClassRows,
        u: Float[np.ndarray, "n m"],
        subspace: Subspace,
        lift: Callable[[np.ndarray], np.ndarray] | None,
        rng: np.random.Generator,
    ) -> PredictClasses:
        from sklearn.svm import LinearSVC

        def features(values: np.ndarray) -> np.ndarray:
            # Kernel features are bounded; beside them the plain coordinates are a start.
            return values if lift is None else np.hstack([values, 5 * lift(values)])

        machine = LinearSVC(
            C=self.regularisation,
            dual="auto",
            tol=1e-3,
            max_iter=200,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():
            # A fit stopped early is still a fit; it is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine.fit(features(u), rows.y)

        def margins(x: np.ndarray) -> np.ndarray:
            values = machine.decision_function(features(subspace(x)))
            if values.ndim == 1:
                # One margin for the second class against the first.
                values = np.stack([-values, values], axis=1)
            # Of a class without rows here what a machine says of one with hardly any: the
            # machine that is fitted again may know it, and keeps this one's calibration.
            full = np.full((len(x), len(rows.log_prior)), -1.0)
            full[:, rows.present] = values
            return full

        return margins


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
