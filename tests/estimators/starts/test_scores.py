"""T_0 of real numbers: what a held-out fold may not touch, and what it is of."""

import numpy as np
import pytest
import torch

from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import Scores
from mi_probe.estimators.starts.started import score_starts
from mi_probe.synthetic import gaussian_pair


def starts(views, y):
    split = draw_split(Scores(y), 4, 0)
    return split, list(score_starts(views, y, split))


def test_values_of_a_fold_change_nothing_that_scores_it():
    known = gaussian_pair(120, 2, 0.8)
    split, before = starts({"x": known.x}, known.y)
    held = split.held_out(2)
    changed = known.y.copy()
    # The same values, shuffled: the margin, which all rows share, stays as it is.
    changed[held] = changed[held][::-1]
    after = starts({"x": known.x}, changed)[1]
    learned = torch.from_numpy(split.rows(2)[:10])
    for rows in (learned, torch.from_numpy(held)):
        one, other = (found[2].scores(rows, learned) for found in (before, after))
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_gaussian_start_is_the_log_density_ratio():
    known = gaussian_pair(1000, 1, 0.7, seed=1)
    split, found = starts({"x": known.x}, known.y)
    rows = split.held_out(0)
    own, others = rows[:20], rows[:30]
    pairs = found[0].scores(torch.from_numpy(own), torch.from_numpy(others)).numpy()
    x, y, variance = known.x[own], known.y[others], 1 - 0.7**2
    expected = 0.5 * (y.T**2 - (y.T - 0.7 * x) ** 2 / variance - np.log(variance))
    assert np.median(np.abs(pairs - expected)) < 0.1


def test_constant_states_have_no_start():
    y = np.random.default_rng(0).normal(size=(60, 1))
    assert starts({"x": np.ones((60, 2))}, y)[1] == []


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_scores_start_from_the_pooling_that_tells_most(pooling):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3, 2))
    views = {"first": values[:, 0], "mean": values.mean(1)}
    told = views[pooling][:, 0]
    y = told + 0.3 * told.std() * rng.normal(size=300)
    for start in starts(views, y[:, None])[1]:
        assert next(iter(start.chosen)).startswith(pooling)
