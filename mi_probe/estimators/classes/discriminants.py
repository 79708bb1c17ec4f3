"""Gaussian discriminants as members of the stack.

Each fits a whole path to a `Sample`: a function from rows to log posteriors a place.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.classes.sample import Predict, Sample, Shared
from mi_probe.estimators.models.gaussian import (
    Quadratic,
    WithinClasses,
    moments_of_sets,
    quadratics,
)


def fit_linear(
    samples: Sequence[Sample], path: Sequence[dict[str, float]]
) -> list[list[Predict]]:
    """Gaussian classes with one covariance, shrunk as each place says; means shrunk too.

    See `shrunk_means` for the means: with many classes they hold most of the noise.
    """
    shared = samples[0].shared
    rows = [sample.rows for sample in samples]
    found = []
    for moments in moments_of_sets(shared.u, shared.y, shared.n_classes, rows):
        within = WithinClasses(moments)
        fits = [
            within.linear(
                place["shrinkage"],
                shared.independent if place.get("columns") else shared.white,
                "spiked" if place["spiked"] else "shrunk",
            )
            for place in path
        ]
        found.append([_affine(shared, fit.coefficients, fit.intercept) for fit in fits])
    return found


def fit_quadratic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    """Gaussian classes with covariances of their own, in the most telling directions."""
    width = int(max(place["width"] for place in path))
    z = sample.told[:, :width]
    wanted = [(int(place["width"]), place["shrinkage"]) for place in path]
    fits = quadratics(z[sample.rows], sample.y, sample.shared.n_classes, wanted)
    return [_quadratic(z, fit) for fit in fits]


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


def _nothing(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
    shape = (sample.shared.u.shape[1], sample.shared.n_classes)
    return np.zeros(shape, dtype=np.float32), sample.log_prior.copy()


def _affine(shared: Shared, coefficients: np.ndarray, intercept: np.ndarray) -> Predict:
    return lambda rows: shared.u[rows] @ coefficients + intercept


def _quadratic(z: Float[np.ndarray, "n m"], fit: Quadratic) -> Predict:
    return lambda rows: fit(z[rows, : fit.means.shape[1]])
