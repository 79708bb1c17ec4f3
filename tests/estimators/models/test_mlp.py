import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import class_gaussians, xor

MLP = ESTIMATORS["mlp"]


def test_a_parity_is_learned():
    known = xor(1500, 3, seed=1)
    assert MLP.estimate(known.x, known.y).nats == pytest.approx(known.nats, abs=0.03)


def test_more_columns_than_rows_are_a_low_bound():
    known = class_gaussians(150, 200, 2, separation=4.0, informative=2, seed=1)
    estimate = MLP.estimate(known.x, known.y)
    assert estimate.ci[0] < known.nats
    assert estimate.nats > -0.02
