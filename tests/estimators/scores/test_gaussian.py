"""The Gaussian copula: canonical correlations that are neither in-sample nor biased."""

import numpy as np
import pytest

from mi_probe import InputError
from mi_probe.estimators import ESTIMATORS, GaussianCopula
from mi_probe.estimators.scores.canonical import NestedCanonical
from mi_probe.estimators.scores.limits import sample_squares, true_squares
from mi_probe.synthetic import gaussian_pair

GAUSSIAN = ESTIMATORS["gaussian"]


@pytest.mark.parametrize("nats", [2.0, 6.0, 10.0])
def test_staircase_far_above_log_n(nats):
    known = gaussian_pair(3000, 20, float(np.sqrt(-np.expm1(-2 * nats / 20))), seed=1)
    estimate = GAUSSIAN.estimate(known.x, known.y**3)
    assert estimate.nats == pytest.approx(nats, abs=0.2)
    assert estimate.bound == "neither"


@pytest.mark.parametrize("d", [2, 40, 300])
def test_independence_is_not_an_in_sample_fit(d):
    known = gaussian_pair(700, d, 0.0, seed=d)
    estimate = GAUSSIAN.estimate(known.x, known.y)
    assert abs(estimate.nats) < 0.02
    assert estimate.ci[0] <= 0 <= estimate.ci[1]


def test_a_mixed_rotation_changes_nothing():
    known = gaussian_pair(2000, 6, 0.7, seed=2)
    rng = np.random.default_rng(0)
    x = known.x @ rng.normal(size=(6, 6))
    estimate = GAUSSIAN.estimate(x, known.y @ rng.normal(size=(6, 6)))
    assert estimate.nats == pytest.approx(known.nats, abs=0.12)


def test_equal_and_constant_columns_and_fewer_rows_than_columns():
    known = gaussian_pair(120, 2, 0.9, seed=3)
    noise = np.random.default_rng(0).normal(size=(120, 200))
    x = np.concatenate([known.x, known.x, np.ones((120, 1)), noise], axis=1)
    estimate = GAUSSIAN.estimate(x * 1e6, known.y)
    assert 0.1 < estimate.nats < known.nats
    assert estimate.extrapolated.claim == "at_least"
    assert "columns need more than the 120 rows" in estimate.extrapolated.reason


def test_the_limit_takes_the_loss_of_learning_out():
    known = gaussian_pair(2000, 2, 0.8, seed=4)
    rng = np.random.default_rng(1)
    x, y = (
        np.concatenate([side, rng.normal(size=(2000, 198))], axis=1)
        for side in (known.x, known.y)
    )
    estimate = GAUSSIAN.estimate(x, y)
    extrapolated = estimate.extrapolated
    assert estimate.nats < known.nats - 0.1
    assert extrapolated.nats == pytest.approx(known.nats, abs=0.12)
    assert extrapolated.ci[0] < known.nats < extrapolated.ci[1]


@pytest.mark.parametrize(
    ("n", "d", "r"), [(1000, 20, 0.67), (1000, 20, 0.4), (600, 60, 0.8)]
)
def test_related_pairs_share_the_columns_that_they_are_learned_in(n, d, r):
    known = gaussian_pair(n, d, r, seed=5)
    found = GAUSSIAN.estimate(known.x, known.y).extrapolated
    assert found.nats == pytest.approx(known.pointwise.mean(), rel=0.015)


def test_more_related_pairs_than_are_looked_for_are_said():
    known = gaussian_pair(700, 80, 0.9, seed=6)
    estimate = GAUSSIAN.estimate(known.x, known.y)
    assert estimate.extrapolated.claim == "at_least"
    assert "all 32 pairs" in estimate.extrapolated.reason


def test_squares_in_the_noise_come_from_nothing():
    rng = np.random.default_rng(2)
    found = sample_squares(rng.normal(size=(1000, 200)), rng.normal(size=(1000, 100)))
    assert found[0] > 0.3
    assert true_squares(found[:1] * 0.98, 0.2, 0.1)[0] == 0
    # And the map is the theorem's, turned round.
    r = 0.5
    sample = r * (0.8 + 0.2 / r) * (0.9 + 0.1 / r)
    assert true_squares(np.array([sample]), 0.2, 0.1)[0] == pytest.approx(r)


@pytest.mark.parametrize("held_out", [0, 2])
def test_pairing_inside_a_fold_changes_nothing_that_scores_it(held_out):
    known = gaussian_pair(200, 3, 0.7)
    fold = np.arange(200) % 4
    y = known.y.copy()
    y[fold == held_out] = y[fold == held_out][::-1]
    before, after = (
        list(NestedCanonical(known.x, other, fold).starts())[held_out]
        for other in (known.y, y)
    )
    assert np.array_equal(before.ratio.correlations, after.ratio.correlations)
    assert np.array_equal(before.x_test.variates, after.x_test.variates)
    assert np.array_equal(before.x_train.variates, after.x_train.variates)


def test_directions_of_training_rows_are_out_of_fold():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 40)), rng.normal(size=(150, 40))
    for start in NestedCanonical(x, y, np.arange(150) % 5).starts():
        assert (start.ratio.correlations < 0.5).all()


def test_folds_that_cannot_nest_are_refused():
    known = gaussian_pair(40, 2, 0.5)
    with pytest.raises(InputError, match=r"n_folds must lie in 3 \.\.\. 20 .* got 2"):
        GaussianCopula(n_folds=2).estimate(known.x, known.y)
