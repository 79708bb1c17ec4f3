"""The path of logistic regressions in whitened coordinates."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from mi_probe.estimators.models.gaussian import Moments, WithinClasses
from mi_probe.estimators.models.interface import ClassRows
from mi_probe.estimators.models.linear import Logistic
from mi_probe.synthetic import class_gaussians

MODEL = Logistic()


def fitted(x, y, n_classes):
    rows = ClassRows.of(x, y, n_classes)
    return MODEL(rows, rows, np.random.default_rng(0)).predictions


@pytest.mark.parametrize("n_classes", [2, 3])
def test_it_is_scikit_learns(n_classes):
    known = class_gaussians(400, 4, n_classes, separation=2.0)
    within = WithinClasses(Moments.of(known.x, known.y, n_classes))
    whitening = within.whitening(MODEL.whitening)
    path = fitted(known.x, known.y, n_classes).values()
    for inverse_ridge, found in zip(MODEL.inverse_ridges, path, strict=True):
        reference = LogisticRegression(C=inverse_ridge).fit(whitening(known.x), known.y)
        assert log_softmax(found(known.x), axis=1) == pytest.approx(
            reference.predict_log_proba(whitening(known.x)), abs=0.03
        )


def test_an_absent_class_has_its_prior_only():
    known = class_gaussians(300, 3, 2, separation=2.0)
    found = list(fitted(known.x, known.y, 3).values())[-1]
    assert np.exp(log_softmax(found(known.x), axis=1))[:, 2].max() < 0.02
