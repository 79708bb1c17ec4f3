r"""What linear discriminants lose by learning, from theory: their value at n -> infinity.

With d columns, K classes of shares :math:`p_c` and m rows, the whitened class means
(differences from the mean of all rows, times the root of their rows) are a matrix of d
rows and rank :math:`\min(K - 1, d)`: unit noise, and in all but k directions something, of
true singular values :math:`\sqrt t`. The
sample's l, without the excess :math:`\nu / (\nu - d - 1)` of an inverted sample covariance
(:math:`\nu = m - K`), tells them,

.. math:: t = \tfrac12 \bigl(b + \sqrt{b^2 - 4dk}\bigr), \qquad b = l - d - k,

and discriminants with means shrunk by their noise (`class_means`) score rows that they did
not see as Gaussian classes do whose means have, along that direction,

.. math:: t_m = \frac{(\nu - d)(\nu - d - 3)}{(\nu - d - 1)(\nu - 1)} \cdot
          \frac{(t^2 - dk)^2}{t\,(t + d)\,(t + k)} .

So they lose :math:`I(t) - I(t_m)`, I being the information of Gaussian classes, where a
learning curve would need far more rows than columns. The law is Gaussian; whether it holds
is seen, since :math:`I(t_m)` and the value on held-out rows must then agree. The moments of
:math:`S^{-1}` and :math:`S^{-2}` are those of a Wishart matrix.

References:
    Fujikoshi, Ulyanov and Shimizu 2010, Multivariate Statistics: High-Dimensional and
    Large-Sample Approximations, chapters 2 and 9 (moments; the error of discriminants).
    Benaych-Georges and Nadakuditi 2012, arXiv 1103.2221 (singular values and vectors of a
    few directions beside noise). Gavish and Donoho 2017 (the shrunk means).
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm, qmc

from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.models.class_means import shrunk_means, spike_gap
from mi_probe.estimators.models.gaussian import WithinClasses, moments_of_sets, solved

METHOD = "linear discriminants"
MEANS_ALONE = "more than means may differ between the classes"
_MOST_COLUMNS = 0.5
"""Columns, as a share of the rows learned from, from which the law is not asked."""
_MOST_CLASSES, _FEWEST_A_CLASS = 64, 10
_SMALL, _BEYOND = 0.01, 0.15
"""Nats, and share of the loss, by which other members may do better than discriminants
that are not regularised: so much may also be their regularisation."""
_SPREAD = 0.05
"""Of the loss, relative to what the theory says of it."""
_CHANCE = 0.6
"""Spread of held-out value less theory's, in standard errors of the former."""
_POINTS = 4096
"""Of quasi-Monte Carlo: their error lies below 0.001 nats."""


@dataclass(frozen=True)
class DiscriminantLaw:
    """Linear discriminants on one sample: what they reach, and what theory says of that."""

    terms: Float[np.ndarray, " n"]
    """Held-out log q(y|x)/q(y), in nats, calibrated by theory alone."""
    predicted: float
    """What theory expects of their mean, in nats."""
    limit: float
    """What theory says of endless rows, in nats."""
    regularised: float = -math.inf
    """What discriminants reach on the same rows that are shrunk as is best, in nats."""

    @property
    def by_means(self) -> float:
        """The most that differences of means were seen to tell, in nats."""
        return max(self.reached, self.regularised)

    @property
    def reached(self) -> float:
        """The held-out value, in nats."""
        return float(self.terms.mean())

    @property
    def value(self) -> float:
        """At n -> infinity, in nats.

        What was found and theory's loss, where they disagree with theory's limit; that
        limit, which has less noise, where they differ by no more than chance (a positive
        part as James and Stein's).
        """
        surplus = self.reached - self.predicted
        chance = (_CHANCE * self.stderr) ** 2
        return self.limit + surplus * max(0.0, 1 - chance / max(surplus**2, 1e-30))

    @property
    def loss(self) -> float:
        """What is lost in learning, in nats."""
        return self.limit - self.predicted

    @property
    def stderr(self) -> float:
        """Of the held-out value."""
        return float(self.terms.std()) / math.sqrt(len(self.terms))

    @property
    def holds(self) -> bool:
        """Whether means tell something here, and as much as theory expects of them."""
        reached, error = self.reached, 3 * self.stderr
        return reached > error and abs(reached - self.predicted) < 0.01 + error


def discriminant_law(
    u: Float[np.ndarray, "n d"],
    classes: Int[np.ndarray, " n"],
    fold: Int[np.ndarray, " n"],
    log_prior: Float[np.ndarray, " c"],
) -> DiscriminantLaw | None:
    """The law on these rows; None where there is none.

    Too few rows, too many classes, or coordinates that do not vary within classes.

    Args:
        u: coordinates of full rank; every linear change of them gives the same.
        classes: of the rows.
        fold: in which fold each row is held out.
        log_prior: the classes' shares.
    """
    n, d = u.shape
    n_classes, n_folds = len(log_prior), int(fold.max()) + 1
    fewest = n - int(np.bincount(fold).max())
    if not d or n_classes > _MOST_CLASSES or d > _MOST_COLUMNS * (fewest - n_classes - 4):
        return None
    sets = [*(np.flatnonzero(fold != k) for k in range(n_folds)), np.arange(n)]
    *trained, every = (
        WithinClasses(moments.double())
        for moments in moments_of_sets(u, classes, n_classes, sets)
    )
    if min(within.counts.min() for within in trained) < _FEWEST_A_CLASS:
        return None
    try:
        terms = np.empty(n)
        for k, within in enumerate(trained):
            held_out = np.flatnonzero(fold == k)
            ratio = _log_ratios(within, u[held_out])
            log_q = log_softmax(ratio + log_prior, axis=1)
            own = classes[held_out]
            terms[held_out] = log_q[np.arange(len(own)), own] - log_prior[own]
        predicted, limit = _predicted(every, n - n / n_folds, log_prior)
    except np.linalg.LinAlgError:
        # Something does not vary within classes, as where X holds Y itself.
        return None
    return DiscriminantLaw(terms, predicted, limit)


def by_law(
    limit: Extrapolation,
    law: DiscriminantLaw | None,
    learned: float,
    split: Split,
    doubt: str = "",
) -> Extrapolation:
    """The value at n -> infinity by the law, where means agree with it; else the curve's.

    Where other members found more than any discriminants did, more than means differ, and
    the curve knows better.

    Args:
        limit: by the learning curve.
        law: on the same rows.
        learned: the estimate that is to be extrapolated, in nats.
        split: which rows were held out together.
        doubt: why the estimator itself would not trust the value; empty for no reason.
    """
    if law is None or not law.holds:
        return limit
    if learned - law.by_means > max(_SMALL, _BEYOND * law.loss):
        return limit
    nats, rows = max(law.value, learned), limit.curve[-1][0]
    # What is lost in learning is a chi-square over 2m, of mean p/2m and variance p/2m^2.
    chance = math.sqrt(max(law.loss, 0.0) / rows)
    # Members may know more than discriminants do: then so much is not in the law.
    beyond = max(0.0, learned - law.by_means)
    error = math.hypot(split.standard_error(law.terms), _SPREAD * law.loss, chance, beyond)
    reason = doubt
    if not reason and nats - learned > learned:
        reason = (
            f"most of the value would be the theory's: {learned:.3f} found, "
            f"{nats - learned:.3f} added"
        )
    low = nats - split.reach(error)
    if reason:
        low = learned - split.reach(split.standard_error(law.terms))
    return replace(
        limit,
        nats=nats,
        ci=(low, math.inf),
        reason=reason or MEANS_ALONE,
        method=METHOD,
    )


def gaussian_information(
    gram: Float[np.ndarray, "c c"], log_prior: Float[np.ndarray, " c"]
) -> float:
    """I(Y;X), in nats, of Gaussian classes with unit covariance and means of this Gram."""
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    kept = values > 1e-9 * max(float(values[-1]), 1e-9)
    if not kept.any():
        return 0.0
    means = vectors[:, kept] * np.sqrt(values[kept])
    d = means.shape[1]
    # Shifted at random, so that no point lies at infinity.
    points = qmc.Sobol(d, scramble=False).random(_POINTS)
    points = (points + np.random.default_rng(0).random(d)) % 1
    noise = norm.ppf(np.clip(points, 1e-9, 1 - 1e-9))
    constant = log_prior - 0.5 * (means**2).sum(1)
    total = 0.0
    for c, share in enumerate(np.exp(log_prior)):
        log_q = (means[c] + noise) @ means.T + constant
        term = log_q[:, c] - logsumexp(log_q, axis=1) - log_prior[c]
        total += float(share * term.mean())
    return total


def _log_ratios(within: WithinClasses, u: Float[np.ndarray, "k d"]) -> np.ndarray:
    """Log p(x|c)/p(x) of rows, up to a constant a row, by the law's best scale."""
    factor = within.factor(0.0)
    half = solved(factor, within.differences)
    d, free = len(half), int(within.rows) - len(within.counts)
    noise = d * free / (free - d - 1)
    half = half @ shrunk_means(half.T @ half, d, within.counts, noise, spiked=True)
    scale = (free - d) * (free - d - 3) / (free * (free - 1))
    weights = solved(factor, half, transposed=True)
    return scale * ((u - within.centre) @ weights - 0.5 * (half**2).sum(0))


def _predicted(
    within: WithinClasses, rows: float, log_prior: Float[np.ndarray, " c"]
) -> tuple[float, float]:
    """What is expected of discriminants that learned from so many rows, and from all."""
    half, counts = solved(within.factor(0.0), within.differences), within.counts
    d, n, n_classes = len(half), int(within.rows), len(counts)
    free = n - n_classes
    root, k = np.sqrt(counts), min(n_classes - 1, d)
    _, strength, right = np.linalg.svd(half * root, full_matrices=False)
    squares = (free - d - 1) / free * strength**2
    gap, noise = spike_gap(squares, d, k)
    true = np.where(gap > 0, (squares - d - noise + gap) / 2, 0.0)
    learned = true * rows / n
    free = rows - n_classes
    kept = (free - d) * (free - d - 3) / ((free - d - 1) * (free - 1))
    shown = np.maximum(learned**2 - d * noise, 0) ** 2
    full = learned * (learned + d) * (learned + noise)
    seen = kept * shown / np.maximum(full, 1e-30)
    # What is left of the unbiased sum lies in directions too weak to tell from noise.
    rest = float(squares.sum() - d * k - true.sum())
    hidden = np.flatnonzero(gap == 0)[:noise]
    if len(hidden) and rest > 2 * math.sqrt(2 * d * k):
        true[hidden] = rest / len(hidden)
    # In the basis where the noise of the means is the same in all directions.
    basis = right / root
    predicted, limit = (
        gaussian_information((basis.T * values) @ basis, log_prior)
        for values in (seen * n / rows, true)
    )
    return predicted, limit
