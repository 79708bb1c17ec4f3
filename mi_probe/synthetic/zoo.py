"""The zoo: tasks of known information by name, in the groups that a report is made of."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mi_probe.synthetic.curved_classes import checkerboard, rings, spirals, xor
from mi_probe.synthetic.gaussian_classes import (
    class_gaussians,
    class_mixtures,
    heavy_tailed_classes,
    quantised,
)
from mi_probe.synthetic.independence import (
    independent,
    independent_scores,
    independent_sequences,
)
from mi_probe.synthetic.known import Known
from mi_probe.synthetic.low_rank import low_rank
from mi_probe.synthetic.maps import mapped, rolled
from mi_probe.synthetic.marked_tokens import counting, needle, order
from mi_probe.synthetic.means_and_ends import (
    first_against_last,
    majority,
    mean_sufficient,
    parity_of_ends,
)
from mi_probe.synthetic.pairs import (
    additive_uniform,
    dense_normals,
    even_function,
    gaussian_pair,
    paired_normals,
    staircase,
    student_pair,
)

GROUPS: dict[str, str] = {
    "discrete-low": "discrete Y, 1 to 64 dimensions",
    "discrete-768": "discrete Y, 768 dimensions",
    "sequences": "sequences, all of Z and its poolings",
    "continuous-low": "continuous Y, 1 to 5 dimensions",
    "continuous-high": "continuous Y, 25 to 50 dimensions",
    "low-rank": "low-rank dependence in 768 x 768",
    "staircase": "20 x 20 Gaussians of 2 to 10 nats",
    "independence": "independent X and Y",
}
"""Groups of tasks, in words."""


@dataclass(frozen=True)
class ZooTask:
    """A task of the zoo: ``make(n, seed)`` draws it."""

    group: str
    make: Callable[[int, int], Known]
    n: int = 10_000
    """Rows it is meant for."""

    def draw(self, n: int | None = None, *, seed: int = 0) -> Known:
        """A sample of ``n`` rows, the task's own number by default."""
        return self.make(self.n if n is None else n, seed)


def _gaussians(d: int, c: int, separation: float, **rest) -> Callable[[int, int], Known]:
    return lambda n, s: class_gaussians(n, d, c, separation=separation, seed=s, **rest)


def _pairs(d: int, *maps: str) -> Callable[[int, int], Known]:
    two = np.array([0.8, 0.8])
    return lambda n, s: mapped(paired_normals(n, d, d, two, seed=s), *maps)


def _one(*maps: str) -> Callable[[int, int], Known]:
    return lambda n, s: mapped(gaussian_pair(n, 1, 0.75, seed=s), *maps)


def _student(d: int, dof: int | float, *maps: str) -> Callable[[int, int], Known]:
    return lambda n, s: mapped(student_pair(n, d, d, dof, seed=s), *maps)


_DISCRETE: dict[str, Callable[[int, int], Known]] = {
    "gaussians d=1 c=2": _gaussians(1, 2, 3.0),
    "gaussians d=2 c=5": _gaussians(2, 5, 3.0),
    "gaussians d=8 c=5": _gaussians(8, 5, 3.0),
    "gaussians d=16 c=10": _gaussians(16, 10, 3.0),
    "gaussians d=64 c=2": _gaussians(64, 2, 2.0),
    "gaussians d=64 c=4": _gaussians(64, 4, 3.0),
    "gaussians d=64 c=20": _gaussians(64, 20, 3.0),
    "gaussians d=64 c=20 far": _gaussians(64, 20, 6.0),
    "gaussians d=16 c=100": _gaussians(16, 100, 5.0),
    "gaussians d=16 c=1000": _gaussians(16, 1000, 8.0),
    "unbalanced d=8 c=5": _gaussians(8, 5, 3.0, prior_ratio=50.0),
    "own covariances d=8 c=5": _gaussians(8, 5, 2.0, shared_covariance=False),
    "own covariances d=64 c=4": _gaussians(64, 4, 1.0, shared_covariance=False),
    "own covariances d=64 c=20": _gaussians(64, 20, 3.0, shared_covariance=False),
    "parity of 2 signs d=16": lambda n, s: xor(n, 16, seed=s),
    "parity of 2 signs d=64": lambda n, s: xor(n, 64, seed=s),
    "parity of 2 signs d=16 noisy": lambda n, s: xor(n, 16, noise=0.8, seed=s),
    "parity of 3 signs d=8": lambda n, s: xor(n, 8, signs=3, seed=s),
    "parity of 3 signs d=64": lambda n, s: xor(n, 64, signs=3, seed=s),
    "rings d=2": lambda n, s: rings(n, 2, seed=s),
    "rings d=16": lambda n, s: rings(n, 16, seed=s),
    "spirals d=2": lambda n, s: spirals(n, 2, seed=s),
    "spirals d=8": lambda n, s: spirals(n, 8, seed=s),
    "checkerboard d=2": lambda n, s: checkerboard(n, 2, seed=s),
    "checkerboard d=2 flips": lambda n, s: checkerboard(n, 2, flips=0.2, seed=s),
    "mixtures d=2 c=3": lambda n, s: class_mixtures(n, 2, 3, seed=s),
    "mixtures d=16 c=4": lambda n, s: class_mixtures(n, 16, 4, seed=s),
    "student 1 dof d=4 c=3": lambda n, s: heavy_tailed_classes(n, 4, 3, seed=s),
    "student 2 dof d=16 c=4": lambda n, s: heavy_tailed_classes(n, 16, 4, dof=2.0, seed=s),
    "quantised d=1 c=5": lambda n, s: quantised(n, 1, seed=s),
    "quantised d=16 c=20": lambda n, s: quantised(n, 16, 20, seed=s),
}
_WIDE: dict[str, Callable[[int, int], Known]] = {
    "gaussians d=768 c=4": _gaussians(768, 4, 3.0),
    "gaussians d=768 c=4, 8 axes": _gaussians(768, 4, 3.0, informative=8),
    "gaussians d=768 c=20, 16 axes": _gaussians(768, 20, 4.0, informative=16),
    "own covariances d=768 c=4, 8 axes": _gaussians(
        768, 4, 2.0, informative=8, shared_covariance=False
    ),
    "mixtures d=768 c=3": lambda n, s: class_mixtures(n, 768, 3, seed=s),
    "rings d=768": lambda n, s: rings(n, 768, seed=s),
    "quantised d=768 c=5": lambda n, s: quantised(n, 768, seed=s),
    "parity of 2 signs d=768": lambda n, s: xor(n, 768, seed=s),
}
_SEQUENCES: dict[str, Callable[[int, int], Known]] = {
    "order": lambda n, s: order(n, seed=s),
    "order, noise": lambda n, s: order(n, noise=1.2, seed=s),
    "order, flips": lambda n, s: order(n, flips=0.2, seed=s),
    "needle": lambda n, s: needle(n, seed=s),
    "needle, noise": lambda n, s: needle(n, noise=1.0, seed=s),
    "needle, flips": lambda n, s: needle(n, flips=0.2, seed=s),
    "first against last": lambda n, s: first_against_last(n, seed=s),
    "first against last, noise": lambda n, s: first_against_last(n, noise=1.0, seed=s),
    "majority": lambda n, s: majority(n, seed=s),
    "majority, noise": lambda n, s: majority(n, noise=1.0, seed=s),
    "counting": lambda n, s: counting(n, seed=s),
    "counting, noise": lambda n, s: counting(n, noise=1.2, seed=s),
    "parity of ends": lambda n, s: parity_of_ends(n, seed=s),
    "parity of ends, noise": lambda n, s: parity_of_ends(n, noise=0.8, seed=s),
    "mean sufficient": lambda n, s: mean_sufficient(n, seed=s),
    "mean of varying lengths": lambda n, s: mean_sufficient(n, vary=True, seed=s),
}
_PAIRS: dict[str, Callable[[int, int], Known]] = {
    "normal 1x1": _one(),
    "normal cdf 1x1": _one("normal cdf"),
    "half-cube 1x1": _one("half-cube"),
    "wiggly 1x1": _one("wiggly"),
    "additive uniform .10": lambda n, s: additive_uniform(n, 0.1, seed=s),
    "additive uniform .75": lambda n, s: additive_uniform(n, 0.75, seed=s),
    "student 1x1 1 dof": _student(1, 1),
    "asinh student 1x1 1 dof": _student(1, 1, "asinh"),
    "square 1x1": lambda n, s: even_function(n, seed=s),
    "swiss roll 2x1": lambda n, s: rolled(gaussian_pair(n, 1, 0.75, seed=s)),
    "dense normal 2x2": lambda n, s: dense_normals(n, 2, 2, seed=s),
    "dense normal 5x5": lambda n, s: dense_normals(n, 5, 5, seed=s),
    "2-pair normal 3x3": _pairs(3),
    "2-pair normal 5x5": _pairs(5),
    "normal cdf 3x3": _pairs(3, "normal cdf"),
    "normal cdf 5x5": _pairs(5, "normal cdf"),
    "half-cube 3x3": _pairs(3, "half-cube"),
    "half-cube 5x5": _pairs(5, "half-cube"),
    "spiral 3x3": _pairs(3, "spiral"),
    "spiral 5x5": _pairs(5, "spiral"),
    "spiral of normal cdf 3x3": _pairs(3, "normal cdf", "spiral"),
    "student 2x2 1 dof": _student(2, 1),
    "student 3x3 2 dof": _student(3, 2),
    "student 5x5 2 dof": _student(5, 2),
    "asinh student 3x3 2 dof": _student(3, 2, "asinh"),
}
_MANY: dict[str, Callable[[int, int], Known]] = {
    "dense normal 25x25": lambda n, s: dense_normals(n, 25, 25, seed=s),
    "dense normal 50x50": lambda n, s: dense_normals(n, 50, 50, seed=s),
    "2-pair normal 25x25": _pairs(25),
    "normal cdf 25x25": _pairs(25, "normal cdf"),
    "half-cube 25x25": _pairs(25, "half-cube"),
    "spiral 25x25": _pairs(25, "spiral"),
    "spiral of normal cdf 25x25": _pairs(25, "normal cdf", "spiral"),
}
_LOW_RANK: dict[str, Callable[[int, int], Known]] = {
    "low rank 768 linear": lambda n, s: low_rank(n, seed=s),
    "low rank 768 non-linear": lambda n, s: low_rank(n, kind="non-linear", seed=s),
    "low rank 768 noisy": lambda n, s: low_rank(n, kind="noisy", noise=4.0, seed=s),
    "low rank 768 even": lambda n, s: low_rank(n, kind="even", rank=1, noise=0.5, seed=s),
}
_STAIRS: dict[str, Callable[[int, int], Known]] = {
    f"staircase {nats}{', cubed' * cubed}": lambda n, s, nats=nats, cubed=cubed: staircase(
        n, nats, cubed=cubed, seed=s
    )
    for cubed in (False, True)
    for nats in (2, 4, 6, 8, 10)
}
_NOTHING: dict[tuple[str, int], Callable[[int, int], Known]] = {
    ("classes d=1 c=2", 10_000): lambda n, s: independent(n, 1, 2, seed=s),
    ("classes d=20 c=20", 10_000): lambda n, s: independent(n, 20, 20, seed=s),
    ("classes d=768 c=4", 10_000): lambda n, s: independent(n, 768, 4, seed=s),
    ("classes d=768 c=4", 2_000): lambda n, s: independent(n, 768, 4, seed=s),
    ("classes d=768 c=4", 500): lambda n, s: independent(n, 768, 4, seed=s),
    ("sequences c=2", 2_000): lambda n, s: independent_sequences(n, seed=s),
    ("scores 1x1", 10_000): lambda n, s: independent_scores(n, 1, seed=s),
    ("scores 5x5", 2_000): lambda n, s: independent_scores(n, 5, 5, seed=s),
    ("student 5x5 1 dof", 2_000): lambda n, s: independent_scores(n, 5, 5, dof=1, seed=s),
    ("scores 20x20", 10_000): lambda n, s: independent_scores(n, 20, 20, seed=s),
    ("scores 768x1", 2_000): lambda n, s: independent_scores(n, 768, 1, seed=s),
    ("scores 768x768", 10_000): lambda n, s: independent_scores(n, 768, 768, seed=s),
    ("scores 768x768", 500): lambda n, s: independent_scores(n, 768, 768, seed=s),
}


def _zoo() -> dict[str, ZooTask]:
    groups = {
        "discrete-low": _DISCRETE,
        "discrete-768": _WIDE,
        "sequences": _SEQUENCES,
        "continuous-low": _PAIRS,
        "continuous-high": _MANY,
        "low-rank": _LOW_RANK,
        "staircase": _STAIRS,
    }
    zoo = {
        name: ZooTask(group, make)
        for group, tasks in groups.items()
        for name, make in tasks.items()
    }
    for (what, n), make in _NOTHING.items():
        zoo[f"independent {what} n={n}"] = ZooTask("independence", make, n)
    return zoo


ZOO: dict[str, ZooTask] = _zoo()
"""Every task by name."""
