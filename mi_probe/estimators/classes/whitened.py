r"""Coordinates that all members of a stack share: whitened once, without looking at Y.

:math:`u = ((1-\lambda) S + \lambda I)^{-1/2} (x - \bar x)` with S the covariance of *all*
rows, in standardised columns, and :math:`\lambda = d/(d + n)`.

The rows that are reported take part in :math:`S`. That does not loosen the bound: given
every x, whatever was made of them, and the labels of the other rows, the label of a
held-out row still follows p(y|x), and Gibbs' inequality holds for each x by itself. What
may never be used to train or to choose are its *labels*.
"""

import numpy as np
from jaxtyping import Float

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
    scores = x @ vectors.astype(np.float32) if n > d else vectors * np.sqrt(values * n)
    shrinkage = d / (d + n)
    variances = (1 - shrinkage) * values + shrinkage
    u = scores / np.sqrt(variances)
    return u.astype(np.float32), (1 / variances).astype(np.float32)


def views_of_vectors(x: Float[np.ndarray, "n d"]) -> dict[str, Float[np.ndarray, "n d"]]:
    """X itself; with heavy tails also squashed, arcsinh of robustly scaled columns."""
    z = standardised(x)
    heavy = np.einsum("ij,ij->j", z * z, z * z) / len(z) > _HEAVY
    if not heavy.any():
        return {"x": x}
    low, middle, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / 1.349
    spread = np.where(spread > 0, spread, np.where(x.std(0) > 0, x.std(0), 1))
    return {"x": x, "squashed x": np.arcsinh((x - middle) / spread)}


def standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
    """Float32 columns of mean 0 and spread 1, without those that are constant."""
    centred = x - x.mean(0)
    spread = centred.std(0)
    varies = spread > 1e-6 * np.maximum(np.abs(x).max(0), 1e-30)
    return (centred[:, varies] / spread[varies]).astype(np.float32)
