import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.synthetic import xor


def rectangle(n: int, seed: int = 0):
    """Y is whether x lies in a corner, with a tenth of the answers wrong: a tree's own."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, 4))
    y = ((x[:, 0] > 0.5) & (x[:, 1] > 0.4)).astype(int)
    flip = rng.random(n) < 0.1
    p = 0.3
    marginal = p * 0.9 + (1 - p) * 0.1

    def entropy(q):
        return -q * np.log(q) - (1 - q) * np.log(1 - q)

    return x, np.where(flip, 1 - y, y), entropy(marginal) - entropy(0.1)


@pytest.mark.parametrize("name", ["random_forest", "boosting"])
def test_corners_are_theirs(name):
    x, y, nats = rectangle(1500)
    estimate = ESTIMATORS[name].estimate(x, y)
    assert estimate.nats == pytest.approx(nats, abs=0.05)


@pytest.mark.parametrize("name", ["random_forest", "boosting"])
def test_many_dimensions_are_turned_first(name):
    known = xor(1500, 60, seed=1)
    estimate = ESTIMATORS[name].estimate(known.x, known.y)
    assert estimate.nats > 0.3
    assert estimate.ci[0] < known.nats
