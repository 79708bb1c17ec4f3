"""The learning curve on made-up curves, where the value at n -> infinity is known."""

import math

import numpy as np
import pytest

from mi_probe import InputError
from mi_probe.estimators import ESTIMATORS, Extrapolation
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.learning_curve import (
    CURVE_KNOWS_LESS,
    extrapolation,
    learning_curve,
    most_carried,
    reach_upwards,
)
from mi_probe.estimators.core.split import Split, draw_split
from mi_probe.estimators.core.targets import Scores, as_target

N = 4000


def folds(n, count=5):
    """Rows that are all of the same level, in turn of each fold."""
    return Split(np.arange(n) % count, np.zeros(n, dtype=np.int64), 0)


FOLD = folds(N)


def curve(value, *, seed=0, spread=0.6, paired=0.1, m=8000):
    """Terms whose means are value(rows), with noise that the three sizes share."""
    rng = np.random.default_rng(seed)
    shared = spread * rng.normal(size=N)
    return {
        size: value(size) + shared + paired * rng.normal(size=N)
        for size in (m // 4, m // 2, m)
    }


def test_a_loss_of_one_in_n_is_taken_back():
    found = extrapolation(curve(lambda m: 0.9 - 400 / m, spread=0, paired=1e-4), FOLD)
    assert (found.claim, found.reason) == ("at_least", CURVE_KNOWS_LESS)
    assert found.nats == pytest.approx(0.9, abs=1e-3)
    assert [size for size, _ in found.curve] == [2000, 4000, 8000]
    assert found.curve[-1][1] == pytest.approx(0.85, abs=1e-3)


def test_the_lower_end_is_above_the_truth_in_at_most_5_of_100():
    made = [
        extrapolation(curve(lambda m: 0.9 - 200 / m, seed=seed), FOLD)
        for seed in range(200)
    ]
    assert np.mean([found.ci[0] > 0.9 for found in made]) <= 0.05
    assert np.mean([found.ci[0] > 0.85 for found in made]) > 0.5
    assert np.mean([found.nats for found in made]) == pytest.approx(0.9, abs=0.004)


def test_weak_information_that_few_rows_do_not_show_is_not_ruled_out():
    # A critic that saw nothing is constant, and its terms tell nothing of their spread.
    for n, most in ((300, 0.0256), (10_000, 0.00077)):
        assert reach_upwards(1e-9, 1.96, n) == pytest.approx(most, rel=0.02)


def test_noise_around_nothing_stays_around_nothing():
    made = [
        extrapolation(curve(lambda m: 0.0, seed=seed, spread=0.02, paired=0.02), FOLD)
        for seed in range(100)
    ]
    assert abs(np.mean([found.nats for found in made])) < 3e-4
    assert max(abs(found.nats) for found in made) < 0.005
    # Nothing found is never a claim that there is nothing.
    assert {(found.claim, found.ci[1]) for found in made} == {("at_least", math.inf)}
    assert np.mean([found.ci[0] > 0 for found in made]) <= 0.05


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda m: 0.3 if m == 8000 else 0.0, "does not shrink yet"),
        (lambda m: 0.1 * np.log2(m / 1000), "does not shrink yet"),
        (lambda m: 0.3 - 0.1 * (m == 8000), "made the value worse"),
        (lambda m: 0.05 - 400 / m, "most of the value would be the fit's"),
    ],
)
def test_curves_that_carry_nothing_add_nothing_to_what_was_learned(value, words):
    terms = curve(value)
    found = extrapolation(terms, FOLD)
    assert words in found.reason
    assert found.ci[0] < terms[8000].mean() < found.ci[0] + 0.05


def test_what_was_found_by_a_quarter_of_the_rows_needs_nothing_added():
    found = extrapolation(curve(lambda m: 0.69, spread=0, paired=1e-4), FOLD)
    assert found.reason == CURVE_KNOWS_LESS
    assert found.nats == pytest.approx(0.69, abs=1e-3)


@pytest.mark.parametrize("value", [0.005, 0.3])
def test_no_curve_carries_more_than_the_most(value):
    for added in (0.5, 0.9, 1.1, 2.0):
        rest = added * (most_carried(value) - value)
        terms = {
            size: np.full(8000, value + rest - rest * 8000 / size)
            for size in (2000, 4000, 8000)
        }
        found = extrapolation(terms, folds(8000))
        assert found.nats == pytest.approx(value + rest, abs=1e-6)
        assert (found.reason == CURVE_KNOWS_LESS) is (added < 1)
        assert (found.ci[0] > value + 1e-9) is (added < 1)


def test_an_estimators_own_doubt_is_passed_on():
    found = extrapolation(curve(lambda m: 0.5), FOLD, doubt="too many dimensions")
    assert found.reason == "too many dimensions"


def test_other_sizes_are_refused():
    with pytest.raises(InputError, match="a quarter, a half and all .* got \\[5, 10\\]"):
        extrapolation({5: np.zeros(9), 10: np.ones(9)}, folds(9, 3))


def test_any_fit_makes_a_curve_on_rows_that_it_never_saw():
    values = np.random.default_rng(0).normal(size=200)
    split = draw_split(Scores(values[:, None]), 5, 0)
    seen = []

    def score(train, held_out):
        assert not set(train) & set(held_out)
        seen.append(len(train))
        return np.full(len(held_out), values[train].mean())

    made = learning_curve(score, split, values)
    assert list(made) == [40, 80, 160]
    assert np.mean(seen[:5]) == pytest.approx(40, abs=0.5)
    assert np.mean(seen[5:]) == pytest.approx(80, abs=0.5)
    assert np.array_equal(made[160], values)


def with_limit(limit, pointwise=0.5, rows=60):
    return assembled(
        ESTIMATORS["auto"],
        np.zeros((rows, 1)),
        as_target(np.arange(rows) % 2),
        folds(rows),
        pointwise=np.full(rows, pointwise),
        extrapolated=limit,
    ).extrapolated


def test_no_value_is_above_the_ceiling():
    given = {"claim": "at_least", "reason": "", "curve": ()}
    above = with_limit(Extrapolation(nats=0.8, ci=(0.7, math.inf), **given))
    assert above.nats == 0.5
    assert above.ci[0] < 0.5
    assert above.reason == "the extrapolated value lies 0.107 nats above H(Y)"
    near = with_limit(Extrapolation(nats=0.8, ci=(0.6, math.inf), **given))
    assert (near.nats, near.ci[0]) == (math.log(2), 0.6)
    both = {"claim": "two_sided", "assumes": "a law", "reason": "", "curve": ()}
    cut = with_limit(Extrapolation(nats=0.65, ci=(0.6, 0.7), **both))
    assert cut.ci == (0.6, math.log(2))
    assert with_limit(Extrapolation(nats=0.9, ci=(0.8, math.inf), **given), 0.8) is None


def test_at_least_is_never_less_than_what_was_shown_and_never_negative():
    given = {"claim": "at_least", "reason": "", "curve": ()}
    shown = with_limit(Extrapolation(nats=0.3, ci=(0.2, math.inf), **given), rows=600)
    assert 0.45 < shown.ci[0] <= shown.nats < 0.5
    nothing = with_limit(Extrapolation(nats=-0.1, ci=(-0.2, math.inf), **given), 0.0)
    assert (nothing.ci, nothing.nats) == ((0.0, math.inf), 0.0)
