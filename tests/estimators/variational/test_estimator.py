"""The shared loop: every row's training finds what is there, from nothing."""

from dataclasses import replace

import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS, Variational

ROWS = sorted(name for name, e in ESTIMATORS.items() if isinstance(e, Variational))


@pytest.mark.parametrize(
    "name",
    [
        name if name == "mine" else pytest.param(name, marks=pytest.mark.slow)
        for name in ROWS
    ],
)
def test_each_objective_learns_parity_from_zero(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 2))
    alone = ESTIMATORS[name]
    assert isinstance(alone, Variational)
    estimate = replace(alone, start=()).estimate(x, (x[:, 0] * x[:, 1] > 0).astype(int))
    assert estimate.nats > 0.35
    assert estimate.nats <= estimate.entropy_y
    assert estimate.critic == "network kept in 5 of 5 folds"


@pytest.mark.parametrize(
    "name", [n for n in ROWS if "scores" in ESTIMATORS[n].nature.takes]
)
@pytest.mark.slow
def test_each_objective_learns_a_curve(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=1200)
    y = np.abs(x) + 0.3 * rng.normal(size=1200)
    # About 0.5 nats, of which a linear fit sees none.
    assert 0.1 < ESTIMATORS[name].estimate(x, y).nats < 0.65


def test_natures_say_what_is_reported():
    kinds = {name: ESTIMATORS[name].nature.bound for name in ROWS}
    assert kinds.pop("smile") == "neither"
    assert set(kinds.values()) == {"lower bound"}
    assert "log of the rows" in ESTIMATORS["infonce"].nature.ceiling
