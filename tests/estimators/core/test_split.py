"""Folds, levels and groups: what no row of a group may see of another."""

import re

import numpy as np
import pytest

from mi_probe import InputError
from mi_probe.estimators import Auto
from mi_probe.estimators.core.split import (
    MOST_LEARNED,
    TOP,
    Blocks,
    Split,
    codes_of,
    cut_blocks,
    draw_split,
)
from mi_probe.estimators.core.targets import Scores, as_target
from mi_probe.estimators.engine.auto import vector_estimate


def classes(n, share=0.5):
    return as_target((np.arange(n) < share * n).astype(int))


def grouped(sizes, seed=0):
    group = np.repeat(np.arange(len(sizes)), sizes)
    y = np.random.default_rng(seed).integers(0, 2, len(group))
    return draw_split(as_target(y), 5, seed, group), group, y


def test_folds_hold_equal_shares_of_each_class_and_levels_are_nested_parts():
    target = as_target(np.repeat([0, 1, 2], [400, 80, 20]))
    split = draw_split(target, 5, 0)
    assert all(
        np.bincount(target.index[split.held_out(k)]) == pytest.approx([80, 16, 4])
        for k in range(5)
    )
    quarter = np.bincount(target.index[split.level == 0])
    assert quarter == pytest.approx([100, 20, 5], abs=1)
    half = np.bincount(target.index[split.level <= 1])
    assert half == pytest.approx([200, 40, 10], abs=1)
    assert set(split.rows(2, level=0)) < set(split.rows(2, level=1)) < set(split.rows(2))


@pytest.mark.parametrize("sizes", [[10] * 30, [1] * 200 + [2] * 50, range(1, 40)])
def test_whole_groups_are_held_out_learned_from_and_watched(sizes):
    split, group, y = grouped(list(sizes))
    for name in ("fold", "level"):
        one_each = {
            (g, value) for g, value in zip(group, getattr(split, name), strict=True)
        }
        assert len(one_each) == len(set(group)), name
    counts = np.bincount(split.fold)
    assert counts.max() - counts.min() <= 2 * max(sizes)
    rows = split.rows(0)
    watched = split.watched(rows, 0.3, np.random.default_rng(0))
    assert 0 < watched.sum() <= max(0.3 * len(rows), max(sizes))
    assert not set(group[rows[watched]]) & set(group[rows[~watched]])
    quarter = np.count_nonzero(split.level == 0) / len(y)
    assert quarter == pytest.approx(0.25, abs=max(sizes) / len(y) + 0.01)


def test_copies_share_a_fold_and_classes_are_still_spread_evenly():
    y = np.tile(np.random.default_rng(0).integers(0, 2, 200), 2)
    split = draw_split(as_target(y), 5, 0, np.tile(np.arange(200), 2))
    np.testing.assert_array_equal(split.fold[:200], split.fold[200:])
    np.testing.assert_array_equal(np.bincount(split.fold), np.full(5, 80))
    assert np.ptp(np.bincount(split.fold, weights=y)) <= 4


def test_each_group_counts_once_in_the_standard_error():
    terms = np.random.default_rng(0).normal(size=100)
    alone = draw_split(Scores(terms[:, None]), 5, 0)
    group = np.tile(np.arange(100), 10)
    many = draw_split(Scores(np.tile(terms, 10)[:, None]), 5, 0, group)
    np.testing.assert_allclose(many.one_each(np.tile(terms, 10)), terms)
    both = [alone.standard_error(terms), many.standard_error(np.tile(terms, 10))]
    assert both[1] == pytest.approx(both[0], rel=0.15)
    uneven = draw_split(Scores(np.r_[terms, terms[:10]][:, None]), 5, 0, np.r_[:100, :10])
    mean = uneven.one_each(np.r_[terms, terms[:10]]).mean()
    assert mean == pytest.approx(np.r_[terms, terms[:10]].mean())


@pytest.mark.parametrize("sizes", [[10] * 30, range(1, 25)])
def test_permuted_groups_keep_their_blocks_of_y(sizes):
    split, group, _ = grouped(list(sizes))
    order = split.permuted(np.random.default_rng(1))
    for g in set(group):
        taken = order[group == g]
        assert len(set(group[taken])) == 1
        steps = set(np.diff(taken))
        assert steps <= {1, 1 - np.count_nonzero(group == group[taken[0]]), 0}
    if len(set(sizes)) == 1:
        np.testing.assert_array_equal(np.sort(order), np.arange(len(order)))


def test_no_row_learns_from_the_block_beside_its_own():
    kept, block, fold = cut_blocks(600, Blocks(30), 5)
    assert len(kept) == 600 - 4 * 20
    assert len(set(zip(block, fold, strict=True))) == len(set(block))
    for k in range(5):
        inside, outside = kept[fold == k], kept[fold != k]
        apart = np.abs(inside[:, None] - outside[None]).min()
        assert apart > 20
        assert np.ptp(inside) == len(inside) - 1


@pytest.mark.parametrize("count", [14, 400, True])
def test_blocks_that_are_too_few_or_too_short_are_refused(count):
    with pytest.raises(
        InputError, match=rf"15 \(3 a fold\) ... 300 .* got {re.escape(repr(count))}"
    ):
        cut_blocks(600, Blocks(count), 5)


def test_groups_of_any_name_are_numbered():
    np.testing.assert_array_equal(codes_of(["b", "a", "b"]), [1, 0, 1])


def test_of_some_rows_the_split_stays_the_same():
    split, group, _ = grouped([3] * 40)
    rows = np.flatnonzero(group % 2 == 0)
    part = split.only(rows)
    np.testing.assert_array_equal(part.fold, split.fold[rows])
    assert part.units == 20
    np.testing.assert_array_equal(part.kept, rows)


def test_the_number_watched_has_a_bound():
    rng, split = np.random.default_rng(0), draw_split(classes(50), 5, 0)
    assert split.watched(np.arange(50), 0.2, rng).sum() == 10
    assert split.watched(np.arange(2), 0.2, rng).sum() == 1
    assert split.watched(np.arange(50), 0.2, rng, most=4).sum() == 4


def test_of_very_many_rows_some_are_learned_from_and_all_are_held_out():
    target = as_target(np.repeat([0, 1], [30_000, 10_000]))
    split, every = draw_split(target, 5, 0), draw_split(target, 5, 0, most=None)
    np.testing.assert_array_equal(split.fold, every.fold)
    learned = [split.n_learned(level) for level in range(TOP + 1)]
    assert learned == [MOST_LEARNED // 4, MOST_LEARNED // 2, MOST_LEARNED]
    assert every.n_learned() == 32_000
    for k in range(5):
        counts = np.bincount(target.index[split.rows(k)])
        assert counts / counts.sum() == pytest.approx([0.75, 0.25], abs=0.01)
        assert len(split.held_out(k)) == 8000
    # As many as there are, up to where a fold's critics would learn from more.
    few = draw_split(classes(25_000), 5, 0)
    assert few.n_learned() == MOST_LEARNED
    assert few.level.max() == TOP


def test_of_very_many_rows_whole_groups_are_learned_from():
    y, group = np.tile([0, 1], 500), np.repeat(np.arange(100), 10)
    split = draw_split(as_target(y), 5, 0, group, most=200)
    drawn = split.level <= TOP
    assert drawn.sum() == 250
    assert not set(group[drawn]) & set(group[~drawn])


def test_rows_that_no_critic_learns_from_are_scored():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 2000)
    x = y[:, None] + rng.normal(size=(2000, 1))
    target = as_target(y)
    split = draw_split(target, 5, 0, most=400)
    told = {"device": "cpu", "extrapolate": False}
    found = vector_estimate(Auto(), x, target, split, **told)
    assert np.mean([fold["n_train"] for fold in found.history]) == 400
    assert len(found.pointwise) == 2000
    # Equal classes a unit apart tell 0.110 nats; so do the rows of either kind.
    alone = split.level > TOP
    assert found.pointwise[alone].mean() == pytest.approx(0.110, abs=0.03)
    assert found.pointwise[~alone].mean() == pytest.approx(0.110, abs=0.05)


def test_rows_learned_from_are_a_mean_over_folds():
    split = Split(np.arange(100) % 5, np.repeat([0, 1, TOP], [25, 25, 50]), 0)
    assert [split.n_learned(level) for level in range(TOP + 1)] == [20, 40, 80]


def test_there_is_no_curve_where_folds_or_large_groups_leave_a_quarter_no_rows():
    rng = np.random.default_rng(0)
    y = as_target(rng.integers(0, 2, 600))
    ten = draw_split(y, 5, 0, rng.permutation(np.repeat(np.arange(10), 60)))
    large = draw_split(y, 5, 0, np.r_[np.zeros(400, dtype=int), np.arange(1, 201)])
    assert not ten.has_curve
    fewest = min(len(large.rows(*pair, level=0)) for pair in large.pairs)
    assert large.has_curve == (fewest >= 3)
    assert draw_split(y, 2, 0).has_curve


def test_few_groups_of_many_rows_are_an_estimate_that_says_so():
    rng = np.random.default_rng(1)
    groups = rng.permutation(np.repeat(np.arange(10), 60))
    x, y = rng.normal(size=(600, 8)), rng.integers(0, 2, 600)
    found = Auto(extrapolate=False).estimate(x, y, groups=groups)
    assert found.status == "too_few_rows"
    assert abs(found.nats) < 0.02
