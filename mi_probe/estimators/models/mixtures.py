r"""A Gaussian mixture for each class: what falls into clusters.

.. math:: \log q(y|z) = \log p_y + \log \sum_j w_{yj}\, N(z; \mu_{yj}, S_{yj}) + c(z)

in a few directions that tell something, by a few steps of EM. A single Gaussian is a
quadratic discriminant; more parts find classes that lie in several places or around each
other. scikit-learn's EM gives the same numbers and takes several times as long.

References:
    Hastie and Tibshirani 1996, Discriminant analysis by Gaussian mixtures.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from sklearn.cluster import kmeans_plusplus
from threadpoolctl import threadpool_limits

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.interface import (
    ClassRows,
    FitPath,
    of_coordinates,
)

_STEPS = 12
_SETTLED = 1e-3
"""Nats a row by which a step of EM must change the likelihood for another."""


@dataclass(frozen=True)
class GaussianMixtures:
    """Mixtures in the telling directions, along a path of component counts."""

    components: tuple[int, ...] = (1, 2, 4)
    width: int = 8
    """Telling directions, in more dimensions than that."""
    ridge: float = 0.03
    """Addition to every variance; those within a class are about 1."""
    rows_a_number: float = 0.4
    """Rows that a component needs for each of its means and covariances."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """Mixtures of so many components for every class."""
        subspace = telling_subspace(rows, self.width)
        u, seed = subspace(rows.vectors), int(rng.integers(2**31))
        found = {}
        for count in self.components:
            fit = fit_mixtures(
                u,
                rows.y,
                rows.log_prior,
                count,
                seed,
                ridge=self.ridge,
                rows_a_number=self.rows_a_number,
            )
            found[f"components={count}"] = of_coordinates(subspace, fit)
        return FitPath(found)


def fit_mixtures(
    z: Float[np.ndarray, "n m"],
    y: Int[np.ndarray, " n"],
    log_prior: Float[np.ndarray, " c"],
    parts: int,
    seed: int,
    *,
    ridge: float = 1e-3,
    rows_a_number: float = 4,
) -> Callable[[Float[np.ndarray, "q m"]], Float[np.ndarray, "q c"]]:
    """A function from rows to unnormalised log posteriors.

    Args:
        z: the rows to learn from, in a few directions of about unit spread.
        y: their classes.
        log_prior: of all classes.
        parts: Gaussians a class, fewer in a class with few rows.
        seed: of where EM starts.
        ridge: added to each variance.
        rows_a_number: that a part needs for each of its means and covariances.
    """
    learned = z.astype(np.float64)
    numbers = 1 + z.shape[1] * (z.shape[1] + 3) // 2
    models = []
    # So few numbers are faster by one thread than by several that wait for each other.
    with threadpool_limits(1):
        for c in range(len(log_prior)):
            own = learned[y == c]
            count = min(parts, int(len(own) / (rows_a_number * numbers)))
            # A class too small for one Gaussian is as spread as all rows are.
            models.append(_by_em(own if count else learned, max(1, count), seed, ridge))

    def predict(z: Float[np.ndarray, "q m"]) -> Float[np.ndarray, "q c"]:
        asked = _features(z.astype(np.float64))
        return log_prior + np.stack([_shares(model @ asked)[1] for model in models], axis=1)

    return predict


def _by_em(
    x: Float[np.ndarray, "n m"], parts: int, seed: int, ridge: float
) -> Float[np.ndarray, "j f"]:
    """A few steps from rows that lie apart; what it is worth is judged on other rows.

    Returns:
        What each part's log w N(z; mu, S) is in terms of `_features`.
    """
    _, first = kmeans_plusplus(x, parts, random_state=seed)
    features, m = _features(x), x.shape[1]
    found = _terms(np.full(parts, 1 / parts), x[first], np.zeros((parts, m, m)), ridge)
    before = -np.inf
    for _ in range(_STEPS):
        shares, log_density = _shares(found @ features)
        sums = shares @ features.T
        rows = sums[:, 0] + 10 * np.finfo(np.float64).eps
        means = sums[:, 1 : 1 + m] / rows[:, None]
        squares = (sums[:, 1 + m :] / rows[:, None]).reshape(parts, m, m)
        spread = squares - means[:, :, None] * means[:, None]
        found = _terms(rows / rows.sum(), means, spread, ridge)
        likelihood = float(log_density.mean())
        if abs(likelihood - before) < _SETTLED:
            break
        before = likelihood
    return found


def _features(x: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "f n"]:
    """1, each column, and each product of two: every Gaussian is linear in them."""
    products = (x[:, :, None] * x[:, None]).reshape(len(x), -1)
    return np.concatenate([np.ones((len(x), 1)), x, products], axis=1).T


def _terms(
    weights: Float[np.ndarray, " j"],
    means: Float[np.ndarray, "j m"],
    spread: Float[np.ndarray, "j m m"],
    ridge: float,
) -> Float[np.ndarray, "j f"]:
    m = means.shape[1]
    covariance = spread + ridge * np.eye(m)
    precision = np.linalg.inv(covariance)
    slopes = (precision @ means[..., None])[..., 0]
    volume = np.linalg.slogdet(covariance)[1] + m * np.log(2 * np.pi)
    constant = np.log(weights) - 0.5 * (volume + (slopes * means).sum(1))
    squares = -0.5 * precision.reshape(len(means), -1)
    return np.concatenate([constant[:, None], slopes, squares], axis=1)


def _shares(
    terms: Float[np.ndarray, "j n"],
) -> tuple[Float[np.ndarray, "j n"], Float[np.ndarray, " n"]]:
    """How much of each row is each part's, and the log density of all."""
    top = terms.max(0)
    parts = np.exp(terms - top)
    total = parts.sum(0)
    return parts / total, np.log(total) + top
