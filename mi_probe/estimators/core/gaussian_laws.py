r"""Gaussian laws of X and Y: what they make standard normal, and departures to plant.

Under a law there are residuals z (n, d), standard normal, and contrasts g (n, k) of mean 0
that z is independent of. For classes of one covariance z are the rows less their class's
mean, and g tells the class; for a pair z is X, and g the residual e of Y and :math:`|e|`
less its mean. Residuals do not depend on the law's means and covariances, so draws from the
simplest one (standard normal rows) tell how any statistic of them varies.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import brentq

_GRID = np.linspace(-8, 8, 1601)
_MOST = 0.97
"""Of a planted departure, as a share of the largest that there is."""


@dataclass(frozen=True)
class Residuals:
    """Rows as a law sees them."""

    z: Float[np.ndarray, "n d"]
    """Residuals of X."""
    joint: Float[np.ndarray, "n m"]
    """Residuals that the law makes normal together: z, and those of Y where it is real."""
    contrasts: Float[np.ndarray, "n k"]
    """Columns of mean 0 and spread 1, of which z is independent."""


@dataclass(frozen=True)
class ClassLaw:
    """Normal classes of one covariance."""

    classes: Int[np.ndarray, " n"]
    assumes: ClassVar[str] = "the classes are normal with one covariance"
    """The law in words, after "if"."""

    def residuals(self, x: Float[np.ndarray, "n d"]) -> Residuals:
        """Rows less their class's mean, whitened."""
        counts = np.bincount(self.classes)
        member = np.eye(len(counts))[self.classes]
        z = whitened(x - (member.T @ x / counts[:, None])[self.classes], len(counts))
        return Residuals(z, z, self._contrasts())

    def _contrasts(self) -> Float[np.ndarray, "n k"]:
        counts = np.bincount(self.classes)
        shares = counts / len(self.classes)
        one_hot = np.eye(len(counts))[self.classes]
        contrasts = (one_hot - shares) / np.sqrt(shares * (1 - shares))
        # Of two classes one contrast says all.
        return contrasts[:, :1] if len(counts) == 2 else contrasts

    def _first_half(self) -> Bool[np.ndarray, " n"]:
        """Rows of the largest classes that hold about half of all."""
        order = np.argsort(-np.bincount(self.classes), kind="stable")
        taken = np.cumsum(np.bincount(self.classes)[order]) / len(self.classes)
        last = int(np.abs(taken[:-1] - 0.5).argmin()) + 1
        return np.isin(self.classes, order[:last])

    def bent(
        self, x: Float[np.ndarray, "n d"], nats: float, rng: np.random.Generator
    ) -> Float[np.ndarray, "n d"]:
        """Standard normal rows; half of the classes spread more along one column."""
        first = self._first_half()
        share = float(first.mean())

        def spreads(size: float) -> tuple[float, float]:
            return math.sqrt(1 + size * (1 - share)), math.sqrt(1 - size * share)

        def information(size: float) -> float:
            one, other = (_normal(_GRID / s) / s for s in spreads(size))
            return _two_densities(one, other, share)

        one, other = spreads(_solved(information, nats, _MOST / share))
        x = x.copy()
        x[:, 0] *= np.where(first, one, other)
        return x

    def humped(
        self, nats: float, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
        """One column of residuals, two humps in half of the classes; and the contrasts."""
        first = self._first_half()
        share = float(first.mean())

        def information(apart: float) -> float:
            width = math.sqrt(1 - apart**2)
            left, right = (_normal((_GRID - s * apart) / width) for s in (-1, 1))
            humps = (left + right) / 2 / width
            return _two_densities(humps, _normal(_GRID), share)

        apart = _solved(information, nats, _MOST)
        p, sign = rng.normal(size=len(first)), rng.choice([-1, 1], size=len(first))
        p = np.where(first, apart * sign + math.sqrt(1 - apart**2) * p, p)
        return p, self._contrasts()

    def scale_variance(self, nats: float, informative: float) -> float:
        """Relative variance of the rows' squared scale that changes so many nats.

        Information is proportional to the mean of 1/scale^2 where it is small.
        """
        return min(nats / max(informative, 1e-9), _MOST)


@dataclass(frozen=True)
class PairLaw:
    """A normal pair; Y are the last columns of the rows."""

    columns_of_y: int
    rows: int
    assumes: ClassVar[str] = "ranks of X and Y are those of a normal pair"
    """The law in words, after "if"."""

    def residuals(self, x: Float[np.ndarray, "n d"]) -> Residuals:
        """X whitened, and Y less what it says linearly, whitened."""
        x = x - x.mean(0)
        z = whitened(x[:, : -self.columns_of_y], 1)
        y = x[:, -self.columns_of_y :]
        # Whitened z have squares that sum to one less than the rows.
        e = whitened(y - z @ (z.T @ y / (len(z) - 1)), 1 + z.shape[1])
        return Residuals(z, np.hstack([z, e]), _powers(e))

    def bent(
        self, x: Float[np.ndarray, "n d"], nats: float, rng: np.random.Generator
    ) -> Float[np.ndarray, "n d"]:
        """Standard normal rows; the last column of Y bends along one of X."""
        bend = _share_of_variance(nats)
        curve = (x[:, 0] ** 2 - 1) / math.sqrt(2)
        x = x.copy()
        x[:, -1] = math.sqrt(1 - bend) * x[:, -1] + math.sqrt(bend) * curve
        return x

    def humped(
        self, nats: float, rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
        """One column of X, along which Y waves; and the contrasts."""
        bend = _share_of_variance(nats)
        p = rng.normal(size=self.rows)
        e = rng.normal(size=(self.rows, self.columns_of_y))
        wave = math.sqrt(2 * bend) * np.sin(3 * p)
        e[:, 0] = math.sqrt(1 - bend) * e[:, 0] + wave
        return p, _powers(e)

    def scale_variance(self, nats: float, informative: float) -> float:
        """The radius of X tells that of Y: a quarter of the variance of their logarithm."""
        return min(4 * nats, _MOST)


Law: TypeAlias = ClassLaw | PairLaw
"""A law, which knows departures from itself that are worth so many nats."""


def whitened(x: Float[np.ndarray, "n d"], taken: int) -> Float[np.ndarray, "n d"]:
    """Rows of unit covariance, from centred ones.

    Args:
        x: the rows.
        taken: degrees of freedom that centring took.

    Raises:
        numpy.linalg.LinAlgError: for columns that do not vary, or are sums of others.
    """
    factor = cholesky(x.T @ x / (len(x) - taken), lower=True)
    return solve_triangular(factor, x.T, lower=True).T


def _powers(e: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n m"]:
    """Residuals and how large they are: by their size, as squares have heavy tails."""
    middle = math.sqrt(2 / math.pi)
    return np.hstack([e, (np.abs(e) - middle) / math.sqrt(1 - middle**2)])


def _share_of_variance(nats: float) -> float:
    return min(-math.expm1(-2 * nats), _MOST)


def _normal(x: Float[np.ndarray, " g"]) -> Float[np.ndarray, " g"]:
    return np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)


def _two_densities(
    one: Float[np.ndarray, " g"], other: Float[np.ndarray, " g"], share: float
) -> float:
    """Nats that a column of these two densities tells of which it is."""
    mixed = np.maximum(share * one + (1 - share) * other, 1e-300)
    total = 0.0
    for weight, density in ((share, one), (1 - share, other)):
        term = density * np.log(np.maximum(density, 1e-300) / mixed)
        total += weight * float(term.sum()) * (_GRID[1] - _GRID[0])
    return total


def _solved(information: Callable[[float], float], nats: float, most: float) -> float:
    """The size that is worth so many nats, or the largest where none is."""
    if information(most) <= nats:
        return most
    return float(brentq(lambda size: information(size) - nats, 0.0, most, xtol=1e-4))  # pyright: ignore[reportArgumentType]
