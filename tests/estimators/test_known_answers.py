"""Known answers at n = 10,000, as benchmarks/compare.py compares them."""

import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.pooling import pool
from mi_probe.synthetic import (
    class_gaussians,
    gaussian_pair,
    independent,
    mean_sufficient,
    order,
    xor,
)

N = 10_000
pytestmark = pytest.mark.slow


@pytest.fixture(params=["mine", "classifier"])
def estimator(request: pytest.FixtureRequest):
    return ESTIMATORS[request.param]


@pytest.mark.parametrize(
    ("d", "c", "separation", "shared"),
    [
        (1, 2, 3.0, True),
        (2, 5, 3.0, True),
        (8, 5, 3.0, True),
        (8, 5, 2.0, False),
        (16, 10, 3.0, True),
        (64, 2, 2.0, True),
        (64, 4, 3.0, True),
        (64, 4, 1.0, False),
        (64, 20, 6.0, True),
    ],
)
def test_gaussian_classes(estimator, d, c, separation, shared):
    known = class_gaussians(
        N, d, c, separation=separation, shared_covariance=shared, seed=1
    )
    estimate = estimator.estimate(known.x, known.y)
    assert estimate.status == "ok"
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)


def test_twenty_near_classes_in_64_dimensions_cost_what_they_must(estimator):
    # 19 x 64 numbers must be learned from 8,000 rows: p/2n = 0.076 nats is what any
    # efficient fit loses in expectation (Wilks), so a held-out bound misses 0.03 here.
    known = class_gaussians(N, 64, 20, separation=3.0, seed=1)
    estimate = estimator.estimate(known.x, known.y)
    assert -0.12 < estimate.nats - known.nats < 2 * estimate.stderr


@pytest.mark.parametrize("informative", [None, 8])
def test_768_dimensions_are_a_lower_bound(estimator, informative):
    known = class_gaussians(N, 768, 4, separation=3.0, informative=informative, seed=1)
    estimate = estimator.estimate(known.x, known.y)
    assert max(0, known.nats - 0.3) < estimate.nats
    assert estimate.ci[0] <= known.nats


@pytest.mark.parametrize("d", [20, 768])
def test_independence(estimator, d):
    known = independent(N, d, 4)
    assert abs(estimator.estimate(known.x, known.y).nats) < 0.01


def test_parity(estimator):
    known = xor(N, 64, seed=1)
    assert estimator.estimate(known.x, known.y).nats == pytest.approx(known.nats, abs=0.03)


def test_order_is_in_the_sequence_and_not_in_the_mean(estimator):
    known = order(N)
    full = estimator.estimate(known.x, known.y)
    assert full.nats == pytest.approx(np.log(2), abs=0.03)
    assert abs(estimator.estimate(pool(known.x, "mean"), known.y).nats) < 0.02


def test_nothing_is_found_beyond_a_sufficient_mean(estimator):
    known = mean_sufficient(N)
    full = estimator.estimate(known.x, known.y)
    mean = estimator.estimate(pool(known.x, "mean"), known.y)
    assert full.nats == pytest.approx(mean.nats, abs=0.02)
    assert mean.nats == pytest.approx(known.nats, abs=0.02)


@pytest.mark.parametrize(("d", "correlation"), [(1, 0.9), (5, 0.7)])
def test_gaussian_pairs(d, correlation):
    known = gaussian_pair(N, d, correlation)
    estimate = ESTIMATORS["mine"].estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)
