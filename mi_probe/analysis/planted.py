"""Data of a run's own size that hold as much information about Y as is asked for.

Each function takes n, the shape of an example, the number of classes (of columns, for
continuous Y) and nats, and draws a sample whose true I(Y;X) is those nats: exactly where X
tells a clean label and a share of the labels is drawn anew, else by a Monte Carlo mean over
40,000 rows (a standard error of about 0.003 nats), for which the effect's size is solved.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import brentq
from scipy.special import log_softmax, ndtr, xlogy
from scipy.stats import chi2

from mi_probe.hidden import HiddenStates
from mi_probe.synthetic import Known

Planted: TypeAlias = Callable[
    [int, tuple[int, ...], int, float, np.random.Generator], Known
]

_TRUTH_ROWS = 40_000


def means(
    n: int, shape: tuple[int, ...], c: int, nats: float, rng: np.random.Generator
) -> Known:
    """Classes differ in their means; every token of a sequence holds the same evidence."""
    centres = rng.normal(size=(c, min(c, shape[-1])))
    size = _solved(lambda s: (s * centres, np.zeros_like(centres)), nats, rng)
    y = rng.integers(c, size=n)
    directions = _directions(rng, centres.shape[1], shape[-1])
    mean = size * centres[y] @ directions
    if len(shape) == 1:
        return Known(mean + rng.normal(size=(n, *shape)), y, nats)
    # The mean of t tokens has noise 1/sqrt(t), and is sufficient.
    tokens = mean[:, None] / np.sqrt(shape[0]) + rng.normal(size=(n, *shape))
    return Known(_sequences(tokens), y, nats)


def variances(
    n: int, shape: tuple[int, ...], c: int, nats: float, rng: np.random.Generator
) -> Known:
    """Classes differ in their spread along a few directions, and have one mean."""
    scales = rng.normal(size=(c, min(c, shape[-1])))
    size = _solved(lambda s: (np.zeros_like(scales), s * scales), nats, rng)
    y = rng.integers(c, size=n)
    x = rng.normal(size=(n, *shape))
    x[:, : scales.shape[1]] *= np.exp(size * scales[y])
    return Known(x @ _directions(rng, shape[-1], shape[-1]), y, nats)


def parity(
    n: int, shape: tuple[int, ...], c: int, nats: float, rng: np.random.Generator
) -> Known:
    """Two classes: the product of two signs, of which neither tells anything alone."""
    clean, y = _channel(n, 2, nats, rng)
    first = rng.choice([-1.0, 1.0], size=n)
    x = rng.normal(size=(n, *shape))
    x[:, 0] = first + 0.1 * x[:, 0]
    x[:, 1] = first * (2 * clean - 1) + 0.1 * x[:, 1]
    return Known(x @ _directions(rng, shape[-1], shape[-1]), y, nats)


def marker_order(
    n: int, shape: tuple[int, ...], c: int, nats: float, rng: np.random.Generator
) -> Known:
    """Two classes: which of two marker tokens comes first; the mean tells nothing."""
    clean, y = _channel(n, 2, nats, rng)
    t, d = shape
    markers = 6.0 * _directions(rng, 2, d)
    tokens = 0.5 * rng.normal(size=(n, t, d))
    places = np.sort(rng.permuted(np.tile(np.arange(t), (n, 1)), axis=1)[:, :2], axis=1)
    rows = np.arange(n)
    tokens[rows, places[:, 0]] += markers[1 - clean]
    tokens[rows, places[:, 1]] += markers[clean]
    return Known(_sequences(tokens), y, nats)


def needle(
    n: int, shape: tuple[int, ...], c: int, nats: float, rng: np.random.Generator
) -> Known:
    """The class is written in one marked token; the other tokens hold random classes."""
    clean, y = _channel(n, c, nats, rng)
    t, d = shape
    directions = _directions(rng, min(c + 1, d), d)
    # More classes than directions share them as random combinations.
    codes = directions[1:]
    if c > len(codes):
        codes = rng.normal(size=(c, len(codes))) @ codes
    tokens = 0.3 * rng.normal(size=(n, t, d)) + 6.0 * codes[rng.integers(c, size=(n, t))]
    rows, place = np.arange(n), rng.integers(t, size=n)
    tokens[rows, place] = 6.0 * (codes[clean] + directions[0])
    tokens[rows, place] += 0.3 * rng.normal(size=(n, d))
    return Known(_sequences(tokens), y, nats)


def linear_scores(
    n: int, shape: tuple[int, ...], k: int, nats: float, rng: np.random.Generator
) -> Known:
    """Each column of Y is correlated with a direction of X, or of its tokens' mean."""
    k = min(k, shape[-1])
    latent, y = _correlated(n, k, nats, rng)
    return Known(_along(latent, shape, rng), y, nats)


def even_scores(
    n: int, shape: tuple[int, ...], k: int, nats: float, rng: np.random.Generator
) -> Known:
    """Each column of Y follows the *square* of a direction: uncorrelated with X."""
    k = min(k, shape[-1])
    target, y = _correlated(n, k, nats, rng)
    # The square of a standard normal, made normal by its distribution function.
    size = np.sqrt(chi2.ppf(ndtr(target), df=1))
    return Known(_along(size * rng.choice([-1.0, 1.0], size=(n, k)), shape, rng), y, nats)


def _correlated(
    n: int, k: int, nats: float, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
    """Pairs of normal columns that share ``nats`` in all: -k/2 ln(1 - r^2)."""
    r = np.sqrt(-np.expm1(-2 * nats / k))
    latent = rng.normal(size=(n, k))
    return latent, r * latent + np.sqrt(1 - r**2) * rng.normal(size=(n, k))


def _along(
    latent: Float[np.ndarray, "n k"], shape: tuple[int, ...], rng: np.random.Generator
) -> "np.ndarray | HiddenStates":
    """Vectors, or the first tokens of sequences, whose leading directions are these."""
    x = rng.normal(size=(len(latent), *shape))
    inside = x if len(shape) == 1 else x[:, 0]
    inside[:, : latent.shape[1]] = latent
    x = x @ _directions(rng, shape[-1], shape[-1])
    return x if len(shape) == 1 else _sequences(x)


def _channel(
    n: int, c: int, nats: float, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Uniform clean labels, and labels that hold ``nats`` of them: a share is redrawn."""

    def told(share: float) -> float:
        wrong = share / c
        right = 1 - share + wrong
        return float(np.log(c) + xlogy(right, right) + (c - 1) * xlogy(wrong, wrong))

    share = float(brentq(lambda s: told(s) - nats, 0.0, 1.0))  # pyright: ignore[reportArgumentType]
    clean = rng.integers(c, size=n)
    return clean, np.where(rng.random(n) < share, rng.integers(c, size=n), clean)


def _solved(
    classes: Callable[[float], tuple[np.ndarray, np.ndarray]],
    nats: float,
    rng: np.random.Generator,
) -> float:
    """The size at which Gaussians of these means and log scales tell ``nats``."""
    if nats == 0:
        return 0.0
    c, k = classes(1.0)[0].shape
    noise, y = rng.normal(size=(_TRUTH_ROWS, k)), np.arange(_TRUTH_ROWS) % c

    def told(size: float) -> float:
        means, log_scales = classes(size)
        x = means[y] + np.exp(log_scales[y]) * noise
        log_density = np.stack(
            [
                -0.5 * (((x - m) * np.exp(-s)) ** 2).sum(1) - s.sum()
                for m, s in zip(means, log_scales, strict=True)
            ],
            axis=1,
        )
        posterior = log_softmax(log_density, axis=1)
        return float(posterior[np.arange(len(y)), y].mean() + np.log(c))

    return float(brentq(lambda s: told(s) - nats, 0.0, 60.0, xtol=1e-4))  # pyright: ignore[reportArgumentType]


def _directions(rng: np.random.Generator, k: int, d: int) -> Float[np.ndarray, "k d"]:
    return np.linalg.qr(rng.normal(size=(d, k)))[0].T


def _sequences(tokens: Float[np.ndarray, "n t d"]) -> HiddenStates:
    return HiddenStates(tokens.astype(np.float32), np.ones(tokens.shape[:2], dtype=bool))
