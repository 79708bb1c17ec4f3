r"""Nearest-neighbour estimators: Kraskov-Stoegbauer-Grassberger and Ross.

Both compare how far a row's k-th neighbour is with how many rows are as near on one side
alone. Nothing is trained, so nothing is held out, and the value is no bound; columns go
through their ranks to normal scores first, which changes no mutual information and makes
distances comparable. Ties are broken at random (`untied_scores`).

The interval is the delta method's on the local terms. They share neighbours, so it is a
little narrow, and it knows nothing of the bias, which is downward and grows with the
dimension and with the value.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree
from scipy.special import digamma

from mi_probe.errors import InputError
from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import NEAR_MOST, assembled
from mi_probe.estimators.core.base import Estimate, Nature, States
from mi_probe.estimators.core.parameters import Parameters
from mi_probe.estimators.core.split import Groups, Split
from mi_probe.estimators.core.targets import Classes, Scores, Target
from mi_probe.estimators.models.normal_scores import untied_scores, varying

TREE_DIMENSIONS = 10
"""Up to these a tree finds neighbours (maximum norm); above, all distances are made
(Euclidean norm), which is then faster."""
_CHUNK = 256
_INSIDE = 1 - 1e-10
"""Just within reach: the k-th neighbour itself is not nearer, whatever rounding says."""


def ksg_terms(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], neighbours: int = 4
) -> Float[np.ndarray, " n"]:
    r"""Local terms of the first KSG estimator, in nats; no two rows may be equal.

    .. math:: i = \psi(k) + \psi(n) - \psi(n_x + 1) - \psi(n_y + 1)

    with :math:`n_x`, :math:`n_y` the rows strictly nearer on that side than the k-th
    neighbour is in the larger of both distances. Not to be trusted in more than about ten
    dimensions: it then falls to 0 whatever the truth.

    Reference: Kraskov, Stoegbauer and Grassberger 2004, cond-mat/0305641, equation 8.
    """
    n = len(x)
    if x.shape[1] + y.shape[1] <= TREE_DIMENSIONS:
        both = np.concatenate([x, y], axis=1)
        reach = KDTree(both).query(both, neighbours + 1, p=np.inf)[0][:, -1]
        inside = reach * _INSIDE
        counts = [_counted(side, inside) for side in (x, y)]
    else:
        counts = np.empty((2, n), dtype=np.int64)
        for rows in np.array_split(np.arange(n), math.ceil(n / _CHUNK)):
            apart = [_squared_distances(side, rows) for side in (x, y)]
            reach = np.partition(np.maximum(*apart), neighbours, axis=1)[:, neighbours]
            for side in range(2):
                # The row itself is at no distance, but for rounding: not counted.
                counts[side, rows] = (apart[side] < reach[:, None]).sum(1) - 1
    own = digamma(neighbours) + digamma(n)
    return own - digamma(counts[0] + 1) - digamma(counts[1] + 1)


def near_terms(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    rng: np.random.Generator,
    split: Split | None = None,
    neighbours: int = 4,
) -> Float[np.ndarray, " n"]:
    """`ksg_terms` of the columns' normal scores, ties broken; of a group, one is a row."""
    if split is not None and split.group is not None:
        first = split.firsts
        return near_terms(x[first], y[first], rng, None, neighbours)[split.group]
    return ksg_terms(untied_scores(x, rng), untied_scores(y, rng), neighbours)


def most_of_neighbours(n: int, neighbours: int = 4) -> float:
    """The value of `ksg_terms` where Y is X, in nats: no dependence is stronger."""
    return float(digamma(n) - digamma(neighbours))


def ross_terms(
    x: Float[np.ndarray, "n d"], classes: Int[np.ndarray, " n"], neighbours: int = 4
) -> Float[np.ndarray, " n"]:
    r"""Local terms of Ross's estimator for classes and vectors, in nats.

    .. math:: i = \psi(n) - \psi(n_c) + \psi(k) - \psi(m)

    with :math:`n_c` the rows of the class and m those as near as the k-th neighbour of the
    class. A class of fewer rows takes fewer neighbours; a row alone in its class says 0.

    Reference: Ross 2014, doi 10.1371/journal.pone.0087357.
    """
    n, own = len(x), np.bincount(classes)[classes]
    k = np.minimum(neighbours, own - 1)
    nearer = np.zeros(n, dtype=np.int64)
    if x.shape[1] <= TREE_DIMENSIONS:
        reach = np.zeros(n)
        for c in np.unique(classes):
            rows = np.flatnonzero(classes == c)
            if len(rows) > 1:
                count = min(neighbours, len(rows) - 1)
                found = KDTree(x[rows]).query(x[rows], count + 1, p=np.inf)[0]
                reach[rows] = found[:, -1]
        nearer = _counted(x, reach * _INSIDE)
    else:
        for rows in np.array_split(np.arange(n), math.ceil(n / _CHUNK)):
            apart = _squared_distances(x, rows)
            other = classes[rows][:, None] != classes
            ordered = np.sort(np.where(other, np.inf, apart), axis=1)[:, : neighbours + 1]
            reach = np.take_along_axis(ordered, k[rows][:, None], axis=1)
            nearer[rows] = (apart < reach).sum(1) - 1
    terms = digamma(n) - digamma(own) + digamma(np.maximum(k, 1)) - digamma(nearer + 1)
    return np.where(own > 1, terms, 0.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class NearestNeighbours(Parameters):
    """I(Y;X) from distances to neighbours. Settings only; it keeps no state.

    Not to be trusted in more than about ten dimensions (of X and Y together), where
    distances stop to tell rows apart: of 1.02 nats in 50 dimensions 0.06 are left. A value
    far above a trained one in few dimensions is worth believing; the reverse is not.
    """

    name: str
    neighbours: int = 4
    """More of them: less noise, more bias."""

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        of_classes = self.name == "ross"
        return Nature(
            family="non-parametric",
            bound="neither",
            takes=frozenset({"classes" if of_classes else "scores"}),
            sequences=False,
            ceiling="log n",
            summary=f"distances to nearest neighbours{' of the class' * of_classes}; "
            "few dimensions only",
            reference="Ross 2014, doi 10.1371/journal.pone.0087357"
            if of_classes
            else "Kraskov et al. 2004, cond-mat/0305641",
        )

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for what `admitted` refuses, and for a number of neighbours that
                these rows do not have.
        """
        states, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=1, fewest_folds=1
        )
        assert isinstance(states, np.ndarray)
        n = len(states)
        if not 1 <= self.neighbours < n:
            raise InputError(
                f"neighbours must lie in 1 ... {n - 1} for {n} examples; "
                f"got {self.neighbours}."
            )
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        first, saturated = split.firsts, False
        place = np.arange(n) if split.group is None else split.group
        if not np.ptp(states, axis=0).any():
            terms = np.zeros(n)
        elif isinstance(target, Classes):
            scores = untied_scores(varying(states)[first], rng)
            terms = ross_terms(scores, target.index[first], self.neighbours)[place]
        else:
            assert isinstance(target, Scores)
            sides = varying(states), varying(target.values)
            terms = near_terms(*sides, rng, split, self.neighbours)
            most = most_of_neighbours(len(first), self.neighbours)
            saturated = bool(terms.mean() > most - NEAR_MOST)
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=terms,
            saturated=saturated,
            history=({"n_train": n, "n_test": n, "neighbours": self.neighbours},),
        )


def _counted(side: Float[np.ndarray, "n d"], reach: Float[np.ndarray, " n"]) -> np.ndarray:
    """Other rows within reach of each row."""
    if side.shape[1] == 1:
        values = side[:, 0]
        ordered = np.sort(values)
        first = np.searchsorted(ordered, values - reach, side="left")
        return np.searchsorted(ordered, values + reach, side="right") - first - 1
    tree = KDTree(side)
    return tree.query_ball_point(side, reach, p=np.inf, return_length=True) - 1


def _squared_distances(side: np.ndarray, rows: np.ndarray) -> Float[np.ndarray, "m n"]:
    squares = (side**2).sum(1)
    apart = squares[rows][:, None] + squares - 2 * side[rows] @ side.T
    apart[np.arange(len(rows)), rows] = -1.0
    return apart
