"""Classes that are Gaussians, mixtures, heavy-tailed, or a score cut at its quantiles."""

import numpy as np
from scipy.special import gammaln, ndtr, ndtri

from mi_probe.synthetic.class_source import (
    ClassSource,
    Mixture,
    from_densities,
    known_classes,
    skewed_prior,
)
from mi_probe.synthetic.known import TRUTH_ROWS, Known

_MOST_NUMBERS = 40_000_000
"""Coordinates, and class densities, that a truth may draw: wide rows get fewer."""


def class_gaussians(
    n: int,
    d: int,
    n_classes: int,
    *,
    separation: float = 1.0,
    informative: int | None = None,
    shared_covariance: bool = True,
    prior_ratio: float = 1.0,
    seed: int = 0,
) -> Known:
    """Classes, each a Gaussian in ``d`` dimensions.

    Args:
        n: examples.
        d: dimensions.
        n_classes: classes.
        separation: length of the difference between two class means, in standard
            deviations (in expectation).
        informative: the dimensions that hold the difference, all of them by default.
        shared_covariance: False scales each class's axes at random (log-normal, 0.4).
        prior_ratio: probability of the likeliest class over the rarest; 1 is balanced.
        seed: of the population and of the sample.
    """
    rng = np.random.default_rng(seed)
    k = d if informative is None else informative
    means = rng.normal(size=(n_classes, k)) * separation / np.sqrt(2 * k)
    shape = (n_classes, k)
    scales = np.ones(shape) if shared_covariance else np.exp(0.4 * rng.normal(size=shape))

    def draw(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        return means[y] + scales[y] * rng.normal(size=(len(y), k))

    def log_density(x: np.ndarray) -> np.ndarray:
        # The squares written out: one product of matrices instead of a loop over classes.
        inverse = scales**-2.0
        square = (
            x**2 @ inverse.T - 2 * x @ (means * inverse).T + (means**2 * inverse).sum(1)
        )
        return -0.5 * square - np.log(scales).sum(1)

    source = from_densities(skewed_prior(n_classes, prior_ratio), draw, log_density)
    rows = min(TRUTH_ROWS, _MOST_NUMBERS // max(n_classes, k))
    return known_classes(source, n, d, seed=seed, truth_rows=rows)


def class_mixtures(
    n: int,
    d: int,
    n_classes: int,
    *,
    parts: int = 3,
    spread: float = 3.0,
    informative: int = 2,
    seed: int = 0,
) -> Known:
    """Each class a mixture of ``parts`` unit Gaussians at random places.

    Args:
        n: examples.
        d: dimensions.
        n_classes: classes.
        parts: Gaussians a class.
        spread: standard deviation of their centres, in those of the Gaussians.
        informative: dimensions in which the classes differ.
        seed: of the population and of the sample.
    """
    rng = np.random.default_rng(seed)
    centres = spread * rng.normal(size=(n_classes, parts, informative))

    def draw(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        part = rng.integers(parts, size=len(y))
        return centres[y, part] + rng.normal(size=(len(y), informative))

    weights = np.repeat(np.eye(n_classes), parts, axis=0) / parts
    mixture = Mixture(centres.reshape(-1, informative), np.ones(n_classes * parts), weights)
    source = from_densities(skewed_prior(n_classes, 1.0), draw, mixture.log_likelihood)
    return known_classes(source, n, d, seed=seed)


def heavy_tailed_classes(
    n: int,
    d: int,
    n_classes: int,
    *,
    dof: int | float = 1.0,
    separation: float = 3.0,
    seed: int = 0,
) -> Known:
    """Classes that are multivariate Student-t: with one or two degrees of freedom.

    Args:
        n: examples.
        d: dimensions, all of which hold the difference.
        n_classes: classes.
        dof: degrees of freedom; with 1 not even the mean exists, with 2 no variance.
        separation: length of the difference between two locations, in scales.
        seed: of the population and of the sample.
    """
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(n_classes, d)) * separation / np.sqrt(2 * d)
    constant = gammaln((dof + d) / 2) - gammaln(dof / 2) - d / 2 * np.log(dof * np.pi)

    def draw(rng: np.random.Generator, y: np.ndarray) -> np.ndarray:
        scale = np.sqrt(dof / rng.chisquare(dof, size=(len(y), 1)))
        return places[y] + scale * rng.normal(size=(len(y), d))

    def log_density(x: np.ndarray) -> np.ndarray:
        square = ((x[:, None] - places) ** 2).sum(-1)
        return constant - (dof + d) / 2 * np.log1p(square / dof)

    source = from_densities(skewed_prior(n_classes, 1.0), draw, log_density)
    return known_classes(source, n, d, seed=seed)


def quantised(
    n: int, d: int, n_classes: int = 5, *, correlation: float = 0.9, seed: int = 0
) -> Known:
    r"""Y = the quantile class of a score that correlates with one direction of X.

    The score is :math:`s = \rho x + \sqrt{1 - \rho^2}\,\epsilon`, cut at its quantiles.

    Args:
        n: examples.
        d: dimensions, of which one, rotated, holds the information.
        n_classes: equally likely classes.
        correlation: of the score with x.
        seed: of the rotation and of the sample.
    """
    inner = ndtri(np.arange(1, n_classes) / n_classes)
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    rest = np.sqrt(1 - correlation**2)

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(rows, 1))
        score = correlation * x[:, 0] + rest * rng.normal(size=rows)
        return x, np.searchsorted(inner, score)

    def log_posterior(x: np.ndarray) -> np.ndarray:
        below = ndtr((edges - correlation * x) / rest)
        # Differences of the nearer tail keep their digits.
        above = ndtr((correlation * x - edges) / rest)
        mass = np.where(below[:, :-1] > 0.5, -np.diff(above), np.diff(below))
        return np.log(np.clip(mass, 1e-300, 1))

    prior = np.full(n_classes, -np.log(n_classes))
    return known_classes(ClassSource(prior, draw, log_posterior), n, d, seed=seed)
