"""Log posteriors that are linear or quadratic in X, as members of the stack.

Each fits a whole path to a `Sample`: a function from rows to log posteriors a place.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import solve_triangular

from mi_probe.estimators.classes.class_means import mean_noise, shrunk_means
from mi_probe.estimators.classes.sample import Predict, Sample, Shared


def fit_linear(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    """Gaussian classes with one covariance, by its shrinkage towards I; means shrunk too.

    See `shrunk_means` for the means: with many classes they hold most of the noise.
    """
    n_classes = sample.shared.n_classes
    means, scatter = _class_means(sample.u, sample.y, n_classes)
    counts = np.bincount(sample.y, minlength=n_classes)
    within = scatter / max(len(sample.rows) - n_classes, 1)
    centre = sample.u.mean(0)
    differences = (means - centre).T
    found: list[Predict] = []
    for place in path:
        factor = _shrunk_factor(within, place["shrinkage"])
        half = solve_triangular(factor, differences, lower=True)
        noise = mean_noise(factor, within, place["shrinkage"], len(sample.rows))
        kept = shrunk_means(half, counts, noise, spiked=bool(place["spiked"]))
        weights = solve_triangular(factor.T, half @ kept)
        constant = sample.log_prior - 0.5 * ((half @ kept) ** 2).sum(0) - centre @ weights
        found.append(_affine(sample.shared, weights, constant))
    return found


def fit_quadratic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    """Gaussian classes with covariances of their own, in the most telling directions."""
    n_classes = sample.shared.n_classes
    width = int(max(place["width"] for place in path))
    directions = sample.directions[:, :width]
    z = sample.u @ directions
    means, scatter = _class_means(z, sample.y, n_classes)
    within = scatter / max(len(z) - n_classes, 1)
    covariances = []
    for c, mean in enumerate(means):
        difference = z[sample.y == c] - mean
        # One prior observation stands in where a class has too few rows.
        covariances.append((difference.T @ difference + within) / (len(difference) + 1))
    covariance = np.stack(covariances).astype(np.float64)
    found: list[Predict] = []
    for place in path:
        m, shrinkage = int(place["width"]), place["shrinkage"]
        shrunk = (1 - shrinkage) * covariance[:, :m, :m] + shrinkage * within[:m, :m]
        shrunk[:, range(m), range(m)] += 1e-6
        inverse = np.linalg.inv(shrunk).astype(np.float32)
        offset = sample.log_prior - 0.5 * np.linalg.slogdet(shrunk)[1]
        found.append(
            _quadratic(sample.shared, directions[:, :m], means[:, :m], inverse, offset)
        )
    return found


def fit_logistic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    """Multinomial logistic regression, each place of the path begun at the last one's."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=60, tol=2e-3)
    found: list[Predict] = []
    for place in path:
        model.set_params(C=place["inverse_ridge"])
        with warnings.catch_warnings():
            # A fit stopped early is still a fit; the path is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            if len(np.unique(sample.y)) < 2:
                return [_affine(sample.shared, *_nothing(sample))] * len(path)
            model.fit(sample.u, sample.y)
        weights, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            # One row for the second class against the first.
            weights = np.concatenate([-weights / 2, weights / 2])
            bias = np.concatenate([-bias / 2, bias / 2])
        coefficients, intercept = _nothing(sample)
        coefficients[:, model.classes_] = weights.T
        # A class without rows here keeps its small prior beside the others' biases.
        intercept[model.classes_] = bias + sample.log_prior[model.classes_].mean()
        found.append(_affine(sample.shared, coefficients, intercept))
    return found


def _class_means(
    u: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], n_classes: int
) -> tuple[Float[np.ndarray, "c d"], Float[np.ndarray, "d d"]]:
    """Class means, and the scatter around them."""
    member = np.zeros((n_classes, len(u)), dtype=u.dtype)
    member[y, np.arange(len(u))] = 1
    counts = member.sum(1)
    means = (member @ u) / np.maximum(counts, 1)[:, None]
    # A class without rows here sits at the overall mean and tells nothing.
    means[counts == 0] = u.mean(0)
    weighted = means * np.sqrt(counts)[:, None]
    return means, u.T @ u - weighted.T @ weighted


def _shrunk_factor(
    within: Float[np.ndarray, "d d"], shrinkage: float
) -> Float[np.ndarray, "d d"]:
    """Cholesky factor of the covariance, shrunk towards I."""
    shrunk = (1 - shrinkage) * within
    shrunk[np.diag_indices_from(shrunk)] += shrinkage
    return np.linalg.cholesky(shrunk)


def _nothing(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    shape = (sample.shared.u.shape[1], sample.shared.n_classes)
    return np.zeros(shape, dtype=np.float32), sample.log_prior.copy()


def _affine(shared: Shared, coefficients: np.ndarray, intercept: np.ndarray) -> Predict:
    return lambda rows: shared.u[rows] @ coefficients + intercept


def _quadratic(
    shared: Shared,
    directions: Float[np.ndarray, "d m"],
    means: Float[np.ndarray, "c m"],
    inverses: Float[np.ndarray, "c m m"],
    offsets: Float[np.ndarray, " c"],
) -> Predict:
    def predict(rows: np.ndarray) -> np.ndarray:
        z = shared.u[rows] @ directions
        scores = np.empty((len(rows), len(means)))
        for c, (mean, inverse) in enumerate(zip(means, inverses, strict=True)):
            difference = z - mean
            distance = ((difference @ inverse) * difference).sum(1)
            scores[:, c] = offsets[c] - 0.5 * distance
        return scores

    return predict
