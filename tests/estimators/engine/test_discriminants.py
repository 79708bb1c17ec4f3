"""Discriminants as members: what their places mean in X's own columns, what that wins."""

import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe.estimators import Auto
from mi_probe.estimators.engine.members import MEANS, MEMBERS, fit_linear
from mi_probe.estimators.engine.sample import Sample, Shared
from mi_probe.estimators.models.columns import standardised, whitened
from mi_probe.estimators.models.gaussian import Moments, WithinClasses
from mi_probe.synthetic import class_gaussians


@pytest.mark.parametrize("d", [12, 150])
def test_columns_are_those_of_x_whatever_the_coordinates(d):
    rng = np.random.default_rng(0)
    n, y = 120, np.arange(120) % 3
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + y[:, None]
    u, independent = whitened(x)
    samples = [
        Sample(Shared(u, y, 3, independent=independent), np.flatnonzero(fold), 0)
        for fold in (np.arange(n) % 4 != 0, np.arange(n) % 4 != 1)
    ]
    path = [
        {"shrinkage": s, "means": float(MEANS.index("sample")), "columns": 1.0}
        for s in (0.2, 0.9)
    ]
    own = standardised(x).astype(np.float64)
    for sample, fits in zip(samples, fit_linear(samples, path), strict=True):
        within = WithinClasses(Moments.of(own[sample.rows], sample.y, 3))
        for place, predict in zip(path, fits, strict=True):
            expected = within.linear(place["shrinkage"], np.ones(own.shape[1]))
            for rows in (np.arange(0, n, 4), np.arange(7)):
                found = log_softmax(predict(rows), axis=1)
                assert found == pytest.approx(
                    log_softmax(expected(own[rows]), axis=1), abs=0.02
                )


def test_few_classes_have_one_way_to_shrink_means_and_many_have_few_places():
    u = np.zeros((400, 5), dtype=np.float32)

    def path(c: int) -> list[dict[str, float]]:
        return MEMBERS["linear"].path(Shared(u, np.zeros(400, dtype=np.int64), c))

    assert len({place["means"] for place in path(4)}) == 1
    assert len({place["means"] for place in path(5)}) == len(MEANS)
    assert len(path(65)) < len(path(4)) < len(path(5))


def test_noise_alike_in_all_directions_is_shrunk_in_columns():
    known = class_gaussians(600, 200, 3, separation=3.0, seed=0)
    estimate = Auto(extrapolate=False).estimate(known.x, known.y)
    used = [fold["members"]["x:linear"] for fold in estimate.history]
    assert all(place["columns"] for place in used)
    # In whitened coordinates alone it comes to 0.1 nats less.
    assert estimate.nats > 0.66
