"""What a held-out fold may not touch: its labels change nothing that scores it."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from mi_probe import HiddenStates
from mi_probe.errors import InputError
from mi_probe.estimators import Schedule, Variational
from mi_probe.estimators.bounds.values import BOUNDS, Bound
from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import Classes, Scores, as_target
from mi_probe.estimators.variational.fold_problems import FoldProblems
from mi_probe.synthetic import gaussian_pair


@dataclass(frozen=True)
class Settings:
    hidden: int = 8
    pair_features: int = 4
    device: str = "cpu"
    value: Bound = BOUNDS["donsker_varadhan"]
    tau: float = 10.0
    start: tuple[str, ...] = ()


def problems(x, target):
    split = draw_split(target, 4, 0)
    return split.fold, list(FoldProblems(Settings(), x, target, split).at())


def tokens(values):
    n = len(values)
    return HiddenStates(torch.from_numpy(values), torch.ones(n, 3, dtype=torch.bool))


def test_values_of_a_fold_change_nothing_that_scores_it():
    known = gaussian_pair(120, 2, 0.8)
    fold, before = problems(known.x, Scores(known.y))
    changed = known.y.copy()
    # The same values, shuffled: the margin, which all rows share, stays as it is.
    changed[fold == 2] = changed[fold == 2][::-1]
    after = problems(known.x, Scores(changed))[1]
    rows = np.arange(10)
    for part in ("train_pairs", "reference_pairs"):
        one, other = (
            getattr(found[2].start, part)(rows, rows) for found in (before, after)
        )
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_gaussian_start_is_the_log_density_ratio():
    known = gaussian_pair(1000, 1, 0.7, seed=1)
    fold, found = problems(known.x, Scores(known.y))
    x, y = known.x[fold == 0][:20], known.y[fold == 0][:30]
    pairs = found[0].start.test_pairs(np.arange(20), np.arange(30))
    variance = 1 - 0.7**2
    expected = 0.5 * (y.T**2 - (y.T - 0.7 * x) ** 2 / variance - np.log(variance))
    assert np.median(np.abs(pairs - expected)) < 0.1


def test_constant_states_tell_nothing_of_scores():
    y = np.random.default_rng(0).normal(size=60)
    for problem in problems(np.ones((60, 2)), Scores(y[:, None]))[1]:
        assert not problem.held_out(None).terms.any()


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_scores_start_from_the_pooling_that_tells_most(pooling):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 3, 2))
    told = values[:, 0, 0] if pooling == "first" else values[:, :, 0].mean(1)
    y = told + 0.3 * told.std() * rng.normal(size=300)
    found = problems(tokens(values), Scores(y[:, None]))[1]
    assert np.mean([p.held_out(None).terms.mean() for p in found]) > 0.9


def test_targets_keep_labels_as_they_came():
    target = as_target(torch.tensor([5, -1, 5, 9]))
    assert isinstance(target, Classes)
    assert target.names == ("-1", "5", "9")
    assert target.index.tolist() == [1, 0, 1, 2]
    booleans = as_target(np.array([True, False]))
    assert isinstance(booleans, Classes)
    assert isinstance(as_target(np.array([[0.5], [1.0]])), Scores)


def test_named_members_are_all_that_a_start_is_made_of():
    rng = np.random.default_rng(5)
    y = rng.integers(2, size=300)
    x = rng.normal(size=(300, 3)) * np.where(y, 2.5, 0.5)[:, None]
    z = HiddenStates(np.stack([np.zeros_like(x), x], 1), np.ones((300, 2)))
    closed = Variational(
        name="closed",
        objective="cross_entropy",
        bound="barber_agakov",
        schedule=Schedule(max_epochs=0),
        extrapolate=False,
    )
    for states in (x, z):
        found = {
            start: replace(closed, start=start).estimate(states, y)
            for start in (("linear",), ("linear", "quadratic"))
        }
        line, square = found.values()
        assert abs(line.nats) < 0.05 or states is z  # the maximum grows with the spread
        assert square.nats > max(0.4, line.nats + 0.1)
        used = {name.split(":")[-1] for fold in square.history for name in fold["start"]}
        assert used <= {"prior", "product", "linear", "quadratic"}


@pytest.mark.parametrize(
    ("y", "start"),
    [
        (np.arange(40) % 2, ("straight",)),
        (np.arange(40) % 2, ()),
        (np.linspace(0, 1, 40), ("linear",)),
    ],
)
def test_a_start_that_is_none_is_named(y, start):
    x = np.random.default_rng(0).normal(size=(40, 2))
    estimator = Variational(
        name="wrong", objective="mine", bound="donsker_varadhan", start=start
    )
    with pytest.raises(InputError, match=f"start must be .*got {re.escape(str(start))}"):
        estimator.estimate(x, y)
