"""A continuous target cut into equally likely classes."""

import numpy as np
from scipy.special import ndtr, ndtri

from mi_probe.synthetic.class_source import ClassSource, known_classes
from mi_probe.synthetic.known import Known


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
