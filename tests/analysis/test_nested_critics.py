import numpy as np
import pytest

from mi_probe.analysis.nested_critics import CrossFit
from mi_probe.analysis.regressions import GivenC, few_columns, ridge_predictions
from mi_probe.estimators import Auto
from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import as_target

N = 1200


@pytest.fixture(scope="module")
def copied():
    """Y of c alone, and z a noisy copy of c, with the exact q(y|z) and I(Y;Z)."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=N)
    y = (rng.random(N) < 1 / (1 + np.exp(-3 * c))).astype(int)
    z = c + rng.normal(size=N)
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    # c given z is normal about z/2, of variance 1/2.
    inside = 1 / (1 + np.exp(-3 * (z[:, None] / 2 + np.sqrt(0.5) * nodes)))
    p = inside @ (weights / weights.sum())
    return c, z, y, np.log(np.stack([1 - p, p], axis=1))


def crossed(y):
    split = draw_split(as_target(y), 5, 0)
    log_prior = np.log(np.bincount(y) / len(y))
    prior = np.broadcast_to(log_prior, (5, len(y), 2)).copy()
    return CrossFit(split, y), prior


def gain(fits, offset, evidence):
    whole, _ = fits.on_top(offset, evidence)
    rows = np.arange(len(fits.y))
    more = fits.held_out(whole) - fits.held_out(offset)
    return more[rows, fits.y].mean()


def test_nothing_is_found_in_nothing_however_wrong_the_critic_of_c(copied):
    c, z, y, log_q = copied
    fits, prior = crossed(y)
    critic = np.broadcast_to(log_q, (5, N, 2))
    given = GivenC(c[:, None], np.random.default_rng(1))
    # The offset knows nothing of c, so the plain evidence of z mends it.
    plain = gain(fits, prior, {"critic": [critic]})
    told = (log_q - prior[0])[np.arange(N), y].mean()
    assert plain == pytest.approx(told, abs=0.02)
    assert plain > 0.1
    centred = fits.centred(prior, critic, given)
    assert gain(fits, prior, {"critic": [centred]}) < 0.003
    block = given.removed(np.stack([z, z**2], axis=1))
    assert gain(fits, prior, {"z": fits.linear(prior, block, few=False)}) < 0.003


def test_the_log_prior_gives_plain_information(copied):
    _, z, y, log_q = copied
    fits, prior = crossed(y)
    told = (log_q - prior[0])[np.arange(N), y].mean()
    block = np.stack([z, np.random.default_rng(2).normal(size=N)], axis=1)
    for few in (False, True):
        found = gain(fits, prior, {"z": fits.linear(prior, block, few=few)})
        assert found == pytest.approx(told, abs=0.03)


def test_the_critic_of_c_takes_in_what_the_critic_of_z_says_given_c(copied):
    c, _, y, log_q = copied
    fits, prior = crossed(y)
    given = GivenC(c[:, None], np.random.default_rng(1))
    critic = np.broadcast_to(log_q, (5, N, 2))
    better = fits.held_out(fits.averaged(prior, [critic], given))
    rows = np.arange(N)
    more = (better - prior[0])[rows, y].mean()
    # The average over z given c is a function of c, and tells more than z does.
    assert more > (log_q - prior[0])[rows, y].mean()


def test_inner_posteriors_are_held_out_where_they_say_so(copied):
    _, z, y, _ = copied
    found = Auto(extrapolate=False).estimate(z[:300, None], y[:300])
    assert found.inner.shape == (5, 300, 2)
    own = found.inner[found.fold, np.arange(300)]
    assert own == pytest.approx(found.log_posterior, abs=1e-4)
    assert np.exp(found.inner).sum(2) == pytest.approx(1, abs=1e-4)


def test_regressions_are_those_of_least_squares():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 4))
    y = x @ np.array([[1.0], [0.0], [-2.0], [0.0]]) + 0.1 * rng.normal(size=(60, 1))
    rows = np.arange(40)
    exact = x @ np.linalg.lstsq(x[rows], y[rows], rcond=None)[0]
    (said,) = ridge_predictions(x, rows, [y[rows]], (1e-12,))
    assert said[0] == pytest.approx(exact, abs=1e-6)
    # More features than rows: the other Gram matrix gives the same.
    wide = np.concatenate([x, 0.1 * rng.normal(size=(60, 80))], axis=1)
    ridge = 0.5 * (wide[rows] ** 2).sum() / 40
    gram = wide[rows].T @ wide[rows] + ridge * np.eye(84)
    (said,) = ridge_predictions(wide, rows, [y[rows]], (0.5,))
    assert said[0] == pytest.approx(
        wide @ np.linalg.solve(gram, wide[rows].T @ y[rows]), abs=1e-6
    )
    one, two = few_columns(x, rows, y[rows], (1, 2))
    assert np.corrcoef(one[:, 0], x[:, 2])[0, 1] == pytest.approx(-1)
    best = x[:, [2, 0]] @ np.linalg.lstsq(x[rows][:, [2, 0]], y[rows], rcond=None)[0]
    assert two == pytest.approx(best)
