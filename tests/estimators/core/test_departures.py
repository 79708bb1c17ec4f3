"""Tests of Gaussian laws: their own data pass, other data do not, plants are seen."""

import math

import numpy as np
import pytest

from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.departures import LawTest, two_sided_if_tested
from mi_probe.estimators.core.gaussian_laws import ClassLaw, PairLaw

N, D = 800, 8
LIMIT = Extrapolation(
    nats=0.25, ci=(0.2, math.inf), claim="at_least", reason="not tested", curve=()
)


def classes(seed=0, n=N, d=D, bend=None):
    """Two normal classes that differ in a mean, or another column by ``bend``."""
    rng = np.random.default_rng(seed)
    y, x = rng.integers(2, size=n), rng.normal(size=(n, d))
    x[:, 0] += 1.5 * y
    if bend is not None:
        x = bend(x, y, rng)
    return x, y


def humps(x, y, rng):
    apart = 0.9 * rng.choice([-1, 1], size=len(y))
    x[:, 3] = np.where(y == 1, apart + math.sqrt(1 - 0.81) * x[:, 3], x[:, 3])
    return x


def spread(x, y, rng):
    x[:, 3] *= np.where(y == 1, 1.8, 1.0)
    return x @ np.linalg.qr(rng.normal(size=(D, D)))[0]


def tails(x, y, rng):
    return x / np.sqrt(rng.chisquare(5, size=(len(y), 1)) / 5)


def triple(x, y, rng):
    x[:, 3] *= np.sign(x[:, 1:4].prod(1)) * np.where(y == 1, 1, -1)
    return x


def departure_of(x, y):
    return LawTest(ClassLaw(y), x, x - x.mean(0)).departure()


def test_the_laws_own_rows_pass_as_often_as_the_level_says():
    found = [departure_of(*classes(seed)) for seed in range(60)]
    assert sum(map(bool, found)) <= 7


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (humps, "single direction"),
        (spread, "second moments"),
        (tails, "lengths of the rows"),
        (triple, "products of columns"),
    ],
)
def test_each_kind_of_departure_is_named(bend, words):
    assert words in departure_of(*classes(bend=bend))


def test_humps_along_no_column_are_seen_where_rows_are_many():
    def turned(x, y, rng):
        return humps(x, y, rng) @ np.linalg.qr(rng.normal(size=(D, D)))[0]

    assert "single direction" in departure_of(*classes(n=3000, bend=turned))


def test_residuals_do_not_depend_on_the_laws_means_and_covariances():
    x, y = classes()
    turned = 3 + x @ np.random.default_rng(1).normal(size=(D, D)) + 5 * y[:, None]
    one, other = (ClassLaw(y).residuals(rows) for rows in (x, turned))
    # The same up to a rotation.
    assert np.allclose(one.z @ one.z.T, other.z @ other.z.T)


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_planted_departures_are_worth_what_is_said(share):
    n = 200_000
    y = (np.arange(n) >= share * n).astype(int)
    law, rng = ClassLaw(y), np.random.default_rng(0)
    bent = law.bent(rng.normal(size=(n, 2)), 0.05, rng)[:, 0]
    for values in (bent, law.humped(0.05, rng)[0]):
        edges = np.linspace(-5, 5, 81)
        table = np.stack([np.histogram(values[y == c], edges)[0] for c in (0, 1)]) / n
        ratio = table / np.maximum(table.sum(0) * table.sum(1, keepdims=True), 1e-12)
        told = (table * np.log(np.maximum(ratio, 1e-12))).sum()
        assert told == pytest.approx(0.05, abs=0.004)
        assert values.var() == pytest.approx(1, abs=0.03)


def test_small_departures_among_many_columns_are_not_promised():
    x, y = classes(n=600, d=120)
    tested = LawTest(ClassLaw(y), x, x)
    assert tested.smallest_seen([0.01], 0.2, math.log(2)) is None
    x, y = classes()
    tested = LawTest(ClassLaw(y), x, x)
    assert tested.smallest_seen([1e-4, 0.2], 0.2, math.log(2)) == 0.2


def test_a_tested_law_gives_both_ends_and_one_answer():
    x, y = classes(1)
    found, again = (
        two_sided_if_tested(LIMIT, ClassLaw(y), x, x, math.log(2)) for _ in range(2)
    )
    assert found == again
    assert (found.claim, found.reason) == ("two_sided", "")
    assert found.assumes == "the classes are normal with one covariance"
    assert found.ci[0] == 0.2
    assert 0.29 < found.ci[1] < 0.45


def test_what_cannot_be_claimed_says_why():
    x, y = classes(bend=humps)
    law = ClassLaw(y)
    bent = two_sided_if_tested(LIMIT, law, x, x, math.log(2))
    assert (bent.claim, bent.ci[1]) == ("at_least", math.inf)
    assert "single direction" in bent.reason
    nothing = Extrapolation(
        nats=0.001, ci=(0.0, math.inf), claim="at_least", reason="", curve=()
    )
    told = two_sided_if_tested(nothing, law, x, x, math.log(2))
    assert (told.claim, told.ci[1]) == ("at_least", math.inf)
    assert "not that there is nothing" in told.reason
    wide = two_sided_if_tested(LIMIT, ClassLaw(y[:30]), x[:30], x[:30], math.log(2))
    assert "too few" in wide.reason
    twice = np.hstack([x, x])
    assert "sums" in two_sided_if_tested(LIMIT, law, twice, twice, math.log(2)).reason


def test_pairs_pass_and_bends_of_pairs_do_not():
    rng = np.random.default_rng(3)
    x, noise = rng.normal(size=(N, 5)), rng.normal(size=(N, 1))
    law, bends = PairLaw(1, N), []
    for curve in (0, x[:, 1] * x[:, 2], 1.5 * np.sin(4 * x[:, 1])):
        y = (x[:, 0] + curve)[:, None] + noise
        bends.append(LawTest(law, np.hstack([x, y]), x).departure())
    assert bends[0] == ""
    assert bends[1]
    assert "single direction" in bends[2]
    spreads = np.hstack([x, x[:, :1] + noise * np.exp(0.7 * x[:, 1:2])])
    assert LawTest(law, spreads, x).departure()
