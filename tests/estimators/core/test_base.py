"""How an estimate shows itself."""

import dataclasses
import math

import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS, Estimate
from mi_probe.estimators.core.base import Extrapolation


@pytest.fixture
def estimate():
    return Estimate(
        nats=0.25,
        stderr=0.01,
        ci=(0.23, 0.27),
        pointwise=np.full(200, 0.25),
        entropy_y=0.5,
        status="ok",
        bound="lower bound",
        estimator=ESTIMATORS["linear"],
        seed=3,
    )


def test_value_interval_unit_ceiling_and_status(estimate):
    html = estimate._repr_html_()
    assert "0.250 nats [0.230, 0.270], held-out lower bound" in html
    assert "0.500 nats, of which 50 %" in html
    assert ">ok<" in html
    assert "200, 3" in html
    assert "permuted" not in html
    assert "endless" not in html


def test_null_and_learning_curve_where_they_are(estimate):
    curve = Extrapolation(
        nats=0.3,
        ci=(0.2, math.inf),
        claim="at_least",
        reason="steep",
        curve=((100, 0.2),),
    )
    html = dataclasses.replace(estimate, null=(0.0, 0.02), extrapolated=curve)._repr_html_()
    assert "at least 0.200 nats" in html
    cheap = estimate.with_null([0.0, 2.0], statistic=1.0, name="a cheap one")
    assert cheap.p_value == 2 / 3
    assert "p = 0.667, by a cheap one" in cheap._repr_html_()
    law = {"claim": "two_sided", "assumes": "X is normal"}
    both = dataclasses.replace(curve, ci=(0.2, 0.4), **law)
    html_of_both = dataclasses.replace(estimate, extrapolated=both)._repr_html_()
    assert "0.300 nats [0.200, 0.400], if X is normal" in html_of_both
    assert "0.010 nats on average, high 0.020 nats, p = 0.333" in html


def test_scores_have_no_ceiling_and_a_leak_is_said(estimate):
    scores = dataclasses.replace(
        estimate, entropy_y=None, bound="neither", gold_leak=True, status="too_few_rows"
    )
    html = scores._repr_html_()
    assert "none: Y is not discrete" in html
    assert "held-out neither bound" in html
    assert "says nothing" in html
    assert "too few rows" in html
