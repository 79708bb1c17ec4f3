"""Columns beside functions of themselves: what has been bent is straight in them."""

import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.models.normal_scores import excess_kurtosis
from mi_probe.estimators.scores.canonical import NestedCanonical
from mi_probe.estimators.scores.fits import shortened
from mi_probe.estimators.scores.views import scaled, score_views, turned, waved
from mi_probe.synthetic import gaussian_pair
from mi_probe.synthetic.maps import swiss_roll
from mi_probe.synthetic.zoo import ZOO

AUTO = ESTIMATORS["auto"]


def left_over(columns: np.ndarray, wanted: np.ndarray) -> float:
    """The share of the variance that no linear combination of the columns has."""
    columns = columns - columns.mean(0)
    found = columns @ np.linalg.lstsq(columns, wanted - wanted.mean(0), rcond=None)[0]
    return float((wanted - wanted.mean(0) - found).var() / wanted.var())


@pytest.mark.parametrize("speed", [-1.5, 0.75, 1.2])
def test_turning_with_the_radius_is_linear(speed):
    x = np.random.default_rng(0).normal(size=(3000, 3))
    angle = speed * (x**2).mean(1)
    bent = x.copy()
    bent[:, 0] = np.cos(angle) * x[:, 0] - np.sin(angle) * x[:, 1]
    bent[:, 1] = np.sin(angle) * x[:, 0] + np.cos(angle) * x[:, 1]
    assert left_over(bent, x) > 0.2
    assert left_over(turned(bent, (0.5, 1.0, 1.5)), x) < 0.01


def test_a_smooth_function_is_linear_in_waves():
    x = np.random.default_rng(0).normal(size=(3000, 2))
    wanted = np.sin(x[:, :1] * x[:, 1:]) + np.cos(2 * x[:, :1])
    assert left_over(x, wanted) > 0.9
    assert left_over(waved(x, 120, (1.0, 2.0)), wanted) < 0.02


def test_scales_are_one_and_circles_stay_circles():
    rng = np.random.default_rng(0)
    x = 3 * rng.normal(size=(5000, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert scaled(x @ turn) == pytest.approx(scaled(x) @ turn, abs=0.3)
    assert scaled(1e6 * x + 7) == pytest.approx(scaled(x), abs=1e-6)
    # A column that hardly varies stays finite.
    assert np.isfinite(scaled((rng.random((50, 1)) < 0.02).astype(float))).all()


def test_few_rows_are_not_read_through_many_columns():
    known, fold = gaussian_pair(2000, 3, 0.5), np.arange(2000) % 5
    names = [view.name for view in score_views(known.x, known.y, fold)]
    assert "waves of normal scores" in names
    few = [view.name for view in score_views(known.x[:300], known.y[:300], fold[:300])]
    assert few == ["normal scores", "independent components"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "start"),
    [("spiral 3x3", "turned"), ("spiral of normal cdf 3x3", "waves")],
)
def test_spirals_are_unrolled(task, start):
    known = ZOO[task].draw(2000, seed=1)
    estimate = AUTO.estimate(known.x, known.y)
    assert all(start in fold["start"] for fold in estimate.history)
    assert estimate.bound == "lower bound"
    assert known.nats - 0.15 < estimate.nats < known.nats + 0.06


def test_a_swiss_roll_is_unrolled():
    known = gaussian_pair(1600, 1, 0.75, seed=2)
    rank = np.argsort(np.argsort(known.x[:, 0])) / 1600
    estimate = AUTO.estimate(swiss_roll(rank[:, None]), known.y)
    assert {fold["start"] for fold in estimate.history} == {"waves of columns"}
    assert estimate.nats == pytest.approx(known.pointwise.mean(), abs=0.02)
    assert estimate.bound == "lower bound"


def test_straightened_coordinates_are_normal():
    known = gaussian_pair(1200, 1, 0.8, seed=1)
    x, y = (waved(v, 12, (1.0, 2.0)) for v in (np.tanh(known.x), np.exp(known.y)))
    fold = np.arange(1200) % 4
    plain, straight = (
        next(NestedCanonical(x, y, fold, most_pairs=1, straightened=s).starts())
        for s in (False, True)
    )
    assert (
        excess_kurtosis(straight.x_train.variates)
        < 0
        < excess_kurtosis(plain.x_train.variates)
    )
    for side in (straight.x_test, straight.y_test, straight.y_reference):
        assert side.variates.std() == pytest.approx(1, abs=0.1)
    paired = [s.ratio.paired(s.x_test, s.y_test).mean() for s in (plain, straight)]
    assert paired[1] == pytest.approx(known.pointwise[fold == 0].mean(), abs=0.05)
    assert paired[1] > paired[0]


def test_a_pair_that_repeats_the_others_is_left_out():
    known = ZOO["spiral 3x3"].draw(4000, seed=1)
    x, y = (turned(scaled(side), (0.5, 1.0, 1.5)) for side in (known.x, known.y))
    starts = list(NestedCanonical(x, y, np.arange(4000) % 4, straightened=True).starts())
    assert max(len(start.ratio.correlations) for start in starts) > 2
    assert [len(shortened(start).ratio.correlations) for start in starts] == [2] * 4


def test_a_rotation_of_uniform_columns_is_undone():
    rng = np.random.default_rng(0)
    known = gaussian_pair(2500, 2, 0.9, seed=3)
    sides = [
        np.argsort(np.argsort(side, axis=0), axis=0)
        @ np.linalg.qr(rng.normal(size=(2, 2)))[0]
        for side in (known.x, known.y)
    ]
    estimate = AUTO.estimate(*sides)
    assert "independent components" in {fold["start"] for fold in estimate.history}
    assert estimate.nats == pytest.approx(known.nats, abs=0.1)
