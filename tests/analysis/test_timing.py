"""Forecast times: how rows are chosen, and how the rest is extrapolated."""

import numpy as np
import pytest
from fakes import ANYTHING

from mi_probe.analysis import timing
from mi_probe.analysis.timing import time_estimators
from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates
from mi_probe.tasks import Task


class Clocked:
    """Takes 1 s and 10 ms a row, of a clock of its own."""

    name = "clocked"
    nature = ANYTHING

    def __init__(self, monkeypatch, refuse=False):
        self.now, self.seen, self.refuse = 0.0, [], refuse
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def estimate(self, x, y, *, groups=None, seed=0):
        if self.refuse:
            raise InputError("no.")
        values = x.values if isinstance(x, HiddenStates) else x
        self.seen.append((tuple(values.shape), len(np.unique(y))))
        self.now += 1 + 0.01 * len(y)


def make_task(n):
    labels = np.zeros(n, dtype=int)
    labels[7] = 1  # a rare class, which a random part would miss
    return Task(
        name="t",
        prompts=("x",) * n,
        answers=(" a",) * n,
        labels=labels,
        label_names=("no", "yes"),
        target="it",
        ids=tuple(map(str, range(n))),
    )


def test_a_linear_cost_is_extrapolated_exactly(monkeypatch):
    clocked = Clocked(monkeypatch)
    (found,) = time_estimators(
        {"a": clocked}, make_task(10_000), {"pooled": (10_000, 8)}, seconds=15.0
    ).values()
    assert found is not None
    assert found.seconds == pytest.approx(101)
    assert found.timed_rows == 400
    assert [shape for shape, _ in clocked.seen] == [(30, 8), (100, 8), (200, 8), (400, 8)]
    assert {classes for _, classes in clocked.seen} == {2}


def test_few_rows_are_timed_as_they_are(monkeypatch):
    clocked = Clocked(monkeypatch)
    shapes = {"full": (50, 6, 8), "pooled": (50, 8)}
    found = time_estimators({"a": clocked}, make_task(50), shapes)
    assert [(t.seconds, t.timed_rows) for t in found.values() if t] == [
        *((pytest.approx(1.5), 50), (pytest.approx(1.5), 50))
    ]
    assert clocked.seen[-1][0] == (50, 6, 8)  # the cheapest first


def test_states_that_would_not_fit_are_not_made(monkeypatch):
    monkeypatch.setattr(timing, "LARGEST_BYTES", 4 * 250 * 6 * 8)
    clocked = Clocked(monkeypatch)
    time_estimators({"a": clocked}, make_task(1000), {"full": (1000, 6, 8)}, seconds=1e9)
    assert max(shape[0] for shape, _ in clocked.seen) == 200


def test_what_is_refused_has_no_time(monkeypatch):
    clocked = Clocked(monkeypatch, refuse=True)
    found = time_estimators({"a": clocked}, make_task(50), {"pooled": (50, 8)})
    assert found == {("a", "pooled"): None}
