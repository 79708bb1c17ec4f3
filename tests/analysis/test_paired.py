"""Paired comparisons: known differences, refusals, levels of confidence."""

import math
from dataclasses import replace

import numpy as np
import pytest
from fakes import estimate_of as estimate
from scipy.stats import ttest_1samp

from mi_probe.analysis import simultaneous
from mi_probe.analysis.paired import compare, compare_estimates
from mi_probe.analysis.scored import placed, scored
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Auto


def test_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200))
    found = compare_estimates(estimate(a + 0.3), estimate(b))
    known = ttest_1samp(a + 0.3 - b, 0)
    assert found.difference == pytest.approx((a + 0.3 - b).mean())
    assert found.p_value == pytest.approx(known.pvalue)
    assert found.ci == pytest.approx(tuple(known.confidence_interval()))
    assert (found.n, found.units, found.draws) == (200, 200, 1)
    assert float(found) == found.difference


def test_one_row_that_decides_may_have_a_fellow():
    terms = np.full(100, 0.01)
    terms[0] = -3.0
    found = compare_estimates(estimate(terms), estimate(0 * terms))
    plain = terms.std(ddof=1) / 10
    assert found.stderr == pytest.approx(plain * math.sqrt(1 + 0.9), rel=0.02)


def test_shared_noise_is_not_in_the_difference():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(300)
    a, b = shared + 0.05, shared + 0.1 * rng.standard_normal(300)
    found = compare_estimates(estimate(a), estimate(b))
    assert found.ci[0] > 0
    assert found.p_value < 1e-6
    assert estimate(a).ci[0] < estimate(b).ci[1]  # the intervals overlap


def test_swapped_sides_change_the_sign_alone():
    rng = np.random.default_rng(1)
    a, b = (estimate(terms) for terms in rng.standard_normal((2, 50)))
    one, two = compare_estimates(a, b), compare_estimates(b, a)
    assert one.difference == pytest.approx(-two.difference)
    assert one.p_value == pytest.approx(two.p_value)


def test_p_and_interval_agree_at_any_level():
    rng = np.random.default_rng(2)
    for shift in np.linspace(0, 0.4, 9):
        terms = rng.standard_normal(60)
        for level in (0.8, 0.95):
            found = compare_estimates(
                estimate(terms + shift), estimate(0 * terms), level=level
            )
            holds = found.ci[0] <= 0 <= found.ci[1]
            assert holds == (found.p_value >= 1 - level)


def test_equal_estimates_differ_by_nothing():
    terms = np.random.default_rng(0).standard_normal(40)
    found = compare_estimates(estimate(terms), estimate(terms))
    assert (found.difference, found.p_value, found.ci) == (0.0, 1.0, (0.0, 0.0))


def test_groups_count_once():
    rng = np.random.default_rng(0)
    own = rng.standard_normal(30)
    terms, group = np.repeat(own, 10), np.repeat(np.arange(30), 10)
    grouped = compare_estimates(estimate(terms, group=group), estimate(0 * terms))
    one_each = compare_estimates(estimate(own), estimate(0 * own))
    assert grouped.stderr == pytest.approx(one_each.stderr)
    assert grouped.units == 30
    assert (
        grouped.stderr
        > 2.5 * compare_estimates(estimate(terms), estimate(0 * terms)).stderr
    )


def test_groups_of_both_sides_are_joined():
    terms = np.random.default_rng(0).standard_normal(6)
    one = estimate(terms, group=np.array([0, 0, 1, 1, 2, 3]))
    two = estimate(terms, group=np.array([0, 1, 1, 2, 3, 3]))
    assert compare_estimates(one, two).units == 2


def test_terms_that_are_not_independent_have_their_influence():
    terms = np.random.default_rng(0).standard_normal(100)
    plain = compare_estimates(estimate(terms), estimate(0 * terms))
    wide = compare_estimates(estimate(terms, influence=3 * terms), estimate(0 * terms))
    assert wide.stderr == pytest.approx(3 * plain.stderr)
    assert wide.difference == plain.difference


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 11}, "10 rows and 11"),
        ({"entropy": 0.5}, "another H"),
        ({"entropy": None}, "another H"),
    ],
)
def test_other_rows_are_refused_by_name(change, words):
    terms = np.random.default_rng(0).standard_normal(change.pop("n", 10))
    with pytest.raises(InputError, match=rf"a \(fake\) and b \(fake\) have {words}"):
        compare_estimates(
            estimate(np.random.default_rng(0).standard_normal(10)),
            estimate(terms, **change),
        )


@pytest.mark.parametrize("other", ["permuted", "reordered", "scores"])
def test_another_y_or_order_is_refused_by_name(other):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2)), np.repeat([0, 1], 30)
    order = rng.permutation(60)
    if other == "scores":
        auto = Auto(extrapolate=False)
        one, two = (auto.estimate(x, rng.normal(size=60)) for _ in range(2))
    else:
        linear = ESTIMATORS["linear"]
        one = linear.estimate(x, y)
        two = linear.estimate(x[order] if other == "reordered" else x, y[order])
    said = r"a \(\w+\) and b \(\w+\) have another Y, or rows in another order"
    with pytest.raises(InputError, match=said):
        compare_estimates(one, two)
    with pytest.raises(InputError, match="estimate 0 .* and estimate 1 .* another Y"):
        simultaneous([one, two])


def test_the_same_y_may_be_called_otherwise():
    x, y = np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 2
    linear = ESTIMATORS["linear"]
    one, two = linear.estimate(x, y), linear.estimate(x, 7 - y)
    assert compare_estimates(one, two).n == 60


@pytest.mark.parametrize("given", [1.0, np.zeros(3), None])
def test_what_is_no_estimate_is_refused(given):
    # Of the function behind both: under tests types are checked before it is asked.
    with pytest.raises(InputError, match="gives; b is of type"):
        placed(given, "b")


def test_other_ids_or_labels_are_refused_with_the_first_row():
    one = scored(estimate(np.arange(5.0)), "left")
    one = replace(one, ids=np.arange(5), labels=np.array([0, 1, 0, 1, 0]))
    other = replace(one, name="right", ids=np.array([0, 1, 2, 9, 8]))
    with pytest.raises(
        InputError, match=r"left and right have 2 of 5 rows \(row 3 first\)"
    ):
        compare([one], [other])
    other = replace(one, name="right", labels=np.array([0, 1, 1, 1, 0]))
    with pytest.raises(InputError, match=r"1 of 5 rows \(row 2 first\) of another Y"):
        compare([one], [other])
    with pytest.raises(InputError, match=r"level must lie between 0 and 1.* got 95.0"):
        compare([one], [one], level=95.0)


def several(values, rng, noise=0.3, n=400):
    """One `Scored` a training whose true value is given, on the same rows."""
    return [
        scored(estimate(value + noise * rng.standard_normal(n), seed=i))
        for i, value in enumerate(values)
    ]


def test_few_trainings_make_a_wide_interval_and_are_counted():
    rng = np.random.default_rng(0)
    two = compare(several([0.5, 0.3], rng), several([0.2, 0.2], rng))
    many = compare(several([0.5, 0.3] * 5, rng), several([0.2] * 10, rng))
    assert (two.draws, many.draws) == (2, 10)
    assert two.ci[0] < 0 < two.ci[1]
    assert many.ci[0] > 0
    assert two.difference == pytest.approx(0.2, abs=0.03)


def test_trainings_with_one_seed_are_paired():
    rng = np.random.default_rng(0)
    luck = [0.0, 0.2, 0.4]
    a = several([0.5 + one for one in luck], rng)
    b = several([0.3 + one for one in luck], rng)
    paired = compare(a, b)
    assert paired.ci[0] > 0
    # Without their seeds they are two samples of three.
    unpaired = compare(a, [replace(one, draw=("other", i)) for i, one in enumerate(b)])
    assert unpaired.stderr > 5 * paired.stderr
    assert unpaired.difference == pytest.approx(paired.difference)


def test_two_level_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        a = several(0.3 + 0.05 * rng.standard_normal(3), rng, n=100)
        b = several(0.3 + 0.05 * rng.standard_normal(3), rng, n=100)
        low, high = compare(a, b).ci
        held += low <= 0 <= high
    assert held >= 0.94 * 300
