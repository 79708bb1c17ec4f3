import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.models.gaussian_classes import NaiveBayes
from mi_probe.estimators.models.interface import ClassRows
from mi_probe.synthetic import class_gaussians, xor


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


def test_naive_bayes_is_bayes_rule():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), np.arange(40) % 2
    rows = ClassRows.of(x, y, 3)
    predict = NaiveBayes((0.0,))(rows, rows, rng).predictions["share=0"]
    scores = predict(x)
    own = x[y == 1]
    mean = own.sum(0) / 21
    variance = (((own - mean) ** 2).sum(0) + 1) / 21
    density = -0.5 * ((x - mean) ** 2 / variance + np.log(variance)).sum(1)
    assert scores[:, 1] == pytest.approx(rows.log_prior[1] + density)
    # A class without rows is standard normal, as all rows together are.
    assert scores[:, 2] == pytest.approx(rows.log_prior[2] - 0.5 * (x**2).sum(1))
