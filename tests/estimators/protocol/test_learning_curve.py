"""The learning curve on made-up curves, where the value at n -> infinity is known."""

import numpy as np
import pytest

from mi_probe import InputError
from mi_probe.estimators import ESTIMATORS, Extrapolation
from mi_probe.estimators.protocol.assembly import assembled
from mi_probe.estimators.protocol.learning_curve import (
    extrapolation,
    learning_curve,
    most_that_is_reliable,
)
from mi_probe.estimators.protocol.split import Split, draw_split
from mi_probe.estimators.protocol.targets import Scores, as_target

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
    assert found.reliable
    assert found.reason == ""
    assert found.nats == pytest.approx(0.9, abs=1e-3)
    assert [size for size, _ in found.curve] == [2000, 4000, 8000]
    assert found.curve[-1][1] == pytest.approx(0.85, abs=1e-3)


def test_the_interval_covers_in_about_95_of_100():
    made = [
        extrapolation(curve(lambda m: 0.9 - 200 / m, seed=seed), FOLD)
        for seed in range(200)
    ]
    covered = np.mean([found.ci[0] <= 0.9 <= found.ci[1] for found in made])
    assert 0.91 <= covered <= 1
    assert np.mean([found.nats for found in made]) == pytest.approx(0.9, abs=0.004)


def test_weak_information_that_few_rows_do_not_show_is_not_ruled_out():
    # A critic that saw nothing is constant, and its terms tell nothing of their spread.
    rng = np.random.default_rng(0)
    for n, most in ((300, 0.0256), (10_000, 0.00077)):
        nothing = {size: rng.normal(scale=1e-6, size=n) for size in (n // 4, n // 2, n)}
        found = extrapolation(nothing, folds(n))
        assert found.ci[1] == pytest.approx(most, rel=0.02)
        assert found.ci[0] == pytest.approx(0, abs=1e-5)


def test_noise_around_nothing_stays_around_nothing():
    made = [
        extrapolation(curve(lambda m: 0.0, seed=seed, spread=0.02, paired=0.02), FOLD)
        for seed in range(100)
    ]
    assert abs(np.mean([found.nats for found in made])) < 3e-4
    assert max(abs(found.nats) for found in made) < 0.005
    assert all(found.reliable for found in made)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (lambda m: 0.3 if m == 8000 else 0.0, "does not shrink yet"),
        (lambda m: 0.1 * np.log2(m / 1000), "does not shrink yet"),
        (lambda m: 0.3 - 0.1 * (m == 8000), "made the value worse"),
        (lambda m: 0.05 - 400 / m, "most of the value would be the fit's"),
    ],
)
def test_curves_that_carry_nothing_are_flagged(value, words):
    found = extrapolation(curve(value), FOLD)
    assert not found.reliable
    assert words in found.reason


def test_what_was_found_by_a_quarter_of_the_rows_needs_nothing_added():
    found = extrapolation(curve(lambda m: 0.69, spread=0, paired=1e-4), FOLD)
    assert found.reliable
    assert found.nats == pytest.approx(0.69, abs=1e-3)


@pytest.mark.parametrize("value", [0.005, 0.3])
def test_no_reliable_extrapolation_lies_above_the_most_that_is(value):
    for added in (0.5, 0.9, 1.1, 2.0):
        rest = added * (most_that_is_reliable(value) - value)
        terms = {
            size: np.full(8000, value + rest - rest * 8000 / size)
            for size in (2000, 4000, 8000)
        }
        found = extrapolation(terms, folds(8000))
        assert found.nats == pytest.approx(value + rest, abs=1e-6)
        assert found.reliable is (added < 1)


def test_an_estimators_own_doubt_is_passed_on():
    found = extrapolation(curve(lambda m: 0.5), FOLD, doubt="too many dimensions")
    assert not found.reliable
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


def test_a_value_above_the_ceiling_is_kept_and_not_relied_on():
    y = np.arange(60) % 2
    target = as_target(y)
    beyond = Extrapolation(nats=0.8, ci=(0.7, 0.9), reliable=True, reason="", curve=())
    estimate = assembled(
        ESTIMATORS["auto"],
        np.zeros((60, 1)),
        target,
        folds(60),
        pointwise=np.full(60, 0.5),
        extrapolated=beyond,
    )
    assert estimate.extrapolated.nats == 0.8
    assert not estimate.extrapolated.reliable
    assert estimate.extrapolated.reason == "it lies 0.107 nats above H(Y)"
