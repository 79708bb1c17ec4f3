"""Copies share a fold and count once; values of a discrete X that recur are no copies."""

import numpy as np
import pytest
import torch

from mi_probe import HiddenStates
from mi_probe.estimators import ESTIMATORS, Auto, with_null
from mi_probe.estimators.core.copies import copies_of
from mi_probe.estimators.core.targets import Classes, Scores, as_target

QUICK = Auto(extrapolate=False)


def classes(n=200):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    return rng.normal(size=(n, 3)) + y[:, None], y


def twice(values):
    return np.concatenate([values, values])


def test_copies_are_found_whatever_their_number_and_order():
    x, y = classes()
    rng = np.random.default_rng(0)
    for rows in (np.r_[:200, :7], rng.integers(0, 200, 200), np.repeat(np.arange(200), 3)):
        group = copies_of(x[rows], as_target(y[rows]))
        assert group is not None
        np.testing.assert_array_equal(
            rows[np.unique(group, return_index=True)[1]][group], rows
        )
        assert len(np.unique(group)) == len(np.unique(rows))


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).integers(0, 30, (400, 1)).astype(float),
        np.round(np.random.default_rng(0).normal(size=(400, 1)), 2),
        np.random.default_rng(0).integers(0, 2, (400, 6)).astype(float),
        np.random.default_rng(0).normal(size=(150, 4))[
            np.random.default_rng(1).zipf(1.5, 400) % 150
        ],
        np.zeros((400, 2)),
    ],
    ids=["whole numbers", "rounded", "signs", "frequent and rare values", "constant"],
)
def test_values_that_recur_by_nature_are_no_copies(values):
    y = as_target(
        (values.sum(1) > np.median(values.sum(1))).astype(int) + (np.arange(400) == 0)
    )
    assert copies_of(values, y) is None


def test_rows_that_are_equal_but_for_y_are_no_copies():
    x, _ = classes()
    y = np.random.default_rng(3).integers(0, 2, 400)
    assert copies_of(twice(x), as_target(y)) is None
    assert (
        copies_of(twice(x), Scores(y[:, None] + np.random.default_rng(4).random((400, 1))))
        is None
    )


def test_copies_of_sequences_are_found_wherever_their_padding_is():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 5, 3)).astype(np.float32)
    mask = np.ones((60, 5), dtype=bool)
    mask[:, 3:] = False
    other = np.roll(values, 2, axis=1)
    z = HiddenStates(
        torch.from_numpy(np.concatenate([values, other])),
        torch.from_numpy(np.concatenate([mask, np.roll(mask, 2, axis=1)])),
    )
    y = Classes(np.tile(np.arange(60) % 2, 2), ("0", "1"))
    np.testing.assert_array_equal(copies_of(z, y), np.tile(np.arange(60), 2))
    # Two symbols in four places: sequences recur by nature.
    signs = torch.from_numpy(rng.integers(0, 2, (120, 4, 1)).astype(np.float32))
    few = HiddenStates(signs, torch.ones(120, 4, dtype=torch.bool))
    assert (
        copies_of(few, Classes((signs[:, 0, 0].numpy() > 0).astype(int), ("0", "1")))
        is None
    )


@pytest.mark.parametrize("name", ["auto", "lda", "ross"])
def test_a_sample_taken_twice_says_what_it_says_once(name):
    x, y = classes()
    estimator = QUICK if name == "auto" else ESTIMATORS[name]
    once, both = estimator.estimate(x, y), estimator.estimate(twice(x), twice(y))
    assert once.group is None
    assert both.group is not None
    assert both.nats == pytest.approx(once.nats, abs=once.stderr)
    assert both.stderr == pytest.approx(once.stderr, rel=0.3)


def test_copies_of_noise_tell_nothing():
    x, _ = classes()
    y = np.random.default_rng(5).integers(0, 2, 200)
    found = ESTIMATORS["auto"].estimate(twice(x), twice(y))
    assert found.ci[0] < 0.0
    assert found.nats < 0.02
    assert found.extrapolated is not None
    assert found.extrapolated.nats < 0.04
    # A test that permuted copies apart would call their agreement dependence.
    null = with_null(QUICK, twice(x), twice(y), n_permutations=19)
    assert null.p_value is not None
    assert null.p_value > 0.05


def test_copies_of_real_numbers_count_once():
    x, _ = classes()
    y = x[:, 0] + np.random.default_rng(0).normal(size=200)
    for name in ("gaussian", "ksg"):
        once = ESTIMATORS[name].estimate(x, y)
        both = ESTIMATORS[name].estimate(twice(x), twice(y))
        assert both.nats == pytest.approx(once.nats, abs=0.05), name
        assert both.stderr == pytest.approx(once.stderr, rel=0.3), name
