"""The law of linear discriminants: what it predicts, where it holds, where it is used."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from mi_probe.estimators import Auto
from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.engine.discriminant_limit import (
    DiscriminantLaw,
    by_law,
    discriminant_law,
    gaussian_information,
)
from mi_probe.synthetic import class_gaussians, class_mixtures, independent

CURVE = Extrapolation(
    nats=0.9,
    ci=(0.8, math.inf),
    claim="at_least",
    reason="the curve's",
    curve=((300, 0.3), (600, 0.5), (1200, 0.6)),
)


def law_of(known, *, folds: int = 5) -> DiscriminantLaw | None:
    y = known.y
    place = np.empty(len(y), dtype=np.int64)
    for c in np.unique(y):
        place[y == c] = np.arange((y == c).sum())
    prior = np.log(np.bincount(y) / len(y))
    return discriminant_law(known.x, y, place % folds, prior)


def test_information_of_two_gaussians_is_the_integral():
    z = np.linspace(-12, 12, 20001)
    gap = 1.7
    p = norm.pdf(z - gap / 2)
    term = np.log(expit(gap * z)) + np.log(2)
    expected = float((p * term).sum() * (z[1] - z[0]))
    means = np.array([-gap / 2, gap / 2])
    found = gaussian_information(np.outer(means, means), np.log([0.5, 0.5]))
    assert found == pytest.approx(expected, abs=5e-4)
    assert gaussian_information(np.zeros((3, 3)), np.log(np.ones(3) / 3)) == 0.0


@pytest.mark.parametrize(("d", "c"), [(150, 3), (60, 8)])
def test_the_law_predicts_what_is_reached_and_what_is_not(d, c):
    known = class_gaussians(1500, d, c, separation=3.0, seed=1)
    law = law_of(known)
    assert law is not None
    assert law.holds
    assert law.reached == pytest.approx(law.predicted, abs=2 * law.stderr)
    assert law.reached < known.nats - 0.06
    assert law.value == pytest.approx(known.nats, abs=0.04)


@pytest.mark.parametrize("n_classes", [8, 20])
def test_many_classes_that_differ_in_one_direction_are_not_overrated(n_classes):
    rng = np.random.default_rng(0)
    d, n = 150, 3000
    place = norm.ppf((np.arange(n_classes) + 0.5) / n_classes)
    y = np.arange(n) % n_classes
    x = rng.normal(size=(n, d))
    x[:, 0] += place[y]
    prior = np.full(n_classes, -np.log(n_classes))
    true = gaussian_information(np.outer(place, place), prior)
    fold = np.arange(n) // n_classes % 5
    law = discriminant_law(x, y, fold, prior)
    assert law is not None
    assert law.limit == pytest.approx(true, abs=0.03)
    assert law.reached == pytest.approx(law.predicted, abs=2 * law.stderr)


def test_the_law_does_not_hold_where_there_is_nothing_or_no_gaussian():
    nothing = law_of(independent(1500, 100, 3, seed=0))
    assert nothing is not None
    assert not nothing.holds
    clusters = law_of(class_mixtures(3000, 8, 4, informative=8, seed=0))
    assert clusters is not None
    assert not clusters.holds


def test_there_is_no_law_of_too_few_rows():
    assert law_of(class_gaussians(200, 100, 2, seed=0)) is None
    rare = class_gaussians(300, 4, 2, prior_ratio=60.0, seed=0)
    assert np.bincount(rare.y).min() < 10
    assert law_of(rare) is None


def test_there_is_no_law_where_x_holds_y_itself():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    x = np.concatenate([np.eye(3)[y], rng.normal(size=(300, 4))], axis=1)
    estimate = Auto().estimate(x, y)
    assert estimate.extrapolated is not None
    assert estimate.extrapolated.method == "learning curve"
    assert estimate.nats == pytest.approx(estimate.entropy_y, abs=0.01)


def test_the_law_is_used_only_where_means_are_all():
    n, rng = 1500, np.random.default_rng(0)
    terms = 0.6 + 0.5 * rng.normal(size=n)
    fold = Split(np.arange(n) % 5, np.zeros(n, dtype=np.int64), 0)
    law = DiscriminantLaw(terms, predicted=0.6, limit=0.75)
    found = by_law(CURVE, law, 0.6, fold)
    assert found.method == "linear discriminants"
    assert found.claim == "at_least"
    assert found.nats == pytest.approx(0.75, abs=0.01)
    assert found.ci[0] < found.nats - 1.9 * law.stderr
    assert found.curve == CURVE.curve
    assert by_law(CURVE, law, 0.66, fold) is CURVE
    # Unless discriminants that are shrunk as is best reached as much.
    shrunk = replace(law, regularised=0.65)
    assert by_law(CURVE, shrunk, 0.66, fold).nats == pytest.approx(0.75, abs=0.01)
    assert by_law(CURVE, None, 0.6, fold) is CURVE
    doubtful = by_law(CURVE, law, 0.6, fold, "a doubt")
    assert doubtful.reason == "a doubt"
    assert doubtful.ci[0] < 0.6
    mostly = by_law(CURVE, DiscriminantLaw(terms, 0.6, 1.4), 0.6, fold)
    assert mostly.ci[0] < 0.6
    assert "theory's" in mostly.reason


def test_held_out_value_and_theory_are_joined_by_how_far_they_differ():
    terms = np.random.default_rng(0).normal(0.6, 0.5, size=1000)
    reached = float(terms.mean())
    assert DiscriminantLaw(terms, reached, 0.8).value == 0.8
    near = DiscriminantLaw(terms, reached - 0.005, 0.8)
    assert near.value == 0.8
    far = DiscriminantLaw(terms, reached - 0.2, 0.8)
    assert far.value == pytest.approx(1.0, abs=0.01)


def test_auto_extrapolates_gaussian_classes_by_the_law():
    known = class_gaussians(800, 100, 3, separation=3.0, seed=3)
    estimate = Auto().estimate(known.x, known.y)
    limit = estimate.extrapolated
    assert limit is not None
    assert limit.method == "linear discriminants"
    assert limit.claim == "two_sided"
    assert estimate.nats < known.nats - 0.05
    assert limit.nats == pytest.approx(known.nats, abs=0.06)
    assert limit.ci[0] < known.nats < limit.ci[1]


@pytest.mark.slow
def test_a_curve_of_fewer_rows_than_dimensions_adds_nothing():
    for seed in (10002, 10011, 10017):
        known = class_gaussians(300, 768, 4, separation=3.0, seed=seed)
        estimate = Auto().estimate(known.x, known.y, seed=seed - 10_000)
        limit = estimate.extrapolated
        assert limit is not None
        assert limit.ci[0] < estimate.nats
        assert "too few" in limit.reason
