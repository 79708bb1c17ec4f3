"""Accuracy, AUROC, Brier, ECE and code length of a held-out posterior, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from mi_probe.analysis.posterior_scores import SCORES, calibration_error, posterior_scores
from mi_probe.estimators import ESTIMATORS, Estimate
from mi_probe.estimators.core.base import Extrapolation
from mi_probe.synthetic import class_gaussians

P = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
Y = np.array([0, 1, 1, 1])


def estimate_of(p, y, **more):
    prior = np.bincount(y) / len(y)
    log_q = np.log(p)
    terms = log_q[np.arange(len(y)), y] - np.log(prior[y])
    return Estimate(
        nats=float(terms.mean()),
        stderr=0.1,
        ci=(0.0, 1.0),
        pointwise=terms,
        entropy_y=float(-(prior * np.log(prior)).sum()),
        status="ok",
        bound="lower bound",
        estimator=ESTIMATORS["lda"],
        seed=0,
        log_posterior=log_q,
        **more,
    )


def test_of_two_classes():
    found = posterior_scores(estimate_of(P, Y), np.array([5, 9, 9, 9]))
    assert found["accuracy"] == 0.5
    # Of the three pairs of one row of each class, all are in the right order.
    assert found["auroc"] == 1.0
    squares = [2 * 0.1**2, 2 * 0.6**2, 2 * 0.3**2, 2 * 0.8**2]
    assert found["brier"] == pytest.approx(np.mean(squares))
    # A bin a row: |right - confidence|.
    assert found["ece"] == pytest.approx((0.1 + 0.6 + 0.3 + 0.8) / 4)
    assert found["code_length_bits"] is None


def test_of_more_classes_auroc_is_the_mean_of_one_against_the_rest():
    p = np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.4, 0.5, 0.1], [0.1, 0.3, 0.6]])
    found = posterior_scores(estimate_of(p, np.array([0, 1, 1, 2])), np.array([0, 1, 1, 2]))
    assert found["auroc"] == pytest.approx((1 + 1 + 1) / 3)
    assert found["accuracy"] == 0.75


def test_rows_of_one_confidence_are_in_one_bin():
    p = np.tile([0.7, 0.3], (100, 1))
    y = (np.arange(100) % 10 >= 7).astype(int)
    assert calibration_error(p, y) == pytest.approx(0, abs=1e-9)
    assert calibration_error(p, np.zeros(100, dtype=int)) == pytest.approx(0.3)


def test_the_code_length_is_that_of_blocks():
    curve = ((20, 0.1), (40, 0.2), (80, 0.3))
    limit = Extrapolation(
        nats=0.5, ci=(0.3, np.inf), claim="at_least", reason="x", curve=curve
    )
    p = np.tile(P, (25, 1))
    y = np.tile(Y, 25)
    found = replace(estimate_of(p, y, extrapolated=limit), nats=0.3, entropy_y=0.69)
    nats = 20 * np.log(2) + 20 * (0.69 - 0.1) + 40 * (0.69 - 0.2) + 20 * (0.69 - 0.3)
    scores = posterior_scores(found, y)
    assert scores["code_length_bits"] == pytest.approx(nats / np.log(2))


def test_what_is_known_is_sent_in_fewer_bits():
    known = class_gaussians(n=400, d=4, n_classes=2, separation=6.0)
    none = np.random.default_rng(0).permutation(known.y)
    auto = ESTIMATORS["auto"]
    much, little = (
        posterior_scores(auto.estimate(known.x, y, seed=0), y) for y in (known.y, none)
    )
    assert much["code_length_bits"] < 0.7 * little["code_length_bits"]
    assert little["code_length_bits"] == pytest.approx(400, rel=0.05)
    assert much["accuracy"] > 0.9 > 0.6 > little["accuracy"]


def test_without_a_posterior_all_are_empty():
    found = replace(estimate_of(P, Y), log_posterior=None)
    assert posterior_scores(found, Y) == dict.fromkeys(SCORES)
