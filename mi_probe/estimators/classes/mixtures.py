r"""A Gaussian mixture for each class as a member of the stack: what falls into clusters.

.. math:: \log q(y|z) = \log p_y + \log \sum_j w_{yj}\, N(z; \mu_{yj}, S_{yj}) + c(z)

in a few directions that tell something, by a few steps of EM. A single Gaussian is the
quadratic member; more parts find classes that lie in several places or around each other.

References:
    Hastie and Tibshirani 1996, Discriminant analysis by Gaussian mixtures.
"""

import warnings
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from threadpoolctl import threadpool_limits

_STEPS = 12
_RIDGE = 1e-3
"""Added to each variance, of whitened coordinates."""
_ROWS_A_NUMBER = 4
"""Rows that a part needs for each of its means and covariances."""


def fit_mixtures(
    z: Float[np.ndarray, "n m"],
    y: Int[np.ndarray, " k"],
    rows: Int[np.ndarray, " k"],
    log_prior: Float[np.ndarray, " c"],
    parts: int,
    seed: int,
) -> Callable[[Int[np.ndarray, " q"]], Float[np.ndarray, "q c"]]:
    """A function from rows to unnormalised log posteriors.

    Args:
        z: the directions, of all rows.
        y: the classes of the rows to learn from.
        rows: the rows to learn from.
        log_prior: of all classes.
        parts: Gaussians a class, fewer in a class with few rows.
        seed: of where EM starts.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    learned = z[rows].astype(np.float64)
    numbers = 1 + z.shape[1] * (z.shape[1] + 3) // 2
    models = []
    for c in range(len(log_prior)):
        own = learned[y == c]
        count = min(parts, len(own) // (_ROWS_A_NUMBER * numbers))
        model = GaussianMixture(
            max(1, count),
            init_params="k-means++",
            max_iter=_STEPS,
            reg_covar=_RIDGE,
            random_state=seed,
        )
        # So few numbers are faster by one thread than by several that wait.
        with warnings.catch_warnings(), threadpool_limits(1):
            # Stopped early is enough; what it is worth is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # A class too small for one Gaussian is as spread as all rows are.
            models.append(model.fit(own if count else learned))

    def predict(rows: Int[np.ndarray, " q"]) -> Float[np.ndarray, "q c"]:
        asked = z[rows].astype(np.float64)
        return log_prior + np.stack([m.score_samples(asked) for m in models], axis=1)

    return predict
