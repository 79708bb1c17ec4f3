import math

import pytest

from mi_probe.errors import InputError
from mi_probe.predgen.schedules import SCHEDULES, Schedule

RISING = ("linear", "inverse_sigmoid", "exponential")


@pytest.mark.parametrize("kind", RISING)
def test_goes_from_start_to_end_over_the_ramp_and_stays(kind):
    schedule = Schedule(kind, start=0.1, end=0.8, ramp=40)
    path = [schedule.probability(step, 1000) for step in range(100)]
    assert path[0] == pytest.approx(0.1)
    assert path[40:] == pytest.approx([0.8] * 60)
    assert all(later > earlier for earlier, later in zip(path[:40], path[1:], strict=False))


@pytest.mark.parametrize("kind", RISING)
def test_ramp_is_the_whole_training_where_none_is_given(kind):
    whole, given = Schedule(kind), Schedule(kind, ramp=300)
    for step in (0, 17, 150, 299, 300):
        assert whole.probability(step, 300) == given.probability(step, 10**6)
    assert whole.probability(299, 300) < 1 == whole.probability(300, 300)


def test_curves_are_those_of_bengio_et_al():
    # Exponential: gold k^i with k = 0.01^(1/T), which is 0.01 at T; rescaled to end at 0.
    assert Schedule("exponential").probability(50, 100) == pytest.approx(0.9 / 0.99)
    # Inverse sigmoid: a logistic curve of width T/12 around T/2, rescaled to [0, 1].
    edge = 1 / (1 + math.exp(6.0))
    at_30 = 1 / (1 + math.exp(-12 * (0.3 - 0.5)))
    assert Schedule("inverse_sigmoid").probability(30, 100) == pytest.approx(
        (at_30 - edge) / (1 - 2 * edge)
    )
    assert Schedule("linear").probability(30, 100) == pytest.approx(0.3)


def test_never_and_always_are_constant():
    for step in (0, 5, 10):
        assert Schedule("never", start=0.5).probability(step, 10) == 0.0
        assert Schedule("always", end=0.5).probability(step, 10) == 1.0
    assert set(SCHEDULES) == {*RISING, "never", "always"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "cosine"}, "schedule must be one of linear, .*; got 'cosine'"),
        ({"start": 0.5, "end": 0.2}, "no smaller than the start; got 0.5 and 0.2"),
        ({"end": 1.5}, "must be probabilities"),
        ({"start": -0.1}, "must be probabilities"),
        ({"ramp": 0}, "ramp must be 1 or more optimiser steps.*got 0"),
    ],
)
def test_wrong_settings_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        Schedule(**settings)


@pytest.mark.parametrize(("step", "total"), [(-1, 10), (0, 0)])
def test_wrong_steps_are_refused(step, total):
    with pytest.raises(InputError, match=f"got step {step} of {total}"):
        Schedule().probability(step, total)
