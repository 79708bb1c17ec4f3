"""The permutation test: exact where Y is independent, and able to find what is there."""

import numpy as np
import pytest
from scipy.stats import binomtest

from mi_probe.estimators import Auto, with_null
from mi_probe.estimators.core.targets import as_target
from mi_probe.estimators.engine.permutation import permuted_gains
from mi_probe.synthetic import class_gaussians, independent, xor

PERMUTATIONS = 19


def p_value(x, y, seed=0, permutations=PERMUTATIONS):
    target = as_target(y)
    rng = np.random.default_rng([seed, 9])
    orders = [np.arange(len(y)), *(rng.permutation(len(y)) for _ in range(permutations))]
    values = permuted_gains(x, target, np.stack(orders), rng)
    return (1 + (values[1:] >= values[0]).sum()) / len(values)


@pytest.mark.parametrize(("n", "d"), [(100, 5), (60, 90)])
def test_rejects_as_often_as_it_says(n, d):
    rejected = 0
    for seed in range(300):
        known = independent(n, d, 3, seed=seed)
        rejected += p_value(known.x, known.y, seed) <= 0.05
    assert binomtest(rejected, 300, 0.05).pvalue > 1e-3
    assert rejected > 0


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000, 5000])
@pytest.mark.parametrize("d", [20, 768])
def test_rejects_as_often_as_it_says_at_the_sizes_of_a_run(n, d):
    repeats = 300 if n * d < 500_000 else 60
    rejected = sum(
        p_value(*(lambda k: (k.x, k.y))(independent(n, d, 2, seed=s)), s) <= 0.05
        for s in range(repeats)
    )
    assert binomtest(rejected, repeats, 0.05).pvalue > 1e-3


@pytest.mark.parametrize(
    "known",
    [
        lambda: class_gaussians(400, 20, 3, separation=1.0, seed=1),
        lambda: xor(600, 20, seed=1),
        lambda: class_gaussians(400, 10, 2, separation=0.0, shared_covariance=False),
    ],
)
def test_finds_means_pairs_and_variances(known):
    known = known()
    assert p_value(known.x, known.y) == 0.05


def test_heavy_tails_do_not_hide_it():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=500)
    x = rng.standard_cauchy(size=(500, 5))
    x[:, 0] += 2 * y
    assert p_value(x, y) == 0.05


def test_the_statistic_goes_with_its_null_and_ties_break_at_random():
    known = independent(200, 4, 2, seed=0)
    estimate = with_null(Auto(extrapolate=False), known.x, known.y, n_permutations=4)
    assert len(estimate.null) == 4
    # Of another statistic, so nothing to hold the estimate against.
    assert estimate.p_statistic == "kernel dependence"
    assert (estimate.null_mean, estimate.null_high) == (None, None)
    assert estimate.statistic is not None
    assert estimate.statistic != estimate.nats
    assert len(set(estimate.null)) == 4
    assert estimate.p_value in {0.2, 0.4, 0.6, 0.8, 1.0}
    tied = [
        Auto(extrapolate=False)
        .estimate(np.ones((20, 2)), np.arange(20) % 2, seed=seed)
        .with_null([0.0] * 19)
        .p_value
        for seed in range(12)
    ]
    assert len(set(tied)) > 5
    assert min(tied) >= 0.05
