"""Jointly normal X and Y: closed forms, and the base of every mapped pair."""

import numpy as np
from jaxtyping import Float

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
