"""Real X and Y of known information: jointly normal, Student-t, and Y = f(X) + noise."""

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.special import digamma, gammaln, ndtr

from mi_probe.synthetic.known import Known


def gaussian_pair(n: int, d: int, correlation: float, *, seed: int = 0) -> Known:
    """Y = (n, d) with each coordinate correlated with X's: -d/2 ln(1 - r^2) nats."""
    return paired_normals(n, d, d, np.full(d, correlation), seed=seed)


def paired_normals(
    n: int, dx: int, dy: int, correlations: Float[np.ndarray, " r"], *, seed: int = 0
) -> Known:
    r"""The first r coordinates of X and Y are correlated in pairs, nothing else is.

    .. math:: I(X;Y) = -\tfrac{1}{2} \sum_j \ln(1 - \rho_j^2)

    "2-pair" in Beyond Normal (Czyz et al. 2023, arXiv 2306.11078) is two times 0.8.

    Args:
        n: examples.
        dx: dimensions of X.
        dy: dimensions of Y.
        correlations: of the pairs.
        seed: of the sample.
    """
    rng = np.random.default_rng(seed)
    r = len(correlations)
    x, y = rng.normal(size=(n, dx)), rng.normal(size=(n, dy))
    rest = 1 - correlations**2
    y[:, :r] = correlations * x[:, :r] + np.sqrt(rest) * y[:, :r]
    residual = y[:, :r] - correlations * x[:, :r]
    pointwise = 0.5 * (y[:, :r] ** 2 - residual**2 / rest - np.log(rest)).sum(1)
    return Known(x, y, float(-0.5 * np.log(rest).sum()), pointwise=pointwise)


def dense_normals(
    n: int, dx: int, dy: int, *, correlation: float = 0.5, seed: int = 0
) -> Known:
    """Every two of the dx + dy coordinates have the same correlation."""
    covariance = np.full((dx + dy, dx + dy), correlation)
    np.fill_diagonal(covariance, 1.0)
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(n, dx + dy)) @ np.linalg.cholesky(covariance).T

    def log_density(values: np.ndarray, block: np.ndarray) -> np.ndarray:
        square = (values * np.linalg.solve(block, values.T).T).sum(1)
        return -0.5 * (square + np.linalg.slogdet(block)[1])

    x, y = both[:, :dx], both[:, dx:]
    blocks = covariance[:dx, :dx], covariance[dx:, dx:]
    alone = log_density(x, blocks[0]) + log_density(y, blocks[1])
    determinants = [np.linalg.slogdet(block)[1] for block in (*blocks, covariance)]
    nats = 0.5 * (determinants[0] + determinants[1] - determinants[2])
    return Known(x, y, float(nats), pointwise=log_density(both, covariance) - alone)


def staircase(
    n: int, nats: int | float, *, d: int = 20, cubed: bool = False, seed: int = 0
) -> Known:
    """The d x d Gaussian of a given information, of which 2 to 10 nats make the stairs.

    ``cubed`` raises Y to the third power, which changes no information (Song and Ermon
    2020, arXiv 1910.06222).
    """
    correlation = np.sqrt(-np.expm1(-2 * nats / d))
    known = paired_normals(n, d, d, np.full(d, correlation), seed=seed)
    y = known.y**3 if cubed else known.y
    return Known(known.x, y, known.nats, pointwise=known.pointwise)


def student_pair(n: int, dx: int, dy: int, dof: int | float, *, seed: int = 0) -> Known:
    r"""Multivariate Student-t with the identity as dispersion.

    X and Y share their scale, so large values come together:

    .. math:: I(X;Y) = h(d_x) + h(d_y) - h(d_x + d_y)

    with h the entropy of the k-dimensional Student-t (Arellano-Valle et al. 2013, as
    corrected by Czyz et al. 2023, arXiv 2306.11078).

    Args:
        n: examples.
        dx: dimensions of X.
        dy: dimensions of Y.
        dof: degrees of freedom; 1 has no mean, 2 no variance.
        seed: of the sample.
    """
    rng = np.random.default_rng(seed)
    scale = np.sqrt(dof / rng.chisquare(dof, size=(n, 1)))
    both = scale * rng.normal(size=(n, dx + dy))
    x, y = both[:, :dx], both[:, dx:]
    nats = student_entropy(dx, dof) + student_entropy(dy, dof)
    nats -= student_entropy(dx + dy, dof)
    pointwise = _log_density(both, dof) - _log_density(x, dof) - _log_density(y, dof)
    return Known(x, y, nats, pointwise=pointwise)


def student_entropy(k: int, dof: int | float) -> float:
    """Differential entropy of the standard k-dimensional Student-t, in nats."""
    half = (dof + k) / 2
    shape = half * (digamma(half) - digamma(dof / 2))
    return float(shape - _log_constant(k, dof))


def _log_density(values: np.ndarray, dof: int | float) -> np.ndarray:
    k = values.shape[1]
    return _log_constant(k, dof) - (dof + k) / 2 * np.log1p((values**2).sum(1) / dof)


def _log_constant(k: int, dof: int | float) -> float:
    return float(gammaln((dof + k) / 2) - gammaln(dof / 2) - k / 2 * np.log(dof * np.pi))


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
