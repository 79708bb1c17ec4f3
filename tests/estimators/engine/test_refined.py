"""Refined directions: what Newton steps find that moments do not, without overfitting."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from mi_probe.estimators import Auto
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.network import ROUNDS, Problem, train_refined
from mi_probe.estimators.engine.sample import Shared
from mi_probe.estimators.models.columns import whitened
from mi_probe.estimators.models.directions import second_order
from mi_probe.synthetic import independent, rings


def problem_of(u: np.ndarray, y: np.ndarray, rows: np.ndarray, seed: int = 0) -> Problem:
    directions = second_order(u[rows], y[rows], int(y.max()) + 1)[:, :8]
    prior = np.log(np.bincount(y) / len(y))
    return Problem(rows, directions.astype(np.float64), prior, seed)


def nats(u, y, problems, number, rows, rounds=ROUNDS[-1]) -> list[float]:
    trained = train_refined(torch.as_tensor(u), torch.as_tensor(y), problems, rounds)
    log_prior = problems[number].log_prior
    found = []
    for place in range(len(trained.snapshots)):
        scores = trained.scores(torch.as_tensor(u), rows, number, place)
        log_q = log_softmax(scores, axis=1)
        own = y[rows]
        found.append(float((log_q[np.arange(len(rows)), own] - log_prior[own]).mean()))
    return found


@pytest.fixture(scope="module")
def ring_rows():
    known = rings(3000, 160, seed=0)
    return whitened(known.x.astype(np.float32))[0], known.y, known.nats


def test_refined_directions_hold_far_more_of_rings_than_moments_do(ring_rows):
    u, y, true = ring_rows
    problem = problem_of(u, y, np.arange(2400))
    found = nats(u, y, [problem], 0, np.arange(2400, 3000))
    assert found[-1] > found[0] + 0.1
    # Two directions of 160 dimensions from 2,400 rows: about 0.07 nats are lost.
    assert true - 0.2 < found[-1] < true + 0.05


def test_directions_without_information_are_dropped(ring_rows):
    u, y, _ = ring_rows
    problem = problem_of(u, y, np.arange(2400))
    trained = train_refined(torch.as_tensor(u), torch.as_tensor(y), [problem])
    lengths = trained.snapshots[-1]["directions"][0].norm(dim=0)
    assert trained.snapshots[0]["directions"][0].norm(dim=0).min() > 0.9
    assert 2 <= int((lengths > 0.1).sum()) <= 3


def test_nothing_is_found_where_there_is_nothing():
    known = independent(2000, 150, 2, seed=0)
    u = whitened(known.x.astype(np.float32))[0]
    problem = problem_of(u, known.y, np.arange(1500))
    found = nats(u, known.y, [problem], 0, np.arange(1500, 2000))
    # Moments of 1,500 rows look like something; refined, less and less is claimed. The
    # stack tempers what is left to nothing.
    assert found[-1] > 0.7 * found[0]
    estimate = Auto(extrapolate=False).estimate(known.x, known.y)
    assert abs(estimate.nats) < 0.002


def test_problems_of_unlike_length_are_trained_as_each_alone(ring_rows):
    u, y, _ = ring_rows
    rows = np.random.default_rng(0).permutation(3000)
    # Of as many batches an epoch, so that the shorter one does not cut the longer.
    problems = [problem_of(u, y, rows[:700], 1), problem_of(u, y, rows[1000:1695], 2)]
    tested = rows[2000:2300]
    together = nats(u, y, problems, 1, tested)
    alone = nats(u, y, problems[1:], 0, tested)
    assert together == pytest.approx(alone, abs=0.02)


@pytest.mark.parametrize("d", [101, 140])
def test_auto_refines_directions_in_any_number_of_many_dimensions(d):
    known = rings(2000, d, seed=1)
    estimate = Auto(extrapolate=False).estimate(known.x, known.y)
    assert "x:refined" in estimate.history[0]["members"]
    assert estimate.nats > 0.3 * known.nats


def test_the_member_is_for_many_dimensions_and_few_classes():
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(50, 150)).astype(np.float32)
    few, many = np.arange(50) % 2, np.arange(50)
    assert [p["rounds"] for p in MEMBERS["refined"].path(Shared(wide, few, 2))] == [
        *map(float, ROUNDS)
    ]
    assert not MEMBERS["refined"].path(Shared(wide[:, :90], few, 2))
    assert not MEMBERS["refined"].path(Shared(wide, many, 80))
    assert not MEMBERS["network"].path(Shared(wide, few, 2))
    assert MEMBERS["network"].path(Shared(wide[:, :90], few, 2))
