"""The members of the stack for classes: one fit each, on the rows it is given.

A member is a row of `MEMBERS`: a path of places (shrinkage, ridge, width, epochs) and a
function that fits the whole path to a `Sample` and gives, for each place, a function from
rows to unnormalised log posteriors. All read the shared coordinates of `whitened`, but
for trees, which read axes (`trees`).

============== ============== =========================================================
member         family         finds
============== ============== =========================================================
linear         generative     means: Gaussian classes with one covariance
quadratic      generative     variances and pairs: own covariances in telling directions
logistic       discriminative means: multinomial logistic regression
neighbours     non-parametric anything, in few dimensions
network        discriminative anything, in a few (refined) telling directions
mixtures       generative     clusters: Gaussian mixtures in a few telling directions
trees          discriminative edges: boosted trees on X's own and on independent axes
============== ============== =========================================================
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.linalg import cho_solve
from scipy.spatial import KDTree

from mi_probe.estimators.classes.axes import independent_axes
from mi_probe.estimators.classes.boosted_trees import fit_trees
from mi_probe.estimators.classes.mixtures import fit_mixtures
from mi_probe.estimators.classes.network import SNAPSHOTS, Networks, Problem, train_networks
from mi_probe.estimators.classes.telling import (
    CUBIC_CLASSES,
    CUBIC_LIMIT,
    second_order,
    third_order,
)

Predict = Callable[[Int[np.ndarray, " k"]], Float[np.ndarray, "k c"]]

MANY = 64
"""Classes above which members and places are few, so that their scores fit in memory."""
LINEAR_PATH = (0.003, 0.05, 0.2, 0.5, 0.9)
"""Shrinkage of the covariance within classes towards I."""
QUADRATIC_WIDTHS = (2, 6, 16, 40, 100)
QUADRATIC_SHRINKAGE = (0.02, 0.2, 0.6)
LOGISTIC_PATH = (0.001, 0.01, 0.1)
"""scikit-learn's C; smaller is stronger."""
NEIGHBOURS_PATH = (10, 30, 80)
_NEIGHBOURS = 200
_NEAR_DIMENSIONS = 6
"""Dimensions up to which near means something."""
MIXTURES_PATH = ((2, 3), (2, 10))
"""Telling directions, and Gaussians a class."""
_MIXTURE_LIMIT, _MIXTURE_CLASSES = 32, 16
TREES_PATH = (10, 25, 60)
"""Rounds of boosting."""
TREE_LIMIT, _TREE_CLASSES, _TREES = 64, 4, 75
"""Dimensions, classes and trees at most; with two classes a round is one tree."""
_BOTTLENECK = 12
_ANY = 10**9
"""Dimensions that no data have."""


@dataclass
class Shared:
    """What all fits to one view share."""

    u: Float[np.ndarray, "n d"]
    y: Int[np.ndarray, " n"]
    n_classes: int
    device: str = "cpu"
    columns: Float[np.ndarray, "n k"] | None = None
    """X's own, standardised, where trees may cut them; else they cut the coordinates."""

    @cached_property
    def cuts(self) -> Float[np.ndarray, "n k"]:
        """Columns that trees cut: X's own, and independent axes where these are sought."""
        own = self.u if self.columns is None else self.columns
        return np.concatenate([own, independent_axes(self.u)], axis=1)

    @cached_property
    def neighbours(self) -> Int[np.ndarray, "n k"]:
        """Nearest rows of each row, itself left out."""
        count = min(_NEIGHBOURS, len(self.u) - 1)
        tree = KDTree(self.u)
        found = np.asarray(tree.query(self.u, count + 1)[1])
        # With duplicated rows a row need not come first in its own list.
        own = found == np.arange(len(found))[:, None]
        own[~own.any(1), -1] = True
        return found[~own].reshape(len(found), count)

    @cached_property
    def u_tensor(self) -> torch.Tensor:
        """The coordinates where networks are trained."""
        return torch.as_tensor(self.u).to(self.device)

    @cached_property
    def y_tensor(self) -> torch.Tensor:
        """The classes where networks are trained."""
        return torch.as_tensor(self.y).to(self.device)


@dataclass
class Sample:
    """The rows that a fit may learn from."""

    shared: Shared
    rows: Int[np.ndarray, " m"]
    seed: int
    log_prior: Float[np.ndarray, " c"] = field(init=False)

    def __post_init__(self) -> None:
        # Half a row a class keeps a class that is missing here possible elsewhere.
        counts = np.bincount(self.y, minlength=self.shared.n_classes) + 0.5
        self.log_prior = np.log(counts / counts.sum())

    @property
    def u(self) -> Float[np.ndarray, "m d"]:
        """The rows' coordinates."""
        return self.shared.u[self.rows]

    @property
    def y(self) -> Int[np.ndarray, " m"]:
        """The rows' classes."""
        return self.shared.y[self.rows]

    @cached_property
    def directions(self) -> Float[np.ndarray, "d k"]:
        """Directions that tell something, by means and covariances, best first."""
        return second_order(self.u, self.y, self.shared.n_classes)

    @cached_property
    def bottleneck(self) -> Float[np.ndarray, "d q"]:
        """Where a network's directions start."""
        d = self.u.shape[1]
        if d <= _BOTTLENECK:
            return np.eye(d, dtype=np.float32)
        chosen = self.directions[:, :_BOTTLENECK]
        if d <= CUBIC_LIMIT and self.shared.n_classes <= CUBIC_CLASSES:
            half = _BOTTLENECK // 2
            third = third_order(self.u, self.y, self.shared.n_classes, half)
            chosen = np.concatenate([self.directions[:, :half], third], axis=1)
        return chosen


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


def _fit_linear(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    means, scatter = _class_means(sample.u, sample.y, sample.shared.n_classes)
    within = scatter / max(len(sample.rows) - sample.shared.n_classes, 1)
    found: list[Predict] = []
    for place in path:
        shrunk = (1 - place["shrinkage"]) * within
        shrunk[np.diag_indices_from(shrunk)] += place["shrinkage"]
        solved = cho_solve((np.linalg.cholesky(shrunk), True), means.T)
        constant = sample.log_prior - 0.5 * (means.T * solved).sum(0)
        found.append(_affine(sample.shared, solved, constant))
    return found


def _fit_quadratic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    n_classes = sample.shared.n_classes
    width = int(max(place["width"] for place in path))
    directions = sample.directions[:, :width]
    z = sample.u @ directions
    means, scatter = _class_means(z, sample.y, n_classes)
    within = scatter / max(len(z) - n_classes, 1)
    covariances = []
    for c, mean in enumerate(means):
        difference = z[sample.y == c] - mean
        # One prior observation stands in where a class has too few rows.
        covariances.append((difference.T @ difference + within) / (len(difference) + 1))
    covariance = np.stack(covariances).astype(np.float64)
    found: list[Predict] = []
    for place in path:
        m, shrinkage = int(place["width"]), place["shrinkage"]
        shrunk = (1 - shrinkage) * covariance[:, :m, :m] + shrinkage * within[:m, :m]
        shrunk[:, range(m), range(m)] += 1e-6
        inverse = np.linalg.inv(shrunk).astype(np.float32)
        offset = sample.log_prior - 0.5 * np.linalg.slogdet(shrunk)[1]
        found.append(
            _quadratic(sample.shared, directions[:, :m], means[:, :m], inverse, offset)
        )
    return found


def _fit_logistic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=60, tol=2e-3)
    found: list[Predict] = []
    for place in path:
        model.set_params(C=place["inverse_ridge"])
        with warnings.catch_warnings():
            # A fit stopped early is still a fit; the path is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            if len(np.unique(sample.y)) < 2:
                return [_affine(sample.shared, *_nothing(sample))] * len(path)
            model.fit(sample.u, sample.y)
        weights, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            # One row for the second class against the first.
            weights = np.concatenate([-weights / 2, weights / 2])
            bias = np.concatenate([-bias / 2, bias / 2])
        coefficients, intercept = _nothing(sample)
        coefficients[:, model.classes_] = weights.T
        # A class without rows here keeps its small prior beside the others' biases.
        intercept[model.classes_] = bias + sample.log_prior[model.classes_].mean()
        found.append(_affine(sample.shared, coefficients, intercept))
    return found


def _fit_neighbours(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    seen = np.zeros(len(sample.shared.y), dtype=bool)
    seen[sample.rows] = True
    return [_near(sample, seen, int(place["neighbours"])) for place in path]


def _fit_networks(
    samples: Sequence[Sample], path: Sequence[dict[str, float]]
) -> list[list[Predict]]:
    shared = samples[0].shared
    problems = [
        Problem(sample.rows, sample.bottleneck, sample.log_prior, sample.seed)
        for sample in samples
    ]
    epochs = int(max(place["epochs"] for place in path))
    networks = train_networks(shared.u_tensor, shared.y_tensor, problems, epochs)
    places = [SNAPSHOTS.index(int(place["epochs"])) for place in path]
    return [
        [_network(shared, networks, number, place) for place in places]
        for number in range(len(samples))
    ]


def _fit_mixtures(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    z = sample.shared.u @ sample.directions[:, : int(max(p["width"] for p in path))]
    return [
        fit_mixtures(
            z[:, : int(place["width"])],
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


def _class_means(
    u: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], n_classes: int
) -> tuple[Float[np.ndarray, "c d"], Float[np.ndarray, "d d"]]:
    """Class means, and the scatter around them."""
    member = np.zeros((n_classes, len(u)), dtype=u.dtype)
    member[y, np.arange(len(u))] = 1
    counts = member.sum(1)
    means = (member @ u) / np.maximum(counts, 1)[:, None]
    # A class without rows here sits at the overall mean and tells nothing.
    means[counts == 0] = u.mean(0)
    weighted = means * np.sqrt(counts)[:, None]
    return means, u.T @ u - weighted.T @ weighted


def _nothing(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    shape = (sample.shared.u.shape[1], sample.shared.n_classes)
    return np.zeros(shape, dtype=np.float32), sample.log_prior.copy()


def _affine(shared: Shared, coefficients: np.ndarray, intercept: np.ndarray) -> Predict:
    return lambda rows: shared.u[rows] @ coefficients + intercept


def _quadratic(
    shared: Shared,
    directions: Float[np.ndarray, "d m"],
    means: Float[np.ndarray, "c m"],
    inverses: Float[np.ndarray, "c m m"],
    offsets: Float[np.ndarray, " c"],
) -> Predict:
    def predict(rows: np.ndarray) -> np.ndarray:
        z = shared.u[rows] @ directions
        scores = np.empty((len(rows), len(means)))
        for c, (mean, inverse) in enumerate(zip(means, inverses, strict=True)):
            difference = z - mean
            distance = ((difference @ inverse) * difference).sum(1)
            scores[:, c] = offsets[c] - 0.5 * distance
        return scores

    return predict


def _near(sample: Sample, seen: np.ndarray, count: int) -> Predict:
    n_classes, shared = sample.shared.n_classes, sample.shared

    def predict(rows: np.ndarray) -> np.ndarray:
        near = shared.neighbours[rows]
        usable = seen[near]
        usable &= usable.cumsum(1) <= count
        place = np.arange(len(rows))[:, None] * n_classes + shared.y[near]
        votes = np.bincount(place[usable], minlength=len(rows) * n_classes)
        votes = votes.reshape(len(rows), n_classes) + 2 * np.exp(sample.log_prior)
        return np.log(votes)

    return predict


def _network(shared: Shared, networks: Networks, number: int, place: int) -> Predict:
    return lambda rows: networks.scores(shared.u_tensor, rows, number, place)


def _linear_path(shared: Shared) -> list[dict[str, float]]:
    # Scores of every place are held: with many classes, of few places.
    places = LINEAR_PATH if shared.n_classes <= MANY else LINEAR_PATH[1:4:2]
    return [{"shrinkage": s} for s in places]


def _quadratic_path(shared: Shared) -> list[dict[str, float]]:
    d = shared.u.shape[1]
    if shared.n_classes > MANY:
        return []
    enough = next((w for w in QUADRATIC_WIDTHS if w >= d), QUADRATIC_WIDTHS[-2])
    widths = [min(w, d) for w in QUADRATIC_WIDTHS if w <= enough]
    return [
        {"width": float(w), "shrinkage": s} for w in widths for s in QUADRATIC_SHRINKAGE
    ]


def _logistic_path(shared: Shared) -> list[dict[str, float]]:
    if shared.u.shape[1] * shared.n_classes > 20_000:
        return []
    return [{"inverse_ridge": c} for c in LOGISTIC_PATH]


def _neighbours_path(shared: Shared) -> list[dict[str, float]]:
    if shared.u.shape[1] > _NEAR_DIMENSIONS or shared.n_classes > MANY:
        return []
    return [{"neighbours": float(k)} for k in NEIGHBOURS_PATH]


def _network_path(shared: Shared) -> list[dict[str, float]]:
    # Where directions are learned in hundreds of dimensions, few epochs are best.
    if shared.n_classes > MANY:
        return [{"epochs": float(SNAPSHOTS[1])}]
    many = shared.u.shape[1] > CUBIC_LIMIT
    return [{"epochs": float(e)} for e in SNAPSHOTS[: 2 if many else None]]


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
    "linear": Member(True, _ANY, _linear_path, _each(_fit_linear)),
    "quadratic": Member(False, _ANY, _quadratic_path, _each(_fit_quadratic)),
    "logistic": Member(True, _ANY, _logistic_path, _each(_fit_logistic)),
    "neighbours": Member(False, _ANY, _neighbours_path, _each(_fit_neighbours)),
    "network": Member(False, CUBIC_LIMIT, _network_path, _fit_networks),
    "mixtures": Member(False, 0, _mixtures_path, _each(_fit_mixtures), True),
    "trees": Member(False, 0, _trees_path, _each(_fit_trees), True),
}
