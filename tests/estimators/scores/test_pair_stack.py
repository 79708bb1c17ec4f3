"""The stack of closed-form starts, and the ridge path of wide sides."""

import numpy as np
import pytest

from mi_probe.estimators.scores import canonical
from mi_probe.estimators.scores.canonical import NestedCanonical
from mi_probe.estimators.scores.elliptical import Side
from mi_probe.estimators.scores.fits import PairStack, clearly_best, nested_terms


def first_start(x, y, fold=None):
    fold = np.arange(len(x)) % 5 if fold is None else fold
    return next(NestedCanonical(x, y, fold).starts())


@pytest.fixture
def halves():
    """Starts of two columns that each know half, of noise, and of nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2))
    y = x.sum(1, keepdims=True) + rng.normal(size=(600, 1))
    y /= y.std()
    sides = x[:, :1], x[:, 1:], y[::-1]
    return [first_start(side, y) for side in sides]


def test_what_two_starts_know_adds_up(halves):
    stack = PairStack.of(halves, halves[0])
    assert len(stack.starts) >= 2
    rows, columns = np.arange(40), np.arange(60)
    for part, x, y in (
        ("train_pairs", "x_train", "y_train"),
        ("test_pairs", "x_test", "y_test"),
        ("reference_pairs", "x_test", "y_reference"),
    ):
        expected = sum(
            power * s.ratio.pairs(getattr(s, x)[rows], getattr(s, y)[columns])
            for power, s in zip(stack.powers, stack.starts, strict=True)
        )
        assert getattr(stack, part)(rows, columns) == pytest.approx(expected)

    def shown(pairs):
        return (pairs.diagonal() - np.log(np.exp(pairs).mean(1))).mean()

    everyone = np.arange(480)
    alone = shown(PairStack.alone(halves[0]).train_pairs(everyone, everyone))
    assert shown(stack.train_pairs(everyone, everyone)) > 1.5 * alone


def test_a_stack_of_nothing_is_silent():
    rng = np.random.default_rng(3)
    start = first_start(rng.normal(size=(400, 3)), rng.normal(size=(400, 1)))
    assert start.ratio.silent
    stack = PairStack.of([start, start], start)
    assert stack.silent
    assert not stack.train_pairs(np.arange(5), np.arange(7)).any()
    assert not stack.test_pairs(np.arange(5), np.arange(7)).any()


def test_silent_starts_compare_with_others_at_every_number_of_rows(halves):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 3200, 1))
    starts = [first_start(x, y), first_start(x + 0.3 * y, y)]
    assert starts[0].ratio.silent
    assert len({len(nested_terms(start)) for start in starts}) == 1
    assert clearly_best(starts) == 1


def test_more_columns_than_rows_are_the_same_ridge_regression(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 90)) / np.arange(1, 91) ** 0.5
    y = x[:, :3].sum(1, keepdims=True) + 0.1 * rng.normal(size=(60, 1))
    turned = first_start(x, y)
    monkeypatch.setattr(canonical, "_as_many_as_rows", lambda values: values)
    plain = first_start(x, y)
    assert turned.ridge == plain.ridge
    assert turned.ratio.correlations == pytest.approx(plain.ratio.correlations, abs=1e-6)
    assert turned.x_test.variates == pytest.approx(plain.x_test.variates, abs=1e-5)


def test_of_a_single_pair_fewer_errors_count_than_of_dozens():
    rng = np.random.default_rng(0)
    a, b = np.linalg.qr(rng.normal(size=(400, 2)))[0].T
    rho = 2.4 / 20  # 2.4 standard errors of 400 rows
    pair = np.stack([a, rho * a + np.sqrt(1 - rho**2) * b])

    def kept(count):
        sides = [Side(np.tile(side[:, None], count), np.zeros(400)) for side in pair]
        return len(canonical._pairs_above_noise([(sides[0], sides[1])], 400))

    assert kept(1) == 1
    assert kept(40) == 0
