import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import xor


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
