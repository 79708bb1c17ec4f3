"""The members of the stack for classes: one fit each, on the rows it is given.

A member is a row of `MEMBERS`: a path of places (shrinkage, ridge, width, epochs) and a
function that fits the whole path to a `Sample` and gives, for each place, a function from
rows to unnormalised log posteriors. All read the shared coordinates of `whitened`, but
for trees, which read axes (`models.classifiers`).

============== ============== =========================================================
member         family         finds
============== ============== =========================================================
linear         generative     means: Gaussian classes with one covariance, whitened or not
quadratic      generative     variances and pairs: own covariances in telling directions
network        discriminative anything, in a few telling directions, slowly refined
refined        discriminative the same in many dimensions, refined by Newton steps
mixtures       generative     clusters: Gaussian mixtures in a few telling directions
trees          discriminative edges: boosted trees on X's own and on independent axes
============== ============== =========================================================

A statistics network trained from zero, `mine`, is none of them: on states of language
models the stack is not below it (benchmarks/real_states.md).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.engine.network import (
    ROUNDS,
    SNAPSHOTS,
    Networks,
    Problem,
    train_networks,
    train_refined,
)
from mi_probe.estimators.engine.sample import Predict, Sample, Shared
from mi_probe.estimators.models.classifiers import fit_trees
from mi_probe.estimators.models.directions import CUBIC_LIMIT
from mi_probe.estimators.models.gaussian import (
    Linear,
    Means,
    WithinClasses,
    moments_of_sets,
    quadratics,
)
from mi_probe.estimators.models.mixtures import fit_mixtures

MANY = 64
"""Classes above which members and places are few, so that their scores fit in memory."""
_FEW_CLASSES = 4
"""Up to which noise in the class means has no spread to speak of."""
LINEAR_PATH = (0.003, 0.05, 0.2, 0.5, 0.9)
"""Shrinkage of the covariance within classes."""
QUADRATIC_WIDTHS = (2, 6, 16, 40, 100)
QUADRATIC_SHRINKAGE = (0.02, 0.2, 0.6)
MIXTURES_PATH = ((2, 3), (2, 10))
"""Telling directions, and Gaussians a class."""
_MIXTURE_LIMIT, _MIXTURE_CLASSES = 32, 16
TREES_PATH = (10, 25, 60)
"""Rounds of boosting."""
TREE_LIMIT, _TREE_CLASSES, _TREES = 64, 4, 75
"""Dimensions, classes and trees at most; with two classes a round is one tree."""
_ANY = 10**9
"""Dimensions that no data have."""


@dataclass(frozen=True)
class Member:
    """A row of `MEMBERS`."""

    finds_means: bool
    """Whether differences of class means are all that it finds."""
    costly_above: int
    """Dimensions above which it is tried only where more than means differ."""

    path: Callable[[Shared], list[dict[str, float]]]
    """Its places in these coordinates; none where it has no use."""
    fit: Callable[[Sequence[Sample], Sequence[dict[str, float]]], Iterable[list[Predict]]]
    """The whole path for each sample in turn."""
    piloted: bool = False
    """Whether more rows are spent on it only where a quarter of them shows that it adds."""

    def late(self, dimensions: int) -> bool:
        """Whether it is tried only where more than means differ."""
        return dimensions > self.costly_above


def _networks(
    train: Callable[..., Networks], setting: str, lengths: Sequence[int]
) -> Callable[[Sequence[Sample], Sequence[dict[str, float]]], list[list[Predict]]]:
    """All samples' networks at once, kept after several lengths of their training.

    Args:
        train: makes the networks.
        setting: of the path, that says how long.
        lengths: after which they are kept.
    """

    def fit(
        samples: Sequence[Sample], path: Sequence[dict[str, float]]
    ) -> list[list[Predict]]:
        shared = samples[0].shared
        problems = [
            Problem(sample.rows, sample.bottleneck, sample.log_prior, sample.seed)
            for sample in samples
        ]
        asked = [int(place[setting]) for place in path]
        networks = train(shared.u_tensor, shared.y_tensor, problems, max(asked))
        places = [lengths.index(length) for length in asked]
        return [
            [_network(shared, networks, number, place) for place in places]
            for number in range(len(samples))
        ]

    return fit


def _fit_mixtures(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    found, told = [], sample.told()
    for place in path:
        z, parts = told[:, : int(place["width"])], int(place["parts"])
        fit = fit_mixtures(z[sample.rows], sample.y, sample.log_prior, parts, sample.seed)
        found.append(_reading(z, fit))
    return found


def _fit_trees(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    rounds, z = [int(place["rounds"]) for place in path], sample.shared.cuts
    # Where columns are more than a few, binning is where most time goes.
    bins = 255 if z.shape[1] <= 8 else 63
    own, prior = z[sample.rows], sample.log_prior
    fits = fit_trees(own, sample.y, prior, rounds, sample.seed, bins)
    return [_reading(z, fit) for fit in fits]


def _reading(
    z: Float[np.ndarray, "n m"], fit: Callable[[np.ndarray], np.ndarray]
) -> Predict:
    """A fit of some columns as a function of rows."""
    return lambda rows: fit(z[rows])


def _each(fit: Callable[[Sample, Sequence[dict[str, float]]], list[Predict]]) -> Any:
    """A fit to several samples, each made when the one before was read."""
    return lambda samples, path: (fit(sample, path) for sample in samples)


def _network(shared: Shared, networks: Networks, number: int, place: int) -> Predict:
    return lambda rows: networks.scores(shared.u_tensor, rows, number, place)


def _linear_path(shared: Shared) -> list[dict[str, float]]:
    # Scores of every place are held: with many classes, of few places. Of few classes all
    # ways to shrink means are one.
    if shared.n_classes > MANY:
        ways, path = [(0, "spiked")], LINEAR_PATH[1:4:2]
    elif shared.n_classes <= _FEW_CLASSES:
        ways, path = [(0, "shrunk"), (1, "shrunk")], LINEAR_PATH
    else:
        ways = [(0, "shrunk"), (0, "spiked"), (1, "sample"), (1, "shrunk")]
        path = LINEAR_PATH
    return [
        {"shrinkage": s, "means": float(MEANS.index(means)), "columns": float(columns)}
        for columns, means in ways
        for s in path
    ]


def _quadratic_path(shared: Shared) -> list[dict[str, float]]:
    d = shared.u.shape[1]
    if shared.n_classes > MANY:
        return []
    enough = next((w for w in QUADRATIC_WIDTHS if w >= d), QUADRATIC_WIDTHS[-2])
    widths = [min(w, d) for w in QUADRATIC_WIDTHS if w <= enough]
    return [
        {"width": float(w), "shrinkage": s} for w in widths for s in QUADRATIC_SHRINKAGE
    ]


def _network_path(shared: Shared) -> list[dict[str, float]]:
    if shared.n_classes > MANY:
        return [{"epochs": float(SNAPSHOTS[1])}]
    if shared.u.shape[1] > CUBIC_LIMIT:
        return []
    return [{"epochs": float(e)} for e in SNAPSHOTS]


def _refined_path(shared: Shared) -> list[dict[str, float]]:
    if shared.n_classes > MANY or shared.u.shape[1] <= CUBIC_LIMIT:
        return []
    return [{"rounds": float(number)} for number in ROUNDS]


def _mixtures_path(shared: Shared) -> list[dict[str, float]]:
    d = shared.u.shape[1]
    if d > _MIXTURE_LIMIT or shared.n_classes > _MIXTURE_CLASSES:
        return []
    sizes = dict.fromkeys((min(width, d), parts) for width, parts in MIXTURES_PATH)
    return [{"width": float(w), "parts": float(p)} for w, p in sizes]


def _trees_path(shared: Shared) -> list[dict[str, float]]:
    if shared.u.shape[1] > TREE_LIMIT or shared.n_classes > _TREE_CLASSES:
        return []
    a_round = 1 if shared.n_classes == 2 else shared.n_classes
    return [{"rounds": float(r)} for r in TREES_PATH if r * a_round <= _TREES]


MEANS: tuple[Means, ...] = ("sample", "shrunk", "spiked")
"""By their number in a path."""


def fit_linear(
    samples: Sequence[Sample], path: Sequence[dict[str, float]]
) -> list[list[Predict]]:
    """Gaussian classes with one covariance, shrunk as each place says; means shrunk too.

    A place has the ``shrinkage``, the ``means``, and whether it is that of X's own
    ``columns`` or of whitened coordinates. Those that differ in means alone share a factor.
    """
    shared = samples[0].shared
    towards = {0.0: shared.white, 1.0: shared.independent}
    # Of each covariance, the class means that it serves.
    wanted: dict[tuple[float, float], list[Means]] = {}
    for place in path:
        way = MEANS[int(place["means"])]
        wanted.setdefault((place["columns"], place["shrinkage"]), []).append(way)
    found = []
    rows = [sample.rows for sample in samples]
    for moments in moments_of_sets(shared.u, shared.y, shared.n_classes, rows):
        made = WithinClasses(moments).linears(wanted, towards)
        left = {key: iter(fits) for key, fits in made.items()}
        own = [next(left[place["columns"], place["shrinkage"]]) for place in path]
        found.append(_affine(shared, own))
    return found


def fit_quadratic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    """Gaussian classes with covariances of their own, in the most telling directions."""
    width = int(max(place["width"] for place in path))
    z = sample.told()[:, :width]
    wanted = [(int(place["width"]), place["shrinkage"]) for place in path]
    fits = quadratics(z[sample.rows], sample.y, sample.shared.n_classes, wanted)
    return [_reading(z, fit) for fit in fits]


def _affine(shared: Shared, path: Sequence[Linear]) -> list[Predict]:
    """Predictions of a whole path, made together: most of their time is reading rows."""
    coefficients = np.concatenate([fit.coefficients for fit in path], axis=1)
    intercept = np.concatenate([fit.intercept for fit in path])
    known: dict[bytes, np.ndarray] = {}

    def predict(rows: np.ndarray, place: int) -> np.ndarray:
        key = rows.tobytes()
        if key not in known:
            scores = shared.u[rows] @ coefficients + intercept
            known[key] = scores.reshape(len(rows), len(path), -1)
        return known[key][:, place]

    return [partial(predict, place=place) for place in range(len(path))]


MEMBERS: dict[str, Member] = {
    "linear": Member(True, _ANY, _linear_path, fit_linear),
    "quadratic": Member(False, _ANY, _quadratic_path, _each(fit_quadratic)),
    "network": Member(
        False, CUBIC_LIMIT, _network_path, _networks(train_networks, "epochs", SNAPSHOTS)
    ),
    "refined": Member(False, 0, _refined_path, _networks(train_refined, "rounds", ROUNDS)),
    "mixtures": Member(False, 0, _mixtures_path, _each(_fit_mixtures), True),
    "trees": Member(False, 0, _trees_path, _each(_fit_trees), True),
}
