"""Shifted systems solved together: each as if alone, also where one is 0."""

import numpy as np
import pytest

from mi_probe.estimators.models import shifted
from mi_probe.estimators.models.shifted import solved_shifts


def test_every_shift_is_solved_and_nothing_stays_nothing():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(40, 60))
    matrix = half.T @ half / 40  # of rank 40 in 60 columns
    # Of four right sides one is 0, and one is an eigenvector: solved in one round.
    right = np.stack(
        [*rng.normal(size=(2, 60)), np.zeros(60), np.linalg.eigh(matrix)[1][:, -1]]
    )
    shifts = [9.0, 0.003, 0.25, 0.003]
    found = solved_shifts(lambda v: matrix @ v, right.T, shifts)
    assert found is not None
    for shift, x in zip(shifts, found, strict=True):
        expected = np.linalg.solve(matrix + shift * np.eye(60), right.T)
        assert x == pytest.approx(expected, rel=1e-3, abs=1e-3 * np.abs(expected).max())
        assert not x[:, 2].any()


def test_too_few_rounds_are_no_solution(monkeypatch):
    monkeypatch.setattr(shifted, "_ROUNDS", 2)
    matrix = np.diag(np.arange(1.0, 9.0))
    assert solved_shifts(lambda v: matrix @ v, np.ones((8, 1)), [0.1]) is None
