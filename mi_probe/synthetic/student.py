"""Jointly Student-t X and Y: dependent even where they do not correlate."""

import numpy as np
from scipy.special import digamma, gammaln

from mi_probe.synthetic.known import Known


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
