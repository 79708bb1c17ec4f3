import numpy as np
import pytest

from mi_probe import HiddenStates, InputError
from mi_probe.analysis import conditional
from mi_probe.estimators import Auto

AUTO = Auto(extrapolate=False)
N = 1500


def beside(effect: float, copied: bool, seed: int = 0):
    """Y of a column of C and one of Z; Z may hold a noisy copy of C too."""
    rng = np.random.default_rng(seed)
    c, z = rng.normal(size=(N, 2)), rng.normal(size=(N, 4))
    y = (rng.random(N) < 1 / (1 + np.exp(-1.5 * c[:, 0] - effect * z[:, 0]))).astype(int)
    if copied:
        z[:, 1:3] = c + 0.5 * z[:, 1:3]
    return z, y, c


def test_planted_information_beside_c_is_found():
    # By quadrature over z: E H(Y|C) - E H(Y|Z,C) of these logits.
    z, y, c = beside(2.0, True)
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()
    logits = 1.5 * nodes[:, None] + 2.0 * nodes

    def entropy(p):
        return -p * np.log(p) - (1 - p) * np.log1p(-p)

    p = np.clip(1 / (1 + np.exp(-logits)), 1e-12, 1 - 1e-12)
    truth = weights @ (entropy(p @ weights) - entropy(p) @ weights)
    gap = conditional(z, y, c, estimator=AUTO)
    assert gap.nats == pytest.approx(truth, abs=0.04)
    assert gap.ci[0] < truth < gap.ci[1]
    assert gap.p_value <= 0.01
    assert gap.shown
    assert "I(Y;Z|C) is at least" in gap.verdict
    assert "pooling" not in gap.verdict


@pytest.mark.slow
def test_a_noisy_copy_of_c_tells_nothing_beyond_it():
    z, y, c = beside(0.0, True)
    assert AUTO.estimate(z, y).nats > 0.05
    gap = conditional(z, y, c, estimator=AUTO)
    assert not gap.shown
    assert gap.ci[0] <= 0
    assert gap.nats < 0.005


@pytest.mark.slow
def test_an_effect_that_turns_with_c_is_found():
    rng = np.random.default_rng(1)
    c = rng.integers(2, size=600)
    z = rng.normal(size=(600, 2))
    y = ((2 * c - 1) * z[:, 0] + 0.5 * rng.normal(size=600) > 0).astype(int)
    gap = conditional(z, y, c, estimator=AUTO, name="kind")
    assert gap.shown
    assert gap.ci[0] > 0.15
    assert "I(Y;Z|kind)" in gap.verdict


@pytest.mark.slow
def test_states_given_vectors_and_groups():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(300, 4, 3)).astype(np.float32)
    z = HiddenStates(values, np.ones((300, 4), bool))
    c = rng.normal(size=300)
    y = (values[:, 1, 0] + c + 0.4 * rng.normal(size=300) > 0).astype(int)
    gap = conditional(z, y, c, estimator=AUTO, groups=np.arange(300) // 3, n_draws=99)
    assert gap.shown
    assert gap.pooled.split.units == 100
    # What is given holds all: nothing is left.
    again = conditional(values[:, 1], y, np.c_[c, values[:, 1, 0]], estimator=AUTO)
    assert again.nats < 0.01
    assert not again.shown


@pytest.mark.slow
def test_real_numbers_given_c():
    rng = np.random.default_rng(3)
    c, z = rng.normal(size=(2, 500, 2))
    told = c[:, 0] + 0.5 * z[:, 0] + 0.5 * rng.normal(size=500)
    gap = conditional(z, told, c, estimator=AUTO, n_draws=99)
    # Gaussian: half the log of variance 0.5 over 0.25.
    assert gap.nats == pytest.approx(0.5 * np.log(2), abs=0.08)
    assert gap.p_value <= 0.01
    noise = c[:, 0] ** 2 + rng.normal(size=500)
    nothing = conditional(z, noise, c, estimator=AUTO, n_draws=99)
    assert nothing.ci[0] <= 0
    assert not nothing.shown


@pytest.mark.parametrize(
    ("c", "message"),
    [
        (np.zeros((10, 2)), "c must hold one row for each of the 1500 rows"),
        (np.arange(N), "at most 256 different codes; got 1500"),
        (np.array(["a"] * N), "c must be numbers"),
        (np.full((N, 1), np.nan), "c must be finite"),
    ],
)
def test_wrong_c_is_named(c, message):
    z, y, _ = beside(1.0, False)
    with pytest.raises(InputError, match=message):
        conditional(z, y, c)
