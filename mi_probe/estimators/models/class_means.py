r"""Class means, shrunk by what their noise is: the larger part of them in many dimensions.

Whitened class means, as differences from that of all rows and each times the root of its
rows, are a matrix of d rows and rank k = min(K - 1, d): true means of singular values
:math:`\sqrt t` and noise of unit variance, times the number :math:`a` by which the inverse
of a sample's covariance is too large. A sample's squared singular value is l, in units of
a. What is kept of its direction is

.. math:: 1 - d/l \;\text{(not below 0)} \qquad\text{or}\qquad
          \sqrt{b^2 - 4dk}\,/\,l, \quad b = l - d - k > 2\sqrt{dk}.

The first is Efron and Morris's and knows that noise adds d; the second also knows that k
directions of noise spread around that, so that the largest look like something: it drops
them (k then counts the dropped ones), and is better where many classes differ in few
directions. Both are places of the path.

References:
    Efron and Morris 1972, doi 10.1093/biomet/59.2.335 (James-Stein for several means).
    Gavish and Donoho 2017, arXiv 1405.7511 (optimal shrinkage of singular values).
"""

import numpy as np
from jaxtyping import Float, Real

_EXACT = 32
"""Dimensions up to which a trace is exact."""
_PROBES = 16
"""Random signs that find the trace in more."""


def probes(d: int, dtype: np.dtype) -> Float[np.ndarray, "d p"]:
    """Columns whose mean quadratic form is a trace over d: I, or random signs."""
    if d <= _EXACT:
        return np.eye(d, dtype=dtype) * np.sqrt(d).astype(dtype)
    return np.random.default_rng(0).choice([-1.0, 1.0], (d, _PROBES)).astype(dtype)


def mean_noise(trace: float, shrinkage: float, rows: float | int) -> float:
    r""":math:`\nu = \mathrm{tr}\,S_\lambda^{-1}\Sigma`: noise of whitened means times rows.

    The sample's own trace is too small by as much of the rows as its covariance uses up.

    Args:
        trace: the sample's own.
        shrinkage: of its covariance.
        rows: that it was learned from.
    """
    return trace / max(1 - (1 - shrinkage) * trace / rows, 1 / rows)


def shrunk_means(
    gram: Float[np.ndarray, "c c"],
    d: int,
    counts: Real[np.ndarray, " c"],
    noise: float,
    *,
    spiked: bool,
) -> Float[np.ndarray, "c c"]:
    """The matrix that turns whitened class means (as columns) into the shrunk ones.

    Args:
        gram: products of whitened class means, as differences from the mean of all rows.
        d: their columns.
        counts: rows of each class.
        noise: of a whitened mean, times its rows; see `mean_noise`.
        spiked: whether the spread of noise is reckoned with, and not its mean alone.
    """
    root = np.sqrt(np.maximum(counts, 1)).astype(np.float64)
    strength, right = np.linalg.eigh(root[:, None] * gram * root)
    squares = np.maximum(strength * d / max(noise, 1e-30), 1e-30)
    if spiked:
        share = spike_gap(squares, d, min(len(counts) - 1, d))[0] / squares
    else:
        share = np.maximum(1 - d / squares, 0)
    return ((root[:, None] * right) * share) @ right.T / root


def spike_gap(
    squares: Float[np.ndarray, " m"], d: int, k: int
) -> tuple[Float[np.ndarray, " m"], int]:
    r""":math:`\sqrt{b^2 - 4dk}` of each direction, 0 in the noise, and how many are noise.

    A direction has to stand out from the noise of all k; those that do are then shrunk by
    that of the others alone.
    """
    clear = squares - d - k > 2 * np.sqrt(d * k)
    others = k - int(np.count_nonzero(clear))
    inside = (squares - d - others) ** 2 - 4.0 * d * others
    return np.where(clear, np.sqrt(np.maximum(inside, 0)), 0.0), others
