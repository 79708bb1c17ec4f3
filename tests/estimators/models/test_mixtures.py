"""Gaussian mixtures as a member of the stack: clusters in few directions."""

import warnings

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_info, threadpool_limits

from mi_probe.estimators import ESTIMATORS, Auto
from mi_probe.estimators.models import mixtures
from mi_probe.estimators.models.mixtures import fit_mixtures
from mi_probe.synthetic import class_mixtures, xor

_PRIOR = np.log([0.5, 0.5])


def _clusters(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Class 0 at both sides of class 1, so that their means are equal."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    side = rng.choice([-4.0, 4.0], size=n) * (y == 0)
    z = np.stack([side + rng.normal(size=n), rng.normal(size=n)], axis=1)
    return (z / z.std(0)).astype(np.float32), y


def test_a_class_on_both_sides_of_another_is_found():
    z, y = _clusters(1500)
    rows, rest = np.arange(1000), np.arange(1000, 1500)
    found = {
        parts: log_softmax(
            fit_mixtures(z[rows], y[rows], _PRIOR, parts, 0)(z[rest]), axis=1
        )
        for parts in (1, 2)
    }
    right = (found[2].argmax(1) == y[rest]).mean()
    assert right > 0.95
    told = {parts: q[np.arange(500), y[rest]].mean() for parts, q in found.items()}
    assert told[2] > told[1] + 0.05


def test_a_class_without_rows_and_small_classes_give_finite_scores():
    z, y = _clusters(60)
    rows = np.flatnonzero(y == 0)
    scores = fit_mixtures(z[rows], y[rows], np.log([0.9, 0.1]), 8, 0)(z)
    assert np.isfinite(scores).all()
    # All rows that it saw are of one class, so the other is spread as these are.
    assert scores[:, 0] - scores[:, 1] == pytest.approx(np.log(9.0), abs=1e-5)


@pytest.mark.slow
def test_mixtures_are_what_tells_of_clusters_in_16_dimensions():
    known = class_mixtures(10_000, 16, 4, seed=0)
    estimate = Auto().estimate(known.x, known.y)
    assert known.pointwise is not None
    assert estimate.nats == pytest.approx(known.pointwise.mean(), abs=0.01)
    assert np.mean([h["weights"]["x:mixtures"] for h in estimate.history]) > 0.1


def test_one_thread_fits_whatever_the_machine_has(monkeypatch):
    seen, fitted = [], mixtures._by_em

    def fit(*given):
        seen.append(max(pool["num_threads"] for pool in threadpool_info()))
        return fitted(*given)

    monkeypatch.setattr(mixtures, "_by_em", fit)
    z, y = _clusters(100)
    with threadpool_limits(2):
        fit_mixtures(z, y, _PRIOR, 2, 0)
        assert max(pool["num_threads"] for pool in threadpool_info()) == 2
    assert seen == [1, 1]


@pytest.mark.parametrize("width", [1, 2])
def test_em_is_that_of_scikit_learn(width):
    z, y = _clusters(600)
    z, rows = z[:, :width], np.arange(500)
    found = fit_mixtures(z[rows], y[rows], _PRIOR, 3, 5)(z)
    for c in (0, 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = GaussianMixture(
                3, init_params="k-means++", max_iter=12, reg_covar=1e-3, random_state=5
            ).fit(z[rows][y[rows] == c].astype(float))
        expected = model.score_samples(z.astype(float)) + _PRIOR[c]
        assert found[:, c] == pytest.approx(expected, abs=1e-8)


def test_a_parity_is_two_components_a_class():
    known = xor(1500, 2, noise=0.4, seed=1)
    estimate = ESTIMATORS["gmm"].estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)


def test_classes_of_a_few_rows_are_no_matter():
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(12), 5)
    x = rng.normal(size=(60, 6)) + 4 * np.eye(12, 6)[y]
    estimate = ESTIMATORS["gmm"].estimate(x, y)
    assert np.isfinite(estimate.pointwise).all()
    assert estimate.nats < estimate.entropy_y
