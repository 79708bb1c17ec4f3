"""Y = X + noise, in closed form or by one integral."""

from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from mi_probe.synthetic.known import Known


def additive_uniform(n: int, noise: float, *, seed: int = 0) -> Known:
    r"""X uniform on (0, 1), Y = X + N, N uniform on (-noise, noise).

    .. math::
        I(X;Y) = \epsilon - \ln(2\epsilon) \ (\epsilon \le 1/2), \quad
        1/(4\epsilon) \ (\epsilon > 1/2)

    Args:
        n: examples.
        noise: half the width of the noise.
        seed: of the sample.
    """
    rng = np.random.default_rng(seed)
    x = rng.random(size=(n, 1))
    y = x + rng.uniform(-noise, noise, size=(n, 1))
    nats = noise - np.log(2 * noise) if noise <= 0.5 else 0.25 / noise
    # p(y) is the overlap of (0, 1) and (y - noise, y + noise), over 2 noise.
    overlap = np.minimum(y + noise, 1) - np.maximum(y - noise, 0)
    return Known(x, y, float(nats), pointwise=-np.log(overlap[:, 0]))


def even_function(n: int, *, noise: float = 0.5, seed: int = 0) -> Known:
    """Y = X^2 + normal noise, X standard normal: they do not correlate at all.

    The truth is an integral over a grid, right to 0.001 for a noise of 0.1 or more.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1))
    y = x**2 + noise * rng.normal(size=(n, 1))
    grid, log_p = _square_density(noise)
    pointwise = -0.5 * ((y - x**2)[:, 0] / noise) ** 2 - np.log(noise * np.sqrt(2 * np.pi))
    pointwise -= np.interp(y[:, 0], grid, log_p)
    return Known(x, y, _square_nats(noise), pointwise=pointwise)


def _square_nats(noise: float) -> float:
    """I(X;X^2 + noise) = h(X^2 + noise) - h(noise)."""
    y, log_p = _square_density(noise)
    entropy = -np.trapezoid(np.exp(log_p) * log_p, y)
    return float(entropy - 0.5 * np.log(2 * np.pi * np.e * noise**2))


@lru_cache
def _square_density(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """A grid of y and the log density of X^2 + normal noise on it."""
    # Equal cells in x; each cell of x^2 carries its normal probability.
    edges = np.linspace(0, 6.5, 2_001)
    mass = 2 * np.diff(ndtr(edges))
    centre = ((edges[1:] + edges[:-1]) / 2) ** 2
    y = np.linspace(-8 * noise, 45 + 8 * noise, 8_001)
    parts = [
        np.exp(-0.5 * ((part[:, None] - centre) / noise) ** 2) @ mass
        for part in np.array_split(y, 8)
    ]
    density = np.concatenate(parts) / (noise * np.sqrt(2 * np.pi))
    return y, np.log(np.maximum(density, 1e-300))
