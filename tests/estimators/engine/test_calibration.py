import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe.estimators.engine.mixing import (
    marginal_weight,
    mixed,
    platt,
    temperature,
)

LOG_PRIOR = np.log([0.3, 0.7])


@pytest.fixture
def margins():
    """Margins whose true posterior has slope 3 and prior 0.3."""
    rng = np.random.default_rng(0)
    y = (rng.random(6000) < 0.7).astype(int)
    signal = rng.normal(size=6000) + 1.5 * (2 * y - 1)
    true = log_softmax(np.stack([0 * signal, 3.0 * signal], axis=1) + LOG_PRIOR, axis=1)
    return y, np.stack([-signal, signal], axis=1) / 7 + 4, true


def gain(log_q, y):
    return float((log_q - LOG_PRIOR)[np.arange(len(y)), y].mean())


def test_platt_makes_posteriors_of_margins(margins):
    y, scores, true = margins
    log_q = platt(scores, LOG_PRIOR, y).apply(scores)
    assert np.exp(log_q).sum(1) == pytest.approx(1)
    assert gain(log_q, y) == pytest.approx(gain(true, y), abs=0.01)


def test_platt_of_noise_is_the_prior():
    rng = np.random.default_rng(1)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y = (rng.random(150) < 0.7).astype(int)
        scores = rng.normal(size=(150, 2))
        fresh = rng.normal(size=(4000, 2))
        answers = (rng.random(4000) < 0.7).astype(int)
        log_q = platt(scores, LOG_PRIOR, y).apply(fresh)
        assert gain(log_q, answers) > -0.04


def test_platt_never_turns_margins_round(margins):
    y, scores, _ = margins
    calibrated = platt(-scores, LOG_PRIOR, y)
    assert calibrated.notes["slope"] == 0


def test_temperature_scales_the_evidence(margins):
    y, _, true = margins
    wild = LOG_PRIOR + 5 * (true - LOG_PRIOR)
    calibrated = temperature(wild, LOG_PRIOR, y)
    assert calibrated.notes["temperature"] == pytest.approx(0.2, abs=0.02)
    assert calibrated.apply(wild) == pytest.approx(true, abs=0.5)


def test_the_marginal_keeps_the_share_of_one_row():
    sure = np.full(99, 5.0)
    weight = marginal_weight(sure)
    assert weight == pytest.approx(0.01)
    assert mixed(np.array([-1e9]), weight) == pytest.approx(np.log(0.01))
    assert mixed(sure, weight).mean() > 4.98


def test_the_marginal_takes_over_where_the_model_is_wrong():
    assert marginal_weight(np.full(50, -3.0)) > 0.99
