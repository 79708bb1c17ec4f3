"""Families of data that the laws behind values at n -> infinity do not hold.

A family of classes is a draw of X with the exact log p(x|c) or log p(y|x) of every row; one
of scores is a mean and a spread of Y given X. Truths are Monte Carlo means over rows of
their own. ``departs`` says what a family breaks: ``law`` nothing (the laws' own models),
``order`` second-order moments, ``radius`` the radial law, ``direction`` the law along one
direction; ``other`` anything else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import gammaln, log_softmax, logsumexp

from mi_probe.synthetic import Known, needle, order

_TRUTH_ROWS = 400_000

Posterior = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
"""Draws X and says log p(c|x) of all classes."""
Mean = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Draws X and says the mean and the spread of Y, which is normal around it."""


@dataclass(frozen=True)
class Family:
    """How one family is drawn, and what of the laws it breaks."""

    departs: str
    draw: Callable[[int, int], Known]
    """From rows and a seed."""


def _classes(name: str, posterior: Posterior, departs: str) -> Family:
    @cache
    def truth() -> float:
        _, log_q = posterior(np.random.default_rng([7, len(name)]), _TRUTH_ROWS)
        share = np.exp(log_q).mean(0)
        inner = (np.exp(log_q) * log_q).sum(1).mean()
        return float(inner - (share * np.log(share)).sum())

    def draw(n: int, seed: int) -> Known:
        rng = np.random.default_rng(seed)
        x, log_q = posterior(rng, n)
        y = (np.exp(log_q).cumsum(1) < rng.random((n, 1))).sum(1)
        return Known(x, np.minimum(y, log_q.shape[1] - 1), truth())

    return Family(departs, draw)


def _scores(name: str, mean: Mean, departs: str) -> Family:
    @cache
    def truth() -> float:
        rng = np.random.default_rng([8, len(name)])
        _, middle, spread = mean(rng, _TRUTH_ROWS)
        y = middle + spread * rng.normal(size=len(middle))
        counts, edges = np.histogram(y, bins=400)
        share = counts[counts > 0] / len(y)
        entropy = -(share * np.log(share / np.diff(edges)[0])).sum()
        return float(entropy - np.log(spread).mean() - 0.5 * np.log(2 * np.pi * np.e))

    def draw(n: int, seed: int) -> Known:
        rng = np.random.default_rng(seed)
        x, middle, spread = mean(rng, n)
        return Known(x, middle + spread * rng.normal(size=n), truth())

    return Family(departs, draw)


def _logits(z: np.ndarray) -> np.ndarray:
    return log_softmax(np.column_stack([-z / 2, z / 2]), axis=1)


def _signal(d: int, logit: Callable[[np.ndarray], np.ndarray]) -> Posterior:
    """Normal X of d columns, two classes with this logit."""

    def posterior(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, d))
        return x, _logits(logit(x))

    return posterior


def _generated(
    d: int,
    draw: Callable[[np.random.Generator, np.ndarray], np.ndarray],
    log_density: Callable[[np.ndarray, int], np.ndarray],
    shares: tuple[float, ...] = (0.5, 0.5),
) -> Posterior:
    """Classes of these shares, with X of d columns drawn given the class."""

    def posterior(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        c = rng.choice(len(shares), size=n, p=shares)
        x = draw(rng, c)
        log_p = np.stack([log_density(x, k) for k in range(len(shares))], axis=1)
        return x, log_softmax(log_p + np.log(shares), axis=1)

    return posterior


def _normal(x: np.ndarray, mean: float, spread: float) -> np.ndarray:
    return -0.5 * ((x - mean) / spread) ** 2 - np.log(spread)


def _shifted(d: int, shift: float, shares: tuple[float, ...] = (0.5, 0.5)) -> Posterior:
    """Normal classes of one covariance, whose means lie on a line."""

    def draw(rng: np.random.Generator, c: np.ndarray) -> np.ndarray:
        x = rng.normal(size=(len(c), d))
        x[:, 0] += shift * c
        return x

    return _generated(d, draw, lambda x, k: _normal(x[:, 0], shift * k, 1.0), shares)


def _spread(d: int, shift: float, spread: float) -> Posterior:
    """A shift of one column, and another spread of the next in the second class."""

    def draw(rng: np.random.Generator, c: np.ndarray) -> np.ndarray:
        x = rng.normal(size=(len(c), d))
        x[:, 0] += shift * c
        x[:, 1] *= np.where(c, spread, 1.0)
        return x

    def log_density(x: np.ndarray, k: int) -> np.ndarray:
        return _normal(x[:, 0], shift * k, 1.0) + _normal(x[:, 1], 0, spread if k else 1.0)

    return _generated(d, draw, log_density)


def _bimodal(d: int, shift: float, apart: float) -> Posterior:
    """A shift of one column; the next has two humps in the second class, one variance."""
    width = np.sqrt(1 - apart**2)

    def draw(rng: np.random.Generator, c: np.ndarray) -> np.ndarray:
        x = rng.normal(size=(len(c), d))
        x[:, 0] += shift * c
        sign = rng.choice([-1.0, 1.0], size=len(c))
        x[:, 1] = np.where(c, apart * sign + width * x[:, 1], x[:, 1])
        return x

    def log_density(x: np.ndarray, k: int) -> np.ndarray:
        humps = logsumexp([_normal(x[:, 1], s * apart, width) for s in (-1, 1)], axis=0)
        other = humps - np.log(2) if k else _normal(x[:, 1], 0.0, 1.0)
        return _normal(x[:, 0], shift * k, 1.0) + other

    return _generated(d, draw, log_density)


def _student(d: int, shift: float, degrees: float) -> Posterior:
    def draw(rng: np.random.Generator, c: np.ndarray) -> np.ndarray:
        scale = np.sqrt(degrees / rng.chisquare(degrees, size=len(c)))
        x = rng.normal(size=(len(c), d)) * scale[:, None]
        x[:, 0] += shift * c
        return x

    def log_density(x: np.ndarray, k: int) -> np.ndarray:
        r = ((x - shift * k * np.eye(d)[0]) ** 2).sum(1)
        constant = gammaln((degrees + d) / 2) - gammaln(degrees / 2)
        return constant - (degrees + d) / 2 * np.log1p(r / degrees)

    return _generated(d, draw, log_density)


def _scaled(d: int, shift: float, scales: tuple[float, float]) -> Posterior:
    """Rows of two scales, in both classes alike."""

    def draw(rng: np.random.Generator, c: np.ndarray) -> np.ndarray:
        x = rng.normal(size=(len(c), d)) * rng.choice(scales, size=(len(c), 1))
        x[:, 0] += shift * c
        return x

    def log_density(x: np.ndarray, k: int) -> np.ndarray:
        r = ((x - shift * k * np.eye(d)[0]) ** 2).sum(1)
        return logsumexp([-0.5 * r / s**2 - d * np.log(s) for s in scales], axis=0)

    return _generated(d, draw, log_density)


def _clusters(d: int, per_class: int, apart: float) -> Posterior:
    """Several clusters a class, at places of their own."""
    centres = apart * np.random.default_rng(3).normal(size=(2, per_class, d))

    def draw(rng: np.random.Generator, c: np.ndarray) -> np.ndarray:
        which = rng.integers(per_class, size=len(c))
        return centres[c, which] + rng.normal(size=(len(c), d))

    def log_density(x: np.ndarray, k: int) -> np.ndarray:
        away = ((x[:, None] - centres[k][None]) ** 2).sum(2)
        return logsumexp(-0.5 * away, axis=1)

    return _generated(d, draw, log_density)


def _largest(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 8))
    return x, log_softmax(4 * x, axis=1)


def _manifold(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Two hidden angles, seen through 48 waves."""
    angle = rng.uniform(0, 2 * np.pi, size=(n, 2))
    waves = np.random.default_rng(5)
    frequency = waves.integers(0, 4, size=(2, 48))
    x = np.cos(angle @ frequency + waves.uniform(0, 2 * np.pi, 48))
    x += 0.01 * rng.normal(size=x.shape)
    return x, _logits(4 * np.sign(np.sin(2 * angle[:, 0]) * np.sin(angle[:, 1])))


def _turned(posterior: Posterior, d: int) -> Posterior:
    """The same, seen in other axes."""
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(d, d)))[0]

    def turned(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        x, log_q = posterior(rng, n)
        return x @ turn, log_q

    return turned


def _linear(d: int, slope: float) -> Mean:
    def mean(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = rng.normal(size=(n, d))
        return x, slope * x[:, 0], np.ones(n)

    return mean


def _product(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 8))
    return x, x[:, 0] + x[:, 1] * x[:, 2], np.ones(n)


def _changing(
    rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 8))
    return x, x[:, 0], np.exp(0.8 * x[:, 1])


def _wave(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, 8))
    return x, x[:, 0] + 2 * np.sin(4 * x[:, 1]), np.ones(n)


def _families() -> Mapping[str, Family]:
    of_classes: dict[str, tuple[Posterior, str]] = {
        "2 Gaussian classes, d=8": (_shifted(8, 1.5), "law"),
        "2 Gaussian classes, d=20": (_turned(_shifted(20, 1.5), 20), "law"),
        "parity of three": (_signal(6, lambda x: 6 * np.sign(x[:, :3].prod(1))), "other"),
        "parity of four": (_signal(8, lambda x: 6 * np.sign(x[:, :4].prod(1))), "other"),
        "wave": (_signal(8, lambda x: 6 * np.sin(6 * x[:, 0])), "direction"),
        "line and wave": (
            _signal(8, lambda x: 2 * x[:, 0] + 4 * np.sin(6 * x[:, 1])),
            "direction",
        ),
        "norm": (_signal(8, lambda x: 2 * ((x**2).sum(1) - 8)), "radius"),
        "line and norm": (
            _signal(8, lambda x: 2 * x[:, 0] + ((x**2).sum(1) - 8) / 2),
            "radius",
        ),
        "line and product": (
            _signal(8, lambda x: 2 * x[:, 0] + 2 * x[:, 1] * x[:, 2]),
            "order",
        ),
        "line and parity of three": (
            _signal(8, lambda x: 2 * x[:, 0] + 2 * x[:, 1] * x[:, 2] * x[:, 3]),
            "other",
        ),
        "six clusters": (_clusters(8, 6, 1.5), "other"),
        "largest of eight": (_largest, "other"),
        "manifold": (_manifold, "other"),
        "Student 3, d=16": (_student(16, 2.0, 3), "radius"),
        "two scales, d=8": (_scaled(8, 1.5, (0.5, 1.5)), "radius"),
        "another spread, d=8": (_spread(8, 1.5, 2.0), "order"),
        "another spread, d=20": (_turned(_spread(20, 1.5, 1.6), 20), "order"),
        "two humps, d=8": (_bimodal(8, 1.5, 0.9), "direction"),
        "two humps turned, d=8": (_turned(_bimodal(8, 1.5, 0.9), 8), "direction"),
        "rare class, d=16": (_shifted(16, 6.0, (0.98, 0.02)), "other"),
    }
    of_scores: dict[str, tuple[Mean, str]] = {
        "linear score, d=8": (_linear(8, 1.0), "law"),
        "line and product, score": (_product, "order"),
        "changing spread, score": (_changing, "order"),
        "line and wave, score": (_wave, "direction"),
    }
    found = {k: _classes(k, p, departs) for k, (p, departs) in of_classes.items()}
    found |= {k: _scores(k, m, departs) for k, (m, departs) in of_scores.items()}
    found["order of two tokens"] = Family("other", lambda n, s: order(n, seed=s))
    found["one marked token"] = Family("other", lambda n, s: needle(n, seed=s))
    return found


FAMILIES = _families()
"""By name, in the order of the table."""
