"""`auto` on sequences of classes: never below a pooled view, equal where one is enough."""

import inspect

import numpy as np
import pytest
import torch

from mi_probe import HiddenStates
from mi_probe.estimators.auto import Auto
from mi_probe.estimators.core.split import Split, draw_split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.sequences import reading
from mi_probe.pooling import POOLINGS, pool
from mi_probe.synthetic import mean_sufficient, needle, order

BOUND = Auto(extrapolate=False)


def first_and_last(n: int = 500, t: int = 5, seed: int = 0) -> tuple:
    """Y: do the signs of the first and the last token match? Lengths vary."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(n, t))
    lengths = rng.integers(2, t + 1, size=n)
    y = (signs[:, 0] == signs[np.arange(n), lengths - 1]).astype(int)
    values = 0.3 * rng.normal(size=(n, t, 3)) + signs[..., None] * np.eye(3)[0]
    return HiddenStates(values.astype(np.float32), np.arange(t) < lengths[:, None]), y


@pytest.mark.slow
def test_the_whole_is_never_below_a_view_bound_and_extrapolation():
    known = needle(200, 5, 6, seed=1)
    full = Auto().estimate(known.x, known.y, seed=3)
    assert full.nats > 0.7
    for name in POOLINGS:
        view = Auto().estimate(pool(known.x, name), known.y, seed=3)
        assert np.array_equal(view.fold, full.fold)
        assert view.nats <= full.nats
        assert view.extrapolated is not None
        assert full.extrapolated is not None
        assert full.extrapolated.claim == "at_least"
        assert view.extrapolated.ci[0] <= full.extrapolated.ci[0]


def test_where_a_view_is_sufficient_the_estimate_is_that_views():
    known = mean_sufficient(300, 6, 4, seed=2)
    full = BOUND.estimate(known.x, known.y)
    mean = BOUND.estimate(pool(known.x, "mean"), known.y)
    assert mean.nats <= full.nats < mean.nats + 0.01
    same = np.isclose(full.pointwise, mean.pointwise, atol=1e-12)
    assert same.mean() > 0.5


def test_ends_that_match_are_found_though_no_view_holds_it():
    z, y = first_and_last()
    full = BOUND.estimate(z, y)
    assert full.nats > 0.4
    whole = full.history[0]["whole"]
    assert full.history[0]["reported"] == "whole"
    assert whole["joined"]
    assert full.log_posterior is not None
    own = full.log_posterior[np.arange(len(y)), y]
    log_prior = np.log(np.bincount(y) / len(y))
    assert own - log_prior[y] == pytest.approx(full.pointwise, abs=1e-6)


def test_one_token_a_row_is_the_vector():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=120)
    values = rng.normal(size=(120, 3, 2)) + 2 * y[:, None, None]
    mask = np.arange(3)[None] == rng.integers(3, size=120)[:, None]
    z = HiddenStates(values, mask)
    full = BOUND.estimate(z, y)
    first = BOUND.estimate(pool(z, "first"), y)
    assert full.nats == pytest.approx(first.nats, abs=1e-12)


@pytest.mark.slow
def test_left_padding_and_float16_change_little():
    z, y = first_and_last(200)
    n, t, d = z.values.shape
    left = torch.full((n, t + 2, d), torch.nan)
    mask = torch.zeros(n, t + 2, dtype=torch.bool)
    for row, length in enumerate(z.mask.sum(1).tolist()):
        left[row, t + 2 - length :] = z.values[row, :length]
        mask[row, t + 2 - length :] = True
    reference = BOUND.estimate(z, y).pointwise
    padded = BOUND.estimate(HiddenStates(left, mask), y).pointwise
    assert padded == pytest.approx(reference, abs=1e-3)
    half = BOUND.estimate(HiddenStates(z.values.half(), z.mask), y)
    assert half.nats == pytest.approx(reference.mean(), abs=0.02)


@pytest.mark.slow
def test_hints_leave_out_what_was_not_used():
    known = needle(200, 5, 6, seed=1)
    first = BOUND.estimate(known.x, known.y)
    again = BOUND.estimate(known.x, known.y, hints=first.history)
    used = {name for record in again.history for name in record["whole"]["stacks"]}
    assert "tokens" in used
    assert again.nats == pytest.approx(first.nats, abs=0.05)
    nothing = [
        {**record, "whole": {**record["whole"], "joined": False}}
        for record in first.history
    ]
    short = BOUND.estimate(known.x, known.y, hints=nothing)
    assert set(short.history[0]["whole"]["stacks"]) == set(POOLINGS)


def read(n: int = 200) -> reading.Reading:
    """What `first_and_last` is read as, in four folds."""
    z, y = first_and_last(n)
    part = np.random.default_rng(0).choice(3, size=n, p=[0.8, 0.1, 0.1])
    return reading.reading_of(
        z, Classes(y, ("0", "1")), Split(np.arange(n) % 4, part, 0), "cpu"
    )


def test_ends_are_read_where_a_quarter_of_the_rows_shows_that_they_add(monkeypatch):
    seen = read()
    monkeypatch.setattr(reading, "_PILOT_ROWS", 20)
    assert set(seen.stacks(0)) == {*POOLINGS, "ends", "tokens"}
    monkeypatch.setattr(reading, "_PILOT_ADDS", 1.0)
    assert set(seen.stacks(0)) == {*POOLINGS, "tokens"}
    monkeypatch.setattr(reading, "_PILOT_ROWS", 1000)
    assert set(seen.stacks(0)) == {*POOLINGS, "ends", "tokens"}


def test_fewer_rows_read_what_all_used_and_the_best_view_where_that_fails():
    seen = read()
    above = {"adds": {"ends": 0.3, "tokens": 0.0}, "best view": "last", "view_nats": 0.0}
    assert set(seen.again(1, 0, above).record["stacks"]) == {"ends"}
    hopeful = above | {"view_nats": 5.0}
    assert set(seen.again(1, 0, hopeful).record["stacks"]) == {"ends", "last"}
    nothing = above | {"adds": {}}
    assert set(seen.again(1, 0, nothing).record["stacks"]) == {"last"}


def test_where_critics_learn_from_some_rows_all_rows_are_scored(monkeypatch):
    # As above 25,000 rows, of which 20,000 are learned from.
    few = inspect.unwrap(draw_split)
    monkeypatch.setitem(few.__kwdefaults__, "most", 120)
    known = order(300, t=3, d=3, vary=False, seed=0)
    found = Auto(extrapolate=False).estimate(known.x, known.y)
    assert found.split.n_learned() < 150
    assert found.inner.shape == (found.split.n_folds, 300, 2)
    assert np.allclose(np.exp(found.inner).sum(2), 1, atol=1e-5)
    # Rows that no critic learned from are told apart as well as the others.
    left = ~found.split.learns(0) & (found.split.fold != 0)
    own = np.arange(300), known.y
    assert left.sum() > 50
    assert np.isclose(
        found.inner[0][own][left].mean(), found.inner[0][own].mean(), atol=0.1
    )
