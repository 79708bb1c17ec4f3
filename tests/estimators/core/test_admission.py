"""A wrong seed, and Y that is a function of X: a clear error, a flagged number."""

import numpy as np
import pytest
import torch

from mi_probe import HiddenStates
from mi_probe.analysis import dpi_gap
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.core.admission import check_seed

X = np.random.default_rng(0).normal(size=(200, 2))


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_a_seed_that_is_none_is_refused(seed):
    with pytest.raises(InputError, match=f"seed must be a whole number.*{seed!r}"):
        check_seed(seed)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_refuses_a_negative_seed(name):
    y = X[:, 0] if "scores" in ESTIMATORS[name].nature.takes else (X[:, 0] > 0).astype(int)
    with pytest.raises(InputError, match="seed must be a whole number"):
        ESTIMATORS[name].estimate(X, y, seed=-1)


def test_the_gap_refuses_a_negative_seed_and_no_pooling():
    z = HiddenStates(torch.from_numpy(X[:, None]), torch.ones(200, 1, dtype=torch.bool))
    y = (X[:, 0] > 0).astype(int)
    with pytest.raises(InputError, match="seed must be"):
        dpi_gap(z, y, sigma=0.1, seed=-1)
    with pytest.raises(InputError, match="pooling must name"):
        dpi_gap(z, y, pooling=[])


@pytest.mark.parametrize("name", ["auto", "gaussian", "ksg"])
@pytest.mark.parametrize("function", [lambda x: x, lambda x: 1 - 2 * x, np.exp])
def test_a_function_of_x_is_flagged_and_its_interval_is_not_empty(name, function):
    found = ESTIMATORS[name].estimate(X[:, :1], function(X[:, 0]))
    assert found.status == "saturated"
    assert found.ci[0] < found.nats - 0.01
    assert found.extrapolated is None or found.extrapolated.claim == "at_least"


def test_a_lot_of_information_is_not_flagged():
    y = X[:, 0] + 0.1 * np.random.default_rng(1).normal(size=200)
    for name in ("auto", "gaussian", "ksg"):
        assert ESTIMATORS[name].estimate(X[:, :1], y).status == "ok", name
