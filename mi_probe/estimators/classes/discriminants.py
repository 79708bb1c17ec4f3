"""Gaussian discriminants as members of the stack.

Each fits a whole path to a `Sample`: a function from rows to log posteriors a place.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.classes.sample import Predict, Sample, Shared
from mi_probe.estimators.models.gaussian import (
    Linear,
    Means,
    Quadratic,
    WithinClasses,
    moments_of_sets,
    quadratics,
)

MEANS: tuple[Means, ...] = ("sample", "shrunk", "spiked")
"""By their number in a path."""


def fit_linear(
    samples: Sequence[Sample], path: Sequence[dict[str, float]]
) -> list[list[Predict]]:
    """Gaussian classes with one covariance, shrunk as each place says; means shrunk too.

    A place has the ``shrinkage``, the ``means``, and whether it is that of X's own
    ``columns`` or of whitened coordinates. Those that differ in means alone share a factor.
    """
    shared = samples[0].shared
    towards = {0.0: shared.white, 1.0: shared.independent}
    # Of each covariance, the class means that it serves.
    wanted: dict[tuple[float, float], list[Means]] = {}
    for place in path:
        way = MEANS[int(place["means"])]
        wanted.setdefault((place["columns"], place["shrinkage"]), []).append(way)
    found = []
    rows = [sample.rows for sample in samples]
    for moments in moments_of_sets(shared.u, shared.y, shared.n_classes, rows):
        made = WithinClasses(moments).linears(wanted, towards)
        left = {key: iter(fits) for key, fits in made.items()}
        own = [next(left[place["columns"], place["shrinkage"]]) for place in path]
        found.append(_affine(shared, own))
    return found


def fit_quadratic(sample: Sample, path: Sequence[dict[str, float]]) -> list[Predict]:
    """Gaussian classes with covariances of their own, in the most telling directions."""
    width = int(max(place["width"] for place in path))
    z = sample.told[:, :width]
    wanted = [(int(place["width"]), place["shrinkage"]) for place in path]
    fits = quadratics(z[sample.rows], sample.y, sample.shared.n_classes, wanted)
    return [_quadratic(z, fit) for fit in fits]


def _affine(shared: Shared, path: Sequence[Linear]) -> list[Predict]:
    """Predictions of a whole path, made together: most of their time is reading rows."""
    coefficients = np.concatenate([fit.coefficients for fit in path], axis=1)
    intercept = np.concatenate([fit.intercept for fit in path])
    known: dict[bytes, np.ndarray] = {}

    def predict(rows: np.ndarray, place: int) -> np.ndarray:
        key = rows.tobytes()
        if key not in known:
            scores = shared.u[rows] @ coefficients + intercept
            known[key] = scores.reshape(len(rows), len(path), -1)
        return known[key][:, place]

    return [partial(predict, place=place) for place in range(len(path))]


def _quadratic(z: Float[np.ndarray, "n m"], fit: Quadratic) -> Predict:
    return lambda rows: fit(z[rows, : fit.means.shape[1]])
