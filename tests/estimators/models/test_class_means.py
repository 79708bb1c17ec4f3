"""Shrunk class means: nearer to the truth, and by the noise that theory expects."""

import numpy as np
import pytest

from mi_probe.estimators.models.class_means import mean_noise, probes, shrunk_means

D, C, ROWS = 60, 8, 400
NOISE = 60.0


def drawn(seed: int, rank: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    means = np.zeros((C, D))
    means[:, :rank] = rng.normal(size=(C, rank))
    y = np.arange(ROWS) % C
    return means, y, means[y] + rng.normal(size=(ROWS, D))


def test_noise_is_the_trace_that_unseen_rows_would_show():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, D))
    within = np.cov(x.T)
    for shrinkage in (0.0, 0.3):
        shrunk = (1 - shrinkage) * within + shrinkage * np.eye(D)
        # The true covariance is I, so the trace is of the inverse alone.
        expected = np.trace(np.linalg.inv(shrunk))
        signs = probes(D, within.dtype)
        trace = (signs * np.linalg.solve(shrunk, within @ signs)).sum() / signs.shape[1]
        found = mean_noise(trace, shrinkage, ROWS)
        assert found == pytest.approx(expected, rel=0.05)
    naive = np.trace(np.linalg.solve(within, within))
    assert mean_noise(naive, 0.0, ROWS) > 1.1 * naive


@pytest.mark.parametrize("spiked", [False, True])
def test_shrunk_means_are_nearer_to_the_true_ones(spiked):
    means, y, x = drawn(0)
    counts = np.bincount(y)
    sample = np.stack([x[y == c].mean(0) for c in range(C)])
    half = (sample - x.mean(0)).T
    kept = half @ shrunk_means(half.T @ half, D, counts, NOISE, spiked=spiked)
    true = (means - means.mean(0)).T
    assert ((kept - true) ** 2).sum() < 0.5 * ((half - true) ** 2).sum()
    # Three of seven directions differ: most of the others shrink to nothing.
    assert 3 <= np.linalg.matrix_rank(kept, tol=1e-6) <= 5


@pytest.mark.parametrize("spiked", [False, True])
def test_means_without_a_difference_shrink_to_nothing(spiked):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(ROWS, D)), np.arange(ROWS) % C
    half = (np.stack([x[y == c].mean(0) for c in range(C)]) - x.mean(0)).T
    kept = half @ shrunk_means(half.T @ half, D, np.bincount(y), NOISE, spiked=spiked)
    assert (kept**2).sum() < 0.1 * (half**2).sum()


@pytest.mark.parametrize("spiked", [False, True])
def test_a_class_without_rows_stays_at_the_mean_of_all(spiked):
    _, y, x = drawn(2)
    half = (np.stack([x[y == c].mean(0) for c in range(C)]) - x.mean(0)).T
    half = np.concatenate([half, np.zeros((D, 1))], axis=1)
    counts = np.append(np.bincount(y), 0)
    kept = half @ shrunk_means(half.T @ half, D, counts, NOISE, spiked=spiked)
    assert np.isfinite(kept).all()
    assert not kept[:, -1].any()


def test_the_spread_of_noise_is_told_from_one_direction_in_which_many_classes_differ():
    rng = np.random.default_rng(0)
    d, c, rows = 150, 20, 2000
    means = np.outer(rng.normal(size=c), np.eye(d)[0]) * 0.6
    y = np.arange(rows) % c
    x = means[y] + rng.normal(size=(rows, d))
    half = (np.stack([x[y == k].mean(0) for k in range(c)]) - x.mean(0)).T
    true = (means - means.mean(0)).T
    error = {}
    for spiked in (False, True):
        kept = half @ shrunk_means(
            half.T @ half, d, np.bincount(y), float(d), spiked=spiked
        )
        error[spiked] = ((kept - true) ** 2).sum()
        if spiked:
            assert np.linalg.matrix_rank(kept, tol=1e-6) == 1
    assert error[True] < 0.6 * error[False]
