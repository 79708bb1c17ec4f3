import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe.estimators.engine.mixing import (
    best_temperature,
    log_likelihood,
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
    tempered,
)

LOG_PRIOR = np.log([0.5, 0.5])


@pytest.fixture
def channels():
    """Two independent noisy views of a bit, with their true posteriors."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=4000)
    seen = [np.where(rng.random(4000) < 0.2, 1 - y, y) for _ in range(2)]
    table = np.log([[0.8, 0.2], [0.2, 0.8]])
    return y, [table[view] for view in seen]


def test_temperature_undoes_overconfidence(channels):
    y, (member, _) = channels
    overconfident = log_softmax(3 * member, axis=1)
    assert best_temperature(overconfident, LOG_PRIOR, y) == pytest.approx(1 / 3, abs=0.03)


def test_temperature_of_noise_is_near_zero():
    rng = np.random.default_rng(1)
    y, scores = rng.integers(2, size=4000), rng.normal(size=(4000, 2))
    assert best_temperature(scores, LOG_PRIOR, y) < 0.05


def test_temperature_zero_is_the_prior():
    scores = np.random.default_rng(1).normal(size=(5, 2))
    assert tempered(scores, LOG_PRIOR, 0.0) == pytest.approx(np.tile(LOG_PRIOR, (5, 1)))


def test_mixture_is_at_least_its_best_member(channels):
    y, members = channels
    prior = np.tile(LOG_PRIOR, (4000, 1))
    noise = log_softmax(np.random.default_rng(2).normal(size=(4000, 2)), axis=1)
    stack = [prior, noise, *members]
    weights = mixture_weights(stack, y)
    assert weights.sum() == pytest.approx(1)
    assert weights[1] < 0.01
    together = mix(stack, weights)
    assert np.exp(together).sum(1) == pytest.approx(np.ones(4000))
    assert log_likelihood(together, y) > max(log_likelihood(m, y) for m in stack)


def test_mixture_of_useless_members_is_the_prior():
    rng = np.random.default_rng(3)
    y = rng.integers(2, size=4000)
    members = [
        np.tile(LOG_PRIOR, (4000, 1)),
        log_softmax(rng.normal(size=(4000, 2)), axis=1),
    ]
    assert mixture_weights(members, y)[0] > 0.95


def test_product_adds_independent_evidence(channels):
    y, members = channels
    powers = log_linear_weights(members, LOG_PRIOR, y)
    assert powers == pytest.approx([1, 1], abs=0.1)
    product = log_likelihood(pooled(members, LOG_PRIOR, powers), y)
    mixture = log_likelihood(mix(members, mixture_weights(members, y)), y)
    assert product > mixture + 0.05
