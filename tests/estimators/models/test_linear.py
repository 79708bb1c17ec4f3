import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import gaussian_pair, xor

LINEAR = ESTIMATORS["linear"]


def test_one_column_of_numbers_is_a_bound_near_the_truth():
    known = gaussian_pair(2000, 1, 0.8, seed=1)
    estimate = LINEAR.estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)
    assert estimate.bound == "lower bound"


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 300))
    y = x[:, 0] + 0.1 * rng.normal(size=100)
    estimate = LINEAR.estimate(x, y)
    assert -0.05 < estimate.nats < 0.5
    assert abs(LINEAR.estimate(x, rng.normal(size=100)).nats) < 0.05


def test_a_parity_is_nothing_to_a_linear_probe():
    known = xor(1000, 3, seed=1)
    estimate = LINEAR.estimate(known.x, known.y)
    assert abs(estimate.nats) < 0.03 < known.nats
    assert estimate.ci[0] < 0 < estimate.ci[1]
