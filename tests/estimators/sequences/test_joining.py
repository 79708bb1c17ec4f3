import numpy as np
import pytest

from mi_probe.estimators.engine.stack import Chosen
from mi_probe.estimators.sequences.joining import adds, joined

N = 2000
PRIOR = np.log([0.5, 0.5])


def stack(seen: np.ndarray, sure: float = 0.8) -> Chosen:
    """What a channel that is right in a share of rows says of a bit."""
    table = np.log([[sure, 1 - sure], [1 - sure, sure]]) - PRIOR
    return Chosen(table[seen], table[seen[:100]], PRIOR, {})


@pytest.fixture
def channels() -> tuple[np.ndarray, dict[str, Chosen]]:
    """A bit; two noisy channels, one again, and one that says nothing."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=N)
    one, two = (np.where(rng.random(N) < 0.2, 1 - y, y) for _ in range(2))
    nothing = Chosen(np.zeros((N, 2)), np.zeros((100, 2)), PRIOR, {})
    return y, {"one": stack(one), "two": stack(two), "nothing": nothing}


def test_what_adds_is_told_from_what_does_not(channels):
    y, stacks = channels
    record = joined(stacks, ["one", "nothing"], np.ones(N, bool), y).record
    assert record["joined"]
    assert record["best view"] == "one"
    assert adds(record, "one")
    assert adds(record, "two")
    assert not adds(record, "nothing")
    assert not adds(record, "another")
    assert record["nats"] == pytest.approx(record["view_nats"] + record["gain"])
    # Two bits flipped in a fifth of the rows each, of what one of them leaves open.
    assert record["view_nats"] == pytest.approx(0.1927, abs=0.03)
    assert record["gain"] == pytest.approx(0.1072, abs=0.03)


def test_nothing_adds_to_a_view_alone_nor_to_one_that_is_enough(channels):
    y, stacks = channels
    alone = joined({"one": stacks["one"]}, ["one"], np.ones(N, bool), y).record
    enough = joined(
        {name: stacks[name] for name in ("one", "nothing")}, ["one"], np.ones(N, bool), y
    ).record
    for record in (alone, enough):
        assert not record["joined"]
        assert not adds(record, "one")
        assert record["nats"] == record["view_nats"]


def test_without_any_start_the_best_of_all_is_it(channels):
    y, stacks = channels
    found = joined({"two": stacks["two"]}, ["one"], np.ones(N, bool), y)
    assert found.record["best view"] == "two"
    assert np.array_equal(found.test, stacks["two"].test)
