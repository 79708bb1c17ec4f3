"""Answers in tokens: what they tell is what was written."""

import numpy as np
import pytest
from spelled_answers import spelled_classes, tokens_of_their_own, written_numbers

from mi_probe.synthetic import class_gaussians


@pytest.mark.parametrize("correlation", [0.5, 0.9])
def test_many_digits_tell_what_the_number_does(correlation):
    gaussian = -0.5 * np.log(1 - correlation**2)
    one, two, four = (
        written_numbers(4000, places, correlation=correlation, seed=1)
        for places in (1, 2, 4)
    )
    assert one.nats < two.nats < four.nats < gaussian
    assert four.nats == pytest.approx(gaussian, abs=1e-3)
    for known in (one, two, four):
        error = known.pointwise.std() / 4000**0.5
        assert known.sample_nats == pytest.approx(known.nats, abs=4 * error)
    assert four.y.shape == (4000, 4)
    assert set(np.unique(four.y)) == set(range(10))


def test_spelling_can_be_read_back():
    known = class_gaussians(300, 2, 6, seed=1)
    spelled = spelled_classes(known, seed=3)
    assert spelled.nats == known.nats
    pairs = np.column_stack([known.y, spelled.y])
    assert len(np.unique(pairs, axis=0)) == len(np.unique(spelled.y, axis=0)) == 6
    lengths = (spelled.y >= 0).sum(1)
    assert lengths.min() >= 1
    assert len(set(lengths)) > 1


def test_independent_tokens_add_up_and_idle_ones_tell_nothing():
    known = tokens_of_their_own(500, 3, 5, 2, idle=2, seed=1)
    parts = [class_gaussians(500, 2, 5, separation=3.0, seed=3 + t) for t in range(3)]
    assert known.nats == pytest.approx(sum(part.nats for part in parts))
    assert known.x.shape == (500, 6)
    assert np.array_equal(known.y[:, 1], parts[1].y)
    assert (known.y[:, :3] >= 0).all()
    assert set((known.y[:, 3:] >= 0).sum(1)) == {0, 1, 2}
