"""The members of the stack for classes: one fit each, on the rows it is given.

A member is a row of `MEMBERS`: a path of places (shrinkage, ridge, width, epochs) and a
function that fits the whole path to a `Sample` and gives, for each place, a function from
rows to unnormalised log posteriors. All read the shared coordinates of `whitened`, but
for trees, which read axes (`boosted_trees`).

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mi_probe.estimators.classes.boosted_trees import fit_trees
from mi_probe.estimators.classes.discriminants import (
    MEANS,
    fit_linear,
    fit_quadratic,
)
from mi_probe.estimators.classes.mixtures import fit_mixtures
from mi_probe.estimators.classes.network import SNAPSHOTS, Networks, Problem, train_networks
from mi_probe.estimators.classes.refined import ROUNDS, train_refined
from mi_probe.estimators.classes.sample import Predict, Sample, Shared
from mi_probe.estimators.classes.telling import CUBIC_LIMIT

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
    fit: Callable[[Sequence[Sample], Sequence[dict[str, float]]], list[list[Predict]]]
    """The whole path for each sample."""
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
    return [
        fit_mixtures(
            sample.told[:, : int(place["width"])],
            sample.y,
            sample.rows,
            sample.log_prior,
            int(place["parts"]),
            sample.seed,
        )
        for place in path
    ]


def _fit_trees(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    rounds = [int(place["rounds"]) for place in path]
    cuts, prior = sample.shared.cuts, sample.log_prior
    return fit_trees(cuts, sample.y, sample.rows, prior, rounds, sample.seed)


def _each(fit: Callable[[Sample, Sequence[dict[str, float]]], list[Predict]]) -> Any:
    """A fit to several samples, one after another."""
    return lambda samples, path: [fit(sample, path) for sample in samples]


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
