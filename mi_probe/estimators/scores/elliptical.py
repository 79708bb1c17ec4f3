r"""The log density ratio of elliptical pairs: Gaussian and Student, in closed form.

In canonical coordinates :math:`a = A^T x`, :math:`b = B^T y` (uncorrelated, of unit scale,
pair i correlated by :math:`\rho_i`) with :math:`q_x = |a|^2`, :math:`q_y = |b|^2` over all
coordinates and :math:`s = \sum_i \frac{\rho_i^2 (a_i^2 + b_i^2) - 2 \rho_i a_i b_i}
{1 - \rho_i^2}`, the Gaussian pair has

.. math:: T = -\tfrac12 \sum_i \log(1 - \rho_i^2) - \tfrac12 s

and the Student pair with :math:`\nu` degrees of freedom, whose radii depend on each other
even where nothing is correlated,

.. math:: T = c - \tfrac12 \sum_i \log(1 - \rho_i^2)
    - \tfrac{\nu + d_x + d_y}{2} \log\bigl(1 + \tfrac{q_x + q_y + s}{\nu}\bigr)
    + \tfrac{\nu + d_x}{2} \log\bigl(1 + \tfrac{q_x}{\nu}\bigr)
    + \tfrac{\nu + d_y}{2} \log\bigl(1 + \tfrac{q_y}{\nu}\bigr).

Reference: Czyz et al. 2023, Beyond Normal, arXiv 2306.11078, appendix (the Student pair).
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, ndtr, stdtrit

DEGREES = (30.0, 15.0, 8.0, 5.0, 3.0, 2.0, 1.0)
"""Degrees of freedom that are tried beside the Gaussian."""


@dataclass(frozen=True)
class Side:
    """Rows of X, or of Y, in canonical coordinates."""

    variates: Float[np.ndarray, "n m"]
    """The coordinates that may be correlated with the other side's."""
    radius: Float[np.ndarray, " n"]
    """q, the squared length over all coordinates."""

    def __getitem__(self, rows: np.ndarray | slice) -> "Side":
        return Side(self.variates[rows], self.radius[rows])

    def __len__(self) -> int:
        return len(self.variates)

    def columns(self, chosen: np.ndarray | slice) -> "Side":
        """Some of the coordinates."""
        return Side(self.variates[:, chosen], self.radius)


@dataclass(frozen=True)
class EllipticalRatio:
    """T(x, y) of an elliptical pair; degrees of infinity are the Gaussian."""

    correlations: Float[np.ndarray, " m"]
    degrees: float = math.inf
    dimensions: tuple[int, int] = (0, 0)
    """Of X and Y; the Gaussian does not ask."""

    @property
    def silent(self) -> bool:
        """Whether it says 0 nats of every pair."""
        return math.isinf(self.degrees) and not self.correlations.any()

    def paired(self, x: Side, y: Side) -> Float[np.ndarray, " n"]:
        """T of row i of X with row i of Y, in nats."""
        own, cross = self._weights()
        s = (own * (x.variates**2 + y.variates**2)).sum(1)
        s -= 2 * (cross * x.variates * y.variates).sum(1)
        return self._value(s, x.radius, y.radius)

    def pairs(self, x: Side, y: Side) -> Float[np.ndarray, "n m"]:
        """T of every row of X with every row of Y, in nats."""
        own, cross = self._weights()
        of_x, of_y = ((own * side.variates**2).sum(1) for side in (x, y))
        # One product for all of s: further passes over the pairs would cost more than it.
        left = np.column_stack([-2 * cross * x.variates, of_x, np.ones(len(x))])
        right = np.column_stack([y.variates, np.ones(len(y)), of_y])
        return self._value(left @ right.T, x.radius[:, None], y.radius)

    def _weights(self) -> tuple[np.ndarray, np.ndarray]:
        squares = self.correlations**2
        return squares / (1 - squares), self.correlations / (1 - squares)

    def _value(self, s: np.ndarray, q_x: np.ndarray, q_y: np.ndarray) -> np.ndarray:
        gain = -0.5 * np.log1p(-(self.correlations**2)).sum()
        nu = self.degrees
        if math.isinf(nu):
            s *= -0.5
            s += gain
            return s
        d_x, d_y = self.dimensions
        halves = (nu + d_x + d_y) / 2, (nu + d_x) / 2, (nu + d_y) / 2
        constant = gammaln(halves[0]) + gammaln(nu / 2) - gammaln(halves[1:]).sum()
        return (
            gain
            + constant
            - halves[0] * np.log1p(np.maximum(q_x + q_y + s, 0) / nu)
            + halves[1] * np.log1p(q_x / nu)
            + halves[2] * np.log1p(q_y / nu)
        )


def student_scores(
    scores: Float[np.ndarray, "n d"], degrees: float
) -> Float[np.ndarray, "n d"]:
    """Normal scores as Student quantiles: the margins of a Student copula."""
    if math.isinf(degrees):
        return scores
    grid = np.linspace(-5.5, 5.5, 2001)
    # Linear between grid points only where the quantile is nearly straight.
    return np.interp(scores, grid, stdtrit(degrees, ndtr(grid)))


def likeliest_degrees(scores: Float[np.ndarray, "n d"]) -> float:
    """Degrees of freedom of the Student copula that holds normal scores best.

    By its log-likelihood with the correlations of the normal scores; infinity, the Gaussian
    copula, unless a Student one is clearly better.
    """
    n, d = scores.shape
    if d < 2:
        return math.inf
    correlation = np.corrcoef(scores.T) + 1e-6 * np.eye(d)
    log_det, inverse = np.linalg.slogdet(correlation)[1], np.linalg.inv(correlation)
    own = ((scores @ inverse) * scores).sum(1)
    best = -0.5 * log_det - 0.5 * own + 0.5 * (scores**2).sum(1)
    chosen = math.inf
    for nu in DEGREES:
        t = student_scores(scores, nu)
        q = ((t @ inverse) * t).sum(1)
        constant = gammaln((nu + d) / 2) + (d - 1) * gammaln(nu / 2)
        constant -= d * gammaln((nu + 1) / 2)
        value = constant - 0.5 * log_det - (nu + d) / 2 * np.log1p(q / nu)
        value += (nu + 1) / 2 * np.log1p(t**2 / nu).sum(1)
        gain = value - best
        if gain.mean() > 2 * gain.std() / math.sqrt(n):
            best, chosen = value, nu
    return chosen
