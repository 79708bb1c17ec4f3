"""Classes that no mean tells apart: parity, rings, spirals, a checkerboard."""

import numpy as np
from scipy.special import log_softmax

from mi_probe.synthetic.class_source import (
    ClassSource,
    Mixture,
    from_densities,
    known_classes,
    skewed_prior,
    with_flips,
)
from mi_probe.synthetic.known import Known

_CURVE_POINTS = 300
"""Points that stand for a spiral's arm, closer to each other than its noise is wide."""


def rings(
    n: int, d: int, n_classes: int = 3, *, noise: float = 0.3, seed: int = 0
) -> Known:
    """Class k at distance k + 1 from the centre, plus normal noise of the distance.

    Args:
        n: examples.
        d: dimensions, of which two hold the rings.
        n_classes: rings.
        noise: standard deviation of the distance.
        seed: of the rotation and of the sample.
    """
    radii = np.arange(1, n_classes + 1, dtype=float)

    def draw(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        radius = radii[y] + noise * rng.normal(size=len(y))
        angle = rng.uniform(0, 2 * np.pi, size=len(y))
        return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def log_density(x: np.ndarray) -> np.ndarray:
        # A negative radius is the same point as a positive one at the opposite angle.
        radius = np.hypot(*x.T)[:, None]
        return np.logaddexp(
            -0.5 * ((radius - radii) / noise) ** 2, -0.5 * ((radius + radii) / noise) ** 2
        )

    source = from_densities(skewed_prior(n_classes, 1.0), draw, log_density)
    return known_classes(source, n, d, seed=seed)


def spirals(
    n: int, d: int, n_classes: int = 2, *, noise: float = 0.25, seed: int = 0
) -> Known:
    """One arm of a spiral a class, one and a half turns, plus normal noise.

    Args:
        n: examples.
        d: dimensions, of which two hold the spiral.
        n_classes: arms.
        noise: standard deviation about the arm; arms lie 2 / n_classes apart.
        seed: of the rotation and of the sample.
    """
    offset = 2 * np.pi * np.arange(n_classes) / n_classes

    def curve(s: np.ndarray, shift: np.ndarray) -> np.ndarray:
        radius, angle = 0.5 + 3.0 * s, 3 * np.pi * s + shift
        return radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    points = (np.arange(_CURVE_POINTS) + 0.5) / _CURVE_POINTS
    centres = curve(points[None], offset[:, None]).reshape(-1, 2)

    def draw(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        return curve(rng.random(len(y)), offset[y]) + noise * rng.normal(size=(len(y), 2))

    weights = np.repeat(np.eye(n_classes), _CURVE_POINTS, axis=0) / _CURVE_POINTS
    arms = Mixture(centres, np.full(len(weights), noise), weights)
    source = from_densities(skewed_prior(n_classes, 1.0), draw, arms.log_likelihood)
    return known_classes(source, n, d, seed=seed, truth_rows=50_000)


def checkerboard(
    n: int, d: int, *, fields: int = 4, flips: float = 0.0, seed: int = 0
) -> Known:
    """The colour of a field of a board of ``fields`` x ``fields``; x is uniform on it.

    Args:
        n: examples.
        d: dimensions, of which two hold the board.
        fields: a side, even, so that both colours are equally likely.
        flips: share of labels that are drawn anew: I = ln 2 - h(flips / 2).
        seed: of the rotation and of the sample.
    """

    def colour(x: np.ndarray) -> np.ndarray:
        # Fields are of unit area times 12 / fields^2, so that x has unit variance.
        place = np.floor((x / np.sqrt(12) + 0.5) * fields)
        return np.clip(place, 0, fields - 1).sum(1).astype(int) % 2

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        x = np.sqrt(12) * (rng.random(size=(rows, 2)) - 0.5)
        return x, colour(x)

    def log_posterior(x: np.ndarray) -> np.ndarray:
        odds = np.where(colour(x)[:, None] == np.arange(2), 0.0, -np.inf)
        return log_softmax(odds, axis=1)

    source = ClassSource(np.log([0.5, 0.5]), draw, log_posterior)
    return known_classes(with_flips(source, flips), n, d, seed=seed)


def xor(n: int, d: int, *, signs: int = 2, noise: float = 0.3, seed: int = 0) -> Known:
    r"""Parity of ``signs`` noisy signs.

    .. math:: p(y=1|x) = \tfrac{1}{2}\left(1 + \prod_j \tanh(x_j/\sigma^2)\right)

    Args:
        n: examples.
        d: dimensions, of which ``signs`` hold the signs.
        signs: how many.
        noise: standard deviation about each sign.
        seed: of the rotation and of the sample.
    """

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        sign = rng.choice([-1.0, 1.0], size=(rows, signs))
        return sign + noise * rng.normal(size=sign.shape), (sign.prod(1) > 0).astype(int)

    source = ClassSource(np.log([0.5, 0.5]), draw, lambda x: parity_posterior(x / noise**2))
    return known_classes(source, n, d, seed=seed)


def parity_posterior(half_odds: np.ndarray) -> np.ndarray:
    """Log probabilities (n, 2) of an odd and an even number of minus signs.

    Args:
        half_odds: half the log odds that each sign is +, (n, signs): E[sign] is their tanh.
    """
    mean = np.tanh(half_odds).prod(1)
    return np.log(np.clip(np.stack([1 - mean, 1 + mean], axis=1) / 2, 1e-300, 1))
