"""What a held-out fold may not touch: its labels change nothing that scores it."""

import numpy as np
import pytest
import torch

from mi_probe.estimators.class_start import class_starts
from mi_probe.estimators.folds import assign_folds, choose_validation
from mi_probe.estimators.score_start import score_starts
from mi_probe.estimators.targets import Classes, Scores, as_target
from mi_probe.synthetic import class_gaussians, gaussian_pair

FAMILIES = ("linear", "quadratic", "logistic")


@pytest.fixture
def problem():
    known = class_gaussians(150, 5, 3, separation=3.0)
    target = as_target(known.y)
    assert isinstance(target, Classes)
    return {"x": known.x}, target, assign_folds(target, 5, np.random.default_rng(0))


@pytest.mark.parametrize("held_out", [0, 3])
def test_labels_of_a_fold_change_nothing_that_scores_it(problem, held_out):
    views, target, fold = problem
    before = list(class_starts(views, target, fold, FAMILIES))
    index = target.index.copy()
    index[fold == held_out] = np.roll(index[fold == held_out], 1) * 0
    after = list(class_starts(views, Classes(index, target.names), fold, FAMILIES))
    assert np.array_equal(before[held_out].test, after[held_out].test)
    assert np.array_equal(before[held_out].train, after[held_out].train)
    other = (held_out + 1) % 5
    assert not np.array_equal(before[other].test, after[other].test)


def test_start_of_training_rows_is_out_of_fold():
    # More dimensions than rows and random labels: a fit that saw a row knows its label.
    rng = np.random.default_rng(0)
    target = as_target(rng.integers(2, size=120))
    assert isinstance(target, Classes)
    fold = assign_folds(target, 4, rng)
    for k, start in enumerate(
        class_starts({"x": rng.normal(size=(120, 300))}, target, fold, FAMILIES)
    ):
        y = target.index[fold != k]
        own = start.train[np.arange(len(y)), y]
        assert abs(own.mean()) < 0.1


def test_stack_is_a_posterior(problem):
    views, target, fold = problem
    for start in class_starts(views, target, fold, FAMILIES):
        for part in (start.train, start.test):
            assert np.exp(part + start.log_prior).sum(1) == pytest.approx(
                np.ones(len(part))
            )
        assert sum(start.chosen.values()) == pytest.approx(1, abs=0.02)


def test_no_families_say_the_prior(problem):
    views, target, fold = problem
    for start in class_starts(views, target, fold, ()):
        assert np.abs(start.test).max() < 1e-12


def test_values_of_a_fold_change_nothing_that_scores_it():
    known = gaussian_pair(120, 2, 0.8)
    fold = assign_folds(Scores(known.y), 4, np.random.default_rng(0))
    before = list(score_starts({"x": known.x}, known.y, fold))[2]
    changed = known.y.copy()
    changed[fold == 2] = 99.0 + np.arange((fold == 2).sum())[:, None]
    after = list(score_starts({"x": known.x}, changed, fold))[2]
    assert np.array_equal(before.test, after.test)
    assert np.array_equal(before.train, after.train)
    assert before.ratio.log_det_gain == after.ratio.log_det_gain


def test_gaussian_ratio_is_the_log_density_ratio():
    known = gaussian_pair(4000, 1, 0.7, seed=1)
    fold = assign_folds(Scores(known.y), 4, np.random.default_rng(0))
    start = next(score_starts({"x": known.x}, known.y, fold))
    x = known.x[fold == 0]
    found = start.ratio(start.test[:20], known.y[:30])
    residual = known.y[:30].T - 0.7 * x[:20]
    variance = 1 - 0.7**2
    expected = 0.5 * (known.y[:30].T ** 2 - residual**2 / variance - np.log(variance))
    assert found == pytest.approx(expected, abs=0.25)


def test_folds_spread_classes_evenly():
    target = as_target(np.repeat([0, 1, 2], [50, 30, 20]))
    fold = assign_folds(target, 5, np.random.default_rng(1))
    assert isinstance(target, Classes)
    for k in range(5):
        assert np.bincount(target.index[fold == k]).tolist() == [10, 6, 4]


def test_validation_rows_have_the_share_asked_for():
    rng = np.random.default_rng(0)
    assert choose_validation(np.arange(50), 0.2, rng).sum() == 10
    assert choose_validation(np.arange(2), 0.2, rng).sum() == 1


def test_targets_keep_labels_as_they_came():
    target = as_target(torch.tensor([5, -1, 5, 9]))
    assert isinstance(target, Classes)
    assert target.names == ("-1", "5", "9")
    assert target.index.tolist() == [1, 0, 1, 2]
    booleans = as_target(np.array([True, False]))
    assert isinstance(booleans, Classes)
    assert isinstance(as_target(np.array([[0.5], [1.0]])), Scores)
