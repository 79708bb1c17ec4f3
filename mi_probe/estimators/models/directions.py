r"""Directions in which classes differ: in their means, covariances or third moments.

In whitened coordinates u, with class shares :math:`p_c`, class means :math:`m_c`,
covariances :math:`S_c` and third-moment tensors :math:`T_c` (all as differences from those
of all rows), the leading eigenvectors of

.. math:: \sum_c p_c m_c m_c^\top + \tfrac12 \sum_c p_c (S_c - S)^2, \qquad
          \sum_c p_c T_{c(1)} T_{c(1)}^\top

with :math:`T_{(1)}` the tensor unfolded to a d x d(d+1)/2 matrix. The first finds means,
variances and the parity of two signs; the second the parity of three, which neither means
nor covariances show. The third moments of d dimensions are d^3/6 numbers, so they are read
up to `CUBIC_LIMIT` dimensions only.

A density in 768 dimensions cannot be learned from a few thousand rows. Projecting x is a
deterministic map, and I(Y;PX) <= I(Y;X) whatever P was learned from, so a lower bound made
in the subspace is one of x. It is far below where what tells is spread over more directions
than are kept.

References:
    Cook and Weisberg 1991 (sliced average variance); Kolda and Bader 2009 (unfolding).
"""

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.models.gaussian import Moments, Subspace, WithinClasses
from mi_probe.estimators.models.interface import ClassRows

FULL_LIMIT = 128
"""Dimensions up to which the matrices are formed; above, subspace iteration."""
CUBIC_LIMIT = 100
CUBIC_CLASSES = 32
"""Classes up to which third moments are compared."""
_BLOCK, _ROUNDS, _FEWEST = 40, 3, 8
_CHUNK = 1024


def second_order(
    u: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    n_classes: int,
) -> Float[np.ndarray, "d m"]:
    """Directions, best first, by differences of means and covariances."""
    n, d = u.shape
    centre = u.mean(0)
    parts = [u[y == c] for c in range(n_classes)]
    parts = [part for part in parts if len(part)]
    means = np.stack([part.mean(0) - centre for part in parts])
    shares = np.array([len(part) / n for part in parts], dtype=u.dtype)
    # A covariance from a handful of rows says nothing, and many classes cost much.
    told = [
        (share, part - part.mean(0))
        for share, part in zip(shares, parts, strict=True)
        if len(part) >= _FEWEST and len(parts) <= 64
    ]

    def spread(vectors: np.ndarray) -> np.ndarray:
        total = (means.T * shares) @ (means @ vectors)
        for share, part in told:
            excess = vectors
            for _ in range(2):
                excess = part.T @ (part @ excess) / len(part) - excess
            total += 0.5 * share * excess
        return total

    if d <= FULL_LIMIT:
        matrix = (means.T * shares) @ means
        for share, part in told:
            excess = part.T @ part / len(part) - np.eye(d, dtype=u.dtype)
            matrix += 0.5 * share * (excess @ excess)
        return np.linalg.eigh(matrix)[1][:, ::-1]
    # Subspace iteration: directions that tell something stand out and converge in a
    # few rounds; how the noise below them is ordered does not matter.
    block = np.random.default_rng(0).normal(size=(d, _BLOCK)).astype(u.dtype)
    block[:, : min(len(means), _BLOCK // 2)] = means[: _BLOCK // 2].T
    for _ in range(_ROUNDS):
        block = spread(np.linalg.qr(block)[0])
    basis = np.linalg.qr(block)[0]
    small = basis.T @ spread(basis)
    order = np.linalg.eigh((small + small.T) / 2)[1][:, ::-1]
    return basis @ order


def third_order(
    u: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    n_classes: int,
    width: int,
) -> Float[np.ndarray, "d m"]:
    """Directions, best first, by differences of third moments."""
    n, d = u.shape
    n = max(n, 1)
    first, second = np.triu_indices(d)
    # Orthonormal Hermite products: what the second moments say stays out.
    scale = np.where(first == second, np.sqrt(0.5), 1.0).astype(u.dtype)
    tensors = np.zeros((n_classes, d, len(first)), dtype=u.dtype)
    for c in range(n_classes):
        own = u[y == c]
        for start in range(0, len(own), _CHUNK):
            part = own[start : start + _CHUNK]
            pairs = (part[:, first] * part[:, second] - (first == second)) * scale
            tensors[c] += part.T @ pairs
    counts = np.bincount(y, minlength=n_classes).astype(u.dtype)
    # As differences from all rows, each weighed by the square root of its share.
    everything = tensors.sum(0) / n
    for c in range(n_classes):
        tensors[c] /= max(counts[c], 1)
        tensors[c] = np.sqrt(counts[c] / n) * (tensors[c] - everything)
    gram = np.einsum("cip,cjp->ij", tensors, tensors, optimize=True)
    return np.linalg.eigh(gram)[1][:, ::-1][:, :width]


_WHITENING = 0.3
"""Shrinkage of the covariance that whitens."""


def telling_subspace(rows: ClassRows, width: int) -> Subspace:
    """The directions in which the classes' means or covariances differ most, best first.

    With ``width`` or fewer columns it is only a change of coordinates. Found on these
    rows, so on these rows the classes lie further apart in it than elsewhere: calibrate on
    others.
    """
    moments = Moments.of(rows.vectors, rows.y, rows.n_classes)
    white = WithinClasses(moments).whitening(_WHITENING)
    # Half the digits are plenty to find directions by, and half the time.
    u = white(rows.vectors).astype(np.float32)
    directions = second_order(u, rows.y, rows.n_classes)[:, :width]
    return Subspace(white.centre, white.projection @ directions)
