"""Data whose mutual information is known: what an estimator is held against.

Each function draws ``n`` examples and returns them with the true I(Y;X) in nats. Where no
closed form exists the truth is a Monte Carlo mean of log p(y|x)/p(y) under the known
densities, over rows of its own, with its standard error beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax

from mi_probe.hidden import HiddenStates

_TRUTH_ROWS = 200_000
"""Monte Carlo rows behind a truth: a standard error of about 0.001 to 0.003 nats."""


@dataclass(frozen=True)
class Known:
    """A sample with its true information, in nats."""

    x: "np.ndarray | HiddenStates" = field(repr=False)
    y: np.ndarray = field(repr=False)
    nats: float
    """I(Y;X) of the population the rows were drawn from."""
    stderr: float = 0.0
    """Monte Carlo standard error of ``nats``; 0 where the value is exact."""
    pooled_nats: dict[str, float] = field(default_factory=dict)
    """I(Y;g(X)) for the poolings whose truth is known, by name."""


def class_gaussians(
    n: int,
    d: int,
    n_classes: int,
    *,
    separation: float = 1.0,
    informative: int | None = None,
    shared_covariance: bool = True,
    seed: int = 0,
) -> Known:
    """Classes of equal probability, each a Gaussian in ``d`` dimensions.

    Args:
        n: examples.
        d: dimensions.
        n_classes: classes.
        separation: length of the difference between two class means, in standard
            deviations (in expectation).
        informative: the dimensions that hold the difference, all of them by default.
        shared_covariance: False scales each class's axes at random (log-normal, 0.4).
        seed: of the population and of the sample.
    """
    rng = np.random.default_rng(seed)
    k = d if informative is None else informative
    means = rng.normal(size=(n_classes, k)) * separation / np.sqrt(2 * k)
    shape = (n_classes, k)
    scales = np.ones(shape) if shared_covariance else np.exp(0.4 * rng.normal(size=shape))

    def draw(rows: int) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, " n"]]:
        y = rng.integers(n_classes, size=rows)
        return means[y] + scales[y] * rng.normal(size=(rows, k)), y

    def log_ratio(x: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> np.ndarray:
        log_density = np.stack(
            [
                -0.5 * (((x - m) / s) ** 2).sum(1) - np.log(s).sum()
                for m, s in zip(means, scales, strict=True)
            ],
            axis=1,
        )
        posterior = log_softmax(log_density, axis=1)
        return posterior[np.arange(len(y)), y] + np.log(n_classes)

    x, y = draw(n)
    nats, stderr = _monte_carlo(draw, log_ratio)
    # A random rotation, so that the information lies along no axis.
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    x = np.concatenate([x, rng.normal(size=(n, d - k))], axis=1) @ rotation
    return Known(x, y, nats, stderr)


def xor(n: int, d: int, *, signs: int = 2, noise: float = 0.3, seed: int = 0) -> Known:
    """Parity of ``signs`` noisy signs: no mean and no single axis tells anything."""
    rng = np.random.default_rng(seed)

    def draw(rows: int) -> tuple[Float[np.ndarray, "n k"], Int[np.ndarray, " n"]]:
        sign = rng.choice([-1.0, 1.0], size=(rows, signs))
        return sign + noise * rng.normal(size=sign.shape), (sign.prod(1) > 0).astype(int)

    def log_ratio(x: Float[np.ndarray, "n k"], y: Int[np.ndarray, " n"]) -> np.ndarray:
        # E[sign | x] = tanh(x / noise^2), and the parity's mean is their product.
        parity = np.tanh(x / noise**2).prod(1)
        p_even = np.clip((1 + parity) / 2, 1e-300, 1)
        p_odd = np.clip((1 - parity) / 2, 1e-300, 1)
        return np.log(np.where(y == 1, p_even, p_odd)) + np.log(2)

    x, y = draw(n)
    nats, stderr = _monte_carlo(draw, log_ratio)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    x = np.concatenate([x, rng.normal(size=(n, d - signs))], axis=1) @ rotation
    return Known(x, y, nats, stderr)


def independent(n: int, d: int, n_classes: int, *, seed: int = 0) -> Known:
    """X says nothing about Y: exactly 0 nats."""
    rng = np.random.default_rng(seed)
    return Known(rng.normal(size=(n, d)), rng.integers(n_classes, size=n), 0.0)


def gaussian_pair(n: int, d: int, correlation: float, *, seed: int = 0) -> Known:
    """Y = (n, d) with each coordinate correlated with X's: -d/2 ln(1 - r^2) nats."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=(n, d))
    return Known(x, y, -0.5 * d * float(np.log1p(-(correlation**2))))


def order(n: int, t: int = 16, d: int = 16, *, noise: float = 0.5, seed: int = 0) -> Known:
    """Two marker tokens at random places; Y tells which of them comes first.

    I(Y;Z) = ln 2, and I(Y;Z_mean) = 0 exactly: the mean does not change when two tokens
    change places. Lengths vary between t/2 and t.
    """
    rng = np.random.default_rng(seed)
    markers = 3.0 * np.linalg.qr(rng.normal(size=(d, 2)))[0].T
    values, mask = _noise_sequences(rng, n, t, d, noise)
    y = rng.integers(2, size=n)
    for row, length in enumerate(mask.sum(1)):
        places = np.sort(rng.choice(length, size=2, replace=False))
        values[row, places] += markers if y[row] else markers[::-1]
    return Known(HiddenStates(values, mask), y, float(np.log(2)), pooled_nats={"mean": 0.0})


def needle(n: int, t: int = 16, d: int = 16, *, seed: int = 0) -> Known:
    """Y (four classes) is written at one marked position; all others hold decoys.

    I(Y;Z) = ln 4. Every other token carries the code of a random class, so that the mean
    holds little.
    """
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(d, 5)))[0].T
    codes, marker = 3.0 * axes[:4], 3.0 * axes[4]
    values, mask = _noise_sequences(rng, n, t, d, 0.3)
    y = rng.integers(4, size=n)
    values += codes[rng.integers(4, size=(n, t))] * mask[..., None]
    for row, length in enumerate(mask.sum(1)):
        place = rng.integers(length)
        values[row, place] = codes[y[row]] + marker + 0.3 * rng.normal(size=d)
    return Known(HiddenStates(values, mask), y, float(np.log(4)))


def mean_sufficient(
    n: int, t: int = 16, d: int = 16, *, separation: float = 1.5, seed: int = 0
) -> Known:
    """Every token is the class mean plus noise: Z_mean holds all that Z does."""
    rng = np.random.default_rng(seed)
    direction = np.linalg.qr(rng.normal(size=(d, 1)))[0].T
    # The mean of t tokens has noise 1/sqrt(t) along the direction.
    half = separation / (2 * np.sqrt(t))

    def draw(rows: int) -> tuple[Float[np.ndarray, "n one"], Int[np.ndarray, " n"]]:
        y = rng.integers(2, size=rows)
        mean = half * (2 * y - 1) + rng.normal(size=rows) / np.sqrt(t)
        return mean[:, None], y

    def log_ratio(x: Float[np.ndarray, "n one"], y: Int[np.ndarray, " n"]) -> np.ndarray:
        logit = 2 * half * t * x[:, 0] * (2 * y - 1)
        return np.log(2) - np.logaddexp(0, -logit)

    nats, stderr = _monte_carlo(draw, log_ratio)
    y = rng.integers(2, size=n)
    values = (
        rng.normal(size=(n, t, d)) + half * (2 * y - 1)[:, None, None] * direction[None]
    )
    states = HiddenStates(values.astype(np.float32), np.ones((n, t), bool))
    return Known(states, y, nats, stderr, pooled_nats={"mean": nats})


def _noise_sequences(
    rng: np.random.Generator, n: int, t: int, d: int, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    lengths = rng.integers(max(2, t // 2), t + 1, size=n)
    mask = np.arange(t)[None] < lengths[:, None]
    values = noise * rng.normal(size=(n, t, d)).astype(np.float32)
    return values * mask[..., None], mask


def _monte_carlo(
    draw: Callable[[int], tuple[np.ndarray, np.ndarray]],
    log_ratio: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> tuple[float, float]:
    parts = [log_ratio(*draw(_TRUTH_ROWS // 10)) for _ in range(10)]
    terms = np.concatenate(parts)
    return float(terms.mean()), float(terms.std() / np.sqrt(len(terms)))
