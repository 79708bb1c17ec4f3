import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import class_gaussians, xor


@pytest.mark.parametrize("name", ["naive_bayes", "lda", "qda"])
def test_gaussian_classes_are_theirs(name):
    known = class_gaussians(3000, 4, 3, separation=2.0, seed=2)
    estimate = ESTIMATORS[name].estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)


def test_covariances_of_their_own_are_for_qda():
    known = class_gaussians(3000, 6, 3, separation=1.0, shared_covariance=False, seed=1)
    own = ESTIMATORS["qda"].estimate(known.x, known.y).nats
    assert own == pytest.approx(known.nats, abs=0.04)
    assert ESTIMATORS["lda"].estimate(known.x, known.y).nats < own - 0.1


def test_only_qda_sees_a_parity():
    known = xor(1500, 3, seed=1)
    found = {n: ESTIMATORS[n].estimate(known.x, known.y).nats for n in ("lda", "qda")}
    assert abs(found["lda"]) < 0.01
    assert found["qda"] == pytest.approx(known.nats, abs=0.03)
