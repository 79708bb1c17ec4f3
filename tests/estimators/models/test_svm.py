import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import class_gaussians, xor

SVM = ESTIMATORS["svm"]


def test_margins_become_information():
    known = class_gaussians(1500, 4, 3, separation=2.0, seed=1)
    estimate = SVM.estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)


def test_the_kernel_sees_a_parity():
    known = xor(800, 3, seed=1)
    estimate = SVM.estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.03)
    assert all(fold["chosen"].startswith("bandwidth") for fold in estimate.history)


def test_rare_classes_keep_their_share():
    rng = np.random.default_rng(0)
    y = (rng.random(1500) < 0.05).astype(int)
    estimate = SVM.estimate(rng.normal(size=(1500, 3)), y)
    assert abs(estimate.nats) < 0.01
