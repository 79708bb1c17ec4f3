r"""Whether rows depart from a Gaussian law, and which departures would have been seen.

A value at n -> infinity is two-sided only under the law that it is computed from, so all
rows are tested for departures from that law (`gaussian_laws`: residuals z and contrasts g):

* the *second order*: extreme eigenvalues, norm and trace of the mean of
  :math:`g\,z z^\top`, and the mean of g z, for each g;
* the *radius*: the mean fourth power of the rows' length;
* *any direction*: extreme eigenvalues of the mean of :math:`g\,(|z|^2 - d - 2)\,z z^\top`,
  alone and for each g, which a direction of another fourth moment moves;
* *single directions* p = z w (columns, principal axes): waves sin(fp) and cos(fp) without
  their parts along 1, p and :math:`p^2`, alone and times each g;
* *products* of the signs of three or four columns, alone and times each g.

The first three are compared with draws from the law; the others are means of independent
bounded terms, hence nearly normal, and the largest is compared with Bonferroni's quantile.

That nothing was found says something only of what would have been: `smallest_seen` plants
departures of second order, of the radius and along a column in draws from the law, and
counts how many are found. All draws are of one seed, so that one data set has one answer.
So the interval reaches up as far as departures that would have been seen, and where that is
too far, or a departure was found, the value stays *at least*.

References:
    Mardia 1970 (the fourth power of the length). Baik, Ben Arous and Peche 2005 (which
    eigenvalues can be told from noise).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm
from scipy.stats import t as student_t

from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.gaussian_laws import Law, Residuals
from mi_probe.estimators.core.learning_curve import reach_upwards

_DRAWS = 24
"""Draws of the law that moments are compared with."""
_TRIALS, _WANTED = 10, 8
"""Planted data sets of a kind, and how many of them must be found."""
_LEVEL = 0.015
"""Share of the law's own data in which each of the three tests may find something."""
_SKEW = 0.4
"""Added to normal quantiles: largest eigenvalues have a longer tail than normal ones."""
_SLOWEST, _FASTEST = 2, 9
"""Frequencies of waves along a direction, in units of its spread. What is left of slower
ones is a cube or a fourth power, whose mean is not normal."""
_MOST_DIRECTIONS, _MOST_FACTORS = 192, 24
_KINDS = 5
"""Moments of each contrast, the last of which may be too small as well as too large."""


class LawTest:
    """A Gaussian law, tested on some rows."""

    def __init__(
        self, law: Law, x: Float[np.ndarray, "n d"], columns: Float[np.ndarray, "n m"]
    ) -> None:
        """Draw what the rows are compared with.

        Args:
            law: what is tested.
            x: the rows.
            columns: of X, to be looked at singly.

        Raises:
            numpy.linalg.LinAlgError: for columns that are sums of others.
        """
        self._law, self._shape = law, x.shape
        self._rows = law.residuals(x)
        z = self._rows.z
        axes = np.hstack([z.T @ columns / len(z), np.eye(z.shape[1])])
        length = np.sqrt(np.square(axes).sum(0))
        self._axes = (axes[:, length > 1e-6] / length[length > 1e-6])[:, :_MOST_DIRECTIONS]
        # Orthogonal, so that signs are independent, and as near the columns as can be.
        left, _, right = np.linalg.svd(axes[:, : columns.shape[1]], full_matrices=False)
        near = left @ right if columns.shape[1] <= z.shape[1] else np.eye(z.shape[1])
        self._factors = near[:, :_MOST_FACTORS]
        self._rng = np.random.default_rng(0)
        drawn = [_moments(law.residuals(self._drawn())) for _ in range(_DRAWS)]
        self._middle, self._spread = np.mean(drawn, 0), np.std(drawn, 0, ddof=1)

    def departure(self) -> str:
        """What the rows depart in, in words; empty where nothing was found."""
        rows = self._rows
        radius, *second = self._unusual(_moments(rows))
        if radius:
            return "the lengths of the rows are not those of a normal law"
        count = _KINDS * rows.contrasts.shape[1]
        if any(second[:count]):
            return "second moments are not the law's"
        if any(second[count:]):
            return "a single direction does not follow the law"
        along, rest = rows.z @ self._axes, rows.joint[:, rows.z.shape[1] :]
        alone = np.zeros((len(rest), 0))
        if self._waves(along, rows.contrasts) or self._waves(rest, alone):
            return "a single direction does not follow the law"
        if _products(rows.z @ self._factors, rows.contrasts):
            return "products of columns are not the law's"
        return ""

    def smallest_seen(
        self, sizes: Sequence[float], informative: float, entropy: float | None
    ) -> float | None:
        """The first of these sizes, in nats, at which planted departures are found.

        Args:
            sizes: smallest first.
            informative: nats that the law itself holds.
            entropy: H(Y); None for scores.
        """
        # What is planted adds less where the law tells most of Y already.
        left = 1.0 if entropy is None else max(1 - informative / entropy, 0.05)
        for nats in sizes:
            alone = nats / left
            variance = self._law.scale_variance(alone, informative)
            plants: tuple[Callable[[], bool], ...] = (
                lambda v=variance: bool(self._unusual(self._scaled(v))[0]),
                lambda a=alone: bool(self._unusual(self._bent(a))[1:].any()),
                lambda a=alone: self._waves(*self._humped(a)),
            )
            if all(map(_often, plants)):
                return nats
        return None

    def _drawn(self) -> Float[np.ndarray, "n d"]:
        return self._rng.normal(size=self._shape)

    def _scaled(self, variance: float) -> Float[np.ndarray, " s"]:
        sign = self._rng.choice([-1, 1], size=(self._shape[0], 1))
        scale = np.sqrt(1 + math.sqrt(variance) * sign)
        return _moments(self._law.residuals(self._drawn() * scale))

    def _bent(self, nats: float) -> Float[np.ndarray, " s"]:
        x = self._law.bent(self._drawn(), nats, self._rng)
        return _moments(self._law.residuals(x))

    def _humped(
        self, nats: float
    ) -> tuple[Float[np.ndarray, "n 1"], Float[np.ndarray, "n k"]]:
        p, contrasts = self._law.humped(nats, self._rng)
        return p[:, None], contrasts

    def _unusual(self, found: Float[np.ndarray, " s"]) -> Bool[np.ndarray, " s"]:
        away = (found - self._middle) / np.maximum(self._spread, 1e-12)
        place, kinds = np.arange(len(found)), self._rows.contrasts.shape[1]
        two_sided = (place % _KINDS == 0) & (place <= _KINDS * kinds)
        cut = float(norm.isf(_LEVEL / len(found))) + _SKEW
        return np.where(two_sided, np.abs(away), away) > cut

    def _waves(
        self, along: Float[np.ndarray, "n m"], contrasts: Float[np.ndarray, "n k"]
    ) -> bool:
        """Whether a wave along some direction has another mean than the law's."""
        looks = (
            2
            * (_FASTEST - _SLOWEST + 1)
            * self._axes.shape[1]
            * (1 + self._rows.contrasts.shape[1])
        )
        cut = float(norm.isf(_LEVEL / 2 / looks))
        if not along.shape[1]:
            return False
        p = (along - along.mean(0)) / along.std(0)
        weights = np.hstack([np.ones((len(p), 1)), contrasts])
        weights /= np.sqrt(np.square(weights).sum(0))
        sine, cosine = np.sin(p), np.cos(p)
        waves = [(np.zeros_like(p), np.ones_like(p)), (sine, cosine)]
        for f in range(1, _FASTEST + 1):
            (s, c), level = waves[1], math.exp(-(f**2) / 2)
            s_left = s - f * level * p
            c_left = c - level * (1 - f**2 / 2 * (p**2 - 1))
            var_s = (1 - level**4) / 2 - (f * level) ** 2
            var_c = (1 + level**4) / 2 - level**2 - (f**2 * level) ** 2 / 2
            largest = max(
                np.abs(weights.T @ s_left).max() / math.sqrt(var_s),
                np.abs(weights.T @ c_left).max() / math.sqrt(var_c),
            )
            if f >= _SLOWEST and largest > cut:
                return True
            # sin and cos of (f + 1)p from those of fp and (f - 1)p.
            step = tuple(
                2 * cosine * now - before for before, now in zip(*waves, strict=True)
            )
            waves = [waves[1], step]
        return False


def _moments(rows: Residuals) -> Float[np.ndarray, " s"]:
    """The radius; eigenvalues, norm, mean of g z and trace of each g; fourth moments."""
    found = [float(np.square(np.square(rows.joint).sum(1)).mean())]
    for g in rows.contrasts.T:
        values = np.linalg.eigvalsh((rows.z.T * g) @ rows.z / len(g))
        drift = np.square(g @ rows.z / len(g)).sum()
        found += [-values[0], values[-1], np.square(values).sum(), drift, values.sum()]
    # A direction with humps or tails, whichever it is, bends the squared length with it.
    length = np.square(rows.z).sum(1) - rows.z.shape[1] - 2
    for g in (np.ones(len(length)), *rows.contrasts.T):
        values = np.linalg.eigvalsh((rows.z.T * (g * length)) @ rows.z / len(g))
        found += [-values[0], values[-1]]
    return np.array(found)


def _products(along: Float[np.ndarray, "n m"], contrasts: Float[np.ndarray, "n k"]) -> bool:
    """Whether signs of three or four columns go together otherwise than by chance."""
    n, m = along.shape
    if m < 3:
        return False
    signs = np.where(along > 0, 1.0, -1.0).astype(np.float32)
    one, other = np.triu_indices(m, 1)
    pairs = signs[:, one] * signs[:, other]
    # A third column after both, or a pair that lies after it: each product once.
    triples = other[:, None] < np.arange(m)[None]
    fours = other[:, None] < one[None]
    kinds = 1 + contrasts.shape[1]
    cut = float(norm.isf(_LEVEL / 2 / (kinds * (triples.sum() + fours.sum()))))
    for g in (np.ones(n), *contrasts.T):
        weighted = (pairs * g[:, None].astype(np.float32)).T / math.sqrt(n)
        for products, counted in ((weighted @ signs, triples), (weighted @ pairs, fours)):
            if counted.any() and float(np.abs(products[counted]).max()) > cut:
                return True
    return False


def _often(plant: Callable[[], bool]) -> bool:
    """Whether enough of the planted departures are found; stops when that is settled."""
    found = missed = 0
    while found < _WANTED and missed <= _TRIALS - _WANTED:
        if plant():
            found += 1
        else:
            missed += 1
    return found >= _WANTED


_WIDER = (1.0, 1.5, 2.0, 3.0)
"""Times the interval's own reach that it may be widened, to what would have been seen."""
_NOTHING = 0.01
"""Nats: what counts as nothing found."""
_ROWS_A_COLUMN = 4
"""Below so many, residuals are too far from the law's own to say anything."""
_MOST_PRODUCTS = 5e8
"""Rows times squared columns from which a test would cost more than an estimate."""


def two_sided_if_tested(
    limit: Extrapolation,
    law: Law,
    x: Float[np.ndarray, "n d"],
    columns: Float[np.ndarray, "n m"],
    entropy: float | None,
) -> Extrapolation:
    """The value with both ends, where its law passes; else as it came, and why.

    Args:
        limit: the value by the law, from below.
        law: what it assumes.
        x: all rows, as the law reads them.
        columns: of X, to be looked at singly.
        entropy: H(Y), in nats; None for scores.
    """
    n, d = x.shape
    if limit.ci[0] <= 0 or limit.nats < _NOTHING:
        return replace(
            limit, reason="nothing was found, which is not that there is nothing"
        )
    if n < _ROWS_A_COLUMN * d or n * d**2 > _MOST_PRODUCTS:
        how = "few" if n < _ROWS_A_COLUMN * d else "many"
        why = f"{n} rows of {d} columns are too {how} for a test of the law"
        return replace(limit, reason=why)
    try:
        tested = LawTest(law, x.astype(np.float64), columns.astype(np.float64))
    except np.linalg.LinAlgError:
        return replace(limit, reason="X has columns that are sums of others")
    if departure := tested.departure():
        return replace(limit, reason=departure)
    quantile = float(student_t.ppf(0.975, n - 1))
    reach = reach_upwards((limit.nats - limit.ci[0]) / quantile, quantile, n)
    sizes = [wider * reach for wider in _WIDER]
    seen = tested.smallest_seen(sizes, max(limit.nats, 0.0), entropy)
    if seen is None:
        why = f"departures from the law that add {sizes[-1]:.3f} nats might not be seen"
        return replace(limit, reason=why)
    return replace(
        limit,
        ci=(limit.ci[0], limit.nats + seen),
        claim="two_sided",
        assumes=law.assumes,
        reason="",
    )
