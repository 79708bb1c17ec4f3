"""The interval of a mean of held-out terms."""

import numpy as np
import pytest

from mi_probe.estimators import Auto
from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.split import Split, standard_error
from mi_probe.estimators.core.targets import as_target


def made(terms, y):
    split = Split(np.arange(len(terms)) % 5, np.zeros(len(terms), dtype=np.int64), 0)
    states = np.zeros((len(terms), 1))
    return assembled(Auto(), states, as_target(y), split, pointwise=terms)


@pytest.mark.parametrize("rare", [False, True])
def test_covers_in_93_to_98_of_100_also_near_the_ceiling(rare):
    rng = np.random.default_rng(0)
    y, n, repeats, covered, above = np.arange(300) % 2, 300, 600, 0, 0
    for _ in range(repeats):
        terms = rng.normal(0.4, 0.5, size=n)
        if rare:
            terms = np.where(rng.random(n) < 0.01, -2.0, 0.68)
        truth = 0.4 if not rare else 0.99 * 0.68 - 0.02
        low, high = made(terms, y).ci
        covered += low <= truth <= high
        above += low > truth
    assert above / repeats < 0.05
    assert 0.93 <= covered / repeats <= 0.99


def test_folds_widen_it_only_where_they_differ_beyond_chance():
    rng = np.random.default_rng(0)
    fold = np.arange(1000) % 5
    errors = []
    for _ in range(100):
        terms = rng.normal(size=1000)
        errors.append(standard_error(terms, fold))
    assert np.mean(np.array(errors) > 0.036) < 0.15
    assert np.median(errors) == pytest.approx(1 / np.sqrt(1000), rel=0.05)
    assert standard_error(terms + 0.5 * fold, fold) > 0.25


def test_nothing_found_has_a_narrow_interval_around_zero():
    low, high = made(np.zeros(500), np.arange(500) % 4).ci
    assert -0.02 < low < 0 < high < 0.01
