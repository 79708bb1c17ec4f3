r"""Columns of one side, found without looking at Y: standardised, whitened, independent.

What all members of a stack share is whitened once:

:math:`u = ((1-\lambda) S + \lambda I)^{-1/2} (x - \bar x)` with S the covariance of *all*
rows, in standardised columns, and :math:`\lambda = d/(d + n)`.

The rows that are reported take part in :math:`S`. That does not loosen the bound: given
every x, whatever was made of them, and the labels of the other rows, the label of a
held-out row still follows p(y|x), and Gibbs' inequality holds for each x by itself. What
may never be used to train or to choose are its *labels*.

In whitened coordinates the axes are arbitrary: any rotation is as white. Where X is a mix
of independent sources that are not Gaussian, the mixed columns are nearer to Gaussian than
the sources, and the least Gaussian rotation undoes the mixing (FastICA, symmetric, by log
cosh); where X is Gaussian the axes found are as arbitrary as before, and no worse.

References:
    Hyvarinen 1999, Fast and robust fixed-point algorithms for independent component
    analysis, doi 10.1109/72.761722.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float

from mi_probe.scratch import beside, column_blocks, is_on_disk, let_go, pieces, product

_HEAVY = 12.0
"""Kurtosis of a column above which a second, squashed view is made (Gaussian: 3)."""
_LEAST = 1e-7
"""Share of the largest eigenvalue below which a direction is rounding."""


def whitened(
    x: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, "n r"], Float[np.ndarray, " r"]]:
    """The shared coordinates, float32; constant and duplicated columns drop out.

    Returns:
        The coordinates, and what the covariance I of standardised columns is in them: a
        diagonal.
    """
    x = standardised(x)
    n, d = x.shape
    if not d:
        return x, x.sum(0)
    # Of the smaller of both products; of rows in float64, whose digits are the scores'.
    wide = x.astype(np.float64)[: n if n <= d else 0]
    values, vectors = np.linalg.eigh(
        (x.T @ x).astype(np.float64) / n if n > d else wide @ wide.T / n
    )
    kept = values > _LEAST * max(values[-1], 1e-30)
    values, vectors = values[kept], vectors[:, kept]
    u = product(x, vectors.astype(np.float32)) if n > d else vectors * np.sqrt(values * n)
    shrinkage = d / (d + n)
    variances = (1 - shrinkage) * values + shrinkage
    for rows in pieces(u):
        u[rows] /= np.sqrt(variances)
        let_go([x, u])
    return u.astype(np.float32, copy=False), (1 / variances).astype(np.float32)


def views_of_vectors(
    x: Float[np.ndarray, "n d"],
) -> Iterator[tuple[str, Float[np.ndarray, "n d"]]]:
    """X itself; with heavy tails also squashed, arcsinh of robustly scaled columns."""
    yield "x", x
    z, heavy = standardised(x), False
    for columns in column_blocks(z.shape[1]):
        squares = z[:, columns] ** 2
        kurtosis = np.einsum("ij,ij->j", squares, squares) / len(z)
        heavy |= bool((kurtosis > _HEAVY).any())
    del z
    if not heavy:
        return
    squashed = beside(x, x.shape, x.dtype)
    for columns in column_blocks(x.shape[1]):
        part = x[:, columns]
        low, middle, high = np.quantile(part, [0.25, 0.5, 0.75], axis=0)
        spread, deviation = (high - low) / 1.349, part.std(0)
        spread = np.where(spread > 0, spread, np.where(deviation > 0, deviation, 1))
        squashed[:, columns] = np.arcsinh((part - middle) / spread)
    let_go([x, squashed])
    yield "squashed x", squashed


def standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
    """Float32 columns of mean 0 and spread 1, without those that are constant."""
    # Column by column in memory, as taking some columns of an array gives them.
    found, kept = beside(x, x.shape, order="F"), 0
    for columns in column_blocks(x.shape[1]):
        part = x[:, columns].astype(np.float64) if is_on_disk(x) else x[:, columns]
        centred = part - part.mean(0)
        spread = centred.std(0)
        varies = spread > 1e-6 * np.maximum(np.abs(part).max(0), 1e-30)
        width = np.count_nonzero(varies)
        found[:, kept : kept + width] = centred[:, varies] / spread[varies]
        kept += width
    let_go([x, found])
    return found[:, :kept]


INDEPENDENT_LIMIT = 8
"""Dimensions up to which independent axes are sought."""
_FEWEST = 20
"""Rows a dimension below which what looks independent is chance."""


def independent_axes(u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
    """Independent components of whitened coordinates; no column where none are sought."""
    n, d = u.shape
    if not 2 <= d <= INDEPENDENT_LIMIT or n < _FEWEST * d:
        return u[:, :0]
    return least_gaussian(u.astype(np.float64)).astype(np.float32)


_STEPS = 60
_ROWS = 20000
_STILL = 1e-4


def least_gaussian(values: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n m"]:
    """The columns, whitened and turned to where they are least Gaussian.

    Gaussian columns have no such direction: they are turned in some way or other.
    """
    centred = values - values.mean(0)
    spread, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = spread > 1e-9 * spread[-1]
    white = centred @ (axes[:, kept] / np.sqrt(spread[kept]))
    rows = white[:: max(1, len(white) // _ROWS)].astype(np.float32)
    # Far rows would rule the first steps of a heavy tail.
    rows = np.clip(rows, -6, 6)
    turn = np.eye(rows.shape[1], dtype=np.float32)
    for _ in range(_STEPS):
        found = rows @ turn.T
        bent = np.tanh(found)
        new = bent.T @ rows / len(rows) - (1 - bent**2).mean(0)[:, None] * turn
        left, _, right = np.linalg.svd(new, full_matrices=False)
        before, turn = turn, left @ right
        if np.abs(np.abs((turn * before).sum(1)) - 1).max() < _STILL:
            break
    return white @ turn.T.astype(np.float64)
