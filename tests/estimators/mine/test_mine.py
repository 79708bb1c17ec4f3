"""MINE alone: every row finds what is there, from nothing, and nothing where nothing is."""

import numpy as np
import pytest
import torch

from mi_probe.estimators import ESTIMATORS, Mine, TokenSequences
from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import Classes, as_target
from mi_probe.estimators.mine.cross_fit import cross_fit, sides_of
from mi_probe.synthetic import checkerboard, independent, order

ROWS = sorted(name for name, e in ESTIMATORS.items() if isinstance(e, Mine))
ALL = [
    name if name == "mine" else pytest.param(name, marks=pytest.mark.slow) for name in ROWS
]


@pytest.mark.parametrize("name", ALL)
def test_each_objective_learns_parity_from_zero(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2))
    estimate = ESTIMATORS[name].estimate(x, (x[:, 0] * x[:, 1] > 0).astype(int))
    assert estimate.nats > 0.45
    assert estimate.nats <= estimate.entropy_y
    assert estimate.critic == "network kept in 5 of 5 folds"


@pytest.mark.parametrize(
    "name", [n for n in ROWS if "scores" in ESTIMATORS[n].nature.takes]
)
@pytest.mark.slow
def test_each_objective_learns_a_curve(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=1200)
    y = np.abs(x) + 0.3 * rng.normal(size=1200)
    # 0.76 nats, of which a linear fit sees none.
    assert 0.1 < ESTIMATORS[name].estimate(x, y).nats < 0.8


def test_natures_say_what_is_reported():
    kinds = {name: ESTIMATORS[name].nature.bound for name in ROWS}
    assert kinds.pop("smile") == "neither"
    assert set(kinds.values()) == {"lower bound"}
    assert "log of the rows" in ESTIMATORS["infonce"].nature.ceiling


@pytest.mark.slow
def test_a_checkerboard_is_found():
    known = checkerboard(1500, 2, seed=1)
    estimate = ESTIMATORS["mine"].estimate(known.x, known.y)
    assert 0.45 < estimate.nats < known.nats


def test_the_order_of_tokens_is_found():
    known = order(900, t=6, d=4, seed=1)
    estimate = ESTIMATORS["mine"].estimate(known.x, known.y)
    assert estimate.nats > 0.5
    assert any("tokens" in fold["kinds"] for fold in estimate.history)


def test_independent_classes_of_many_columns_are_not_overrated():
    values = []
    for seed in range(4):
        known = independent(200, 100, 3, seed=seed)
        estimate = ESTIMATORS["mine"].estimate(known.x, known.y, seed=seed)
        assert estimate.ci[0] <= 0.0
        values.append(estimate.nats)
    assert np.mean(values) < 0.01


def test_a_function_of_x_is_saturated():
    x = np.random.default_rng(0).normal(size=(400, 1))
    estimate = ESTIMATORS["mine"].estimate(x, 2 * x[:, 0] + 1e-4 * x[:, 0] ** 2)
    assert estimate.nats > 2.0
    assert estimate.nats < np.log(320)


def test_labels_of_a_fold_change_nothing_that_scores_it():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=120)
    x = rng.normal(size=(120, 3)) + y[:, None]
    found = []
    for labels in (y, None):
        target = as_target(y)
        split = draw_split(target, 4, 0)
        if labels is None:
            index = np.where(split.fold == 2, target.index[::-1], target.index)
            target = Classes(index, target.names)
        critic = cross_fit(ESTIMATORS["mine"], sides_of(x, target, "cpu"), split)[2][0]
        rows = torch.from_numpy(split.held_out(2))
        found.append(critic(rows, torch.arange(2)))
    assert torch.equal(*found)


@pytest.mark.parametrize("level", [0, 2])
def test_rows_of_a_group_are_never_on_both_sides(monkeypatch, level):
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 5)
    y = rng.integers(2, size=150)
    x = rng.normal(size=(150, 2)) + y[:, None]
    seen = []

    def watch(network, rows, *rest):
        seen.append(rows)
        return trained(network, rows, *rest)

    from mi_probe.estimators.mine import cross_fit as module

    trained = module.train
    monkeypatch.setattr(module, "train", watch)
    target = as_target(y)
    split = draw_split(target, 5, 0, group)
    cross_fit(ESTIMATORS["mine"], sides_of(x, target, "cpu"), split, level)
    assert seen
    for rows in seen:
        for k in range(5):
            train, watched = (set(group[part[k]]) for part in (rows.train, rows.watched))
            held_out = set(group[split.held_out(k)])
            assert train
            assert watched
            assert not train & watched
            assert not (train | watched) & held_out


def test_groups_of_copies_with_random_labels_tell_nothing():
    rng = np.random.default_rng(0)
    speaker = np.repeat(np.arange(30), 6)
    x = rng.normal(size=(30, 16))[speaker] + 0.05 * rng.normal(size=(180, 16))
    y = rng.integers(2, size=30)[speaker]
    estimate = ESTIMATORS["mine"].estimate(x, y, groups=speaker)
    assert estimate.ci[0] <= 0.0
    assert estimate.nats < 0.05


def test_answers_in_tokens_are_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2))
    digits = np.clip(np.round(20 * x) + 50, 0, 99).astype(int)
    ids = np.stack([digits // 10 % 10, digits % 10], 2).reshape(900, 4)
    estimate = ESTIMATORS["mine"].estimate(x, TokenSequences(ids, np.ones_like(ids, bool)))
    assert estimate.history[0]["route"] == "pairs of x and answers"
    assert estimate.nats > 1.0
