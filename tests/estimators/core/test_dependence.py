"""Rows that know one another are flagged; independent rows of many shapes are not."""

import numpy as np
import pytest
from scipy.signal import lfilter

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.core.dependence import dependence_of
from mi_probe.estimators.core.split import Blocks
from mi_probe.estimators.core.targets import as_target

REPEATS = 25


def gaussians(rng, n=600, d=64):
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, d))
    x[:, 0] += 2 * y
    return x, y


def heavy_tails(rng):
    x = rng.standard_t(2, size=(600, 5))
    return x, (x[:, 0] > 0).astype(int)


def parts(rng):
    centres, part = 4 * rng.normal(size=(8, 10)), rng.integers(0, 8, 600)
    return centres[part] + rng.normal(size=(600, 10)), rng.integers(0, 2, 8)[part]


def latent(rng):
    z = rng.normal(size=(600, 6))
    x = np.tanh(z @ rng.normal(size=(6, 300))) + 0.3 * rng.normal(size=(600, 300))
    return x, (z[:, 0] > 0).astype(int)


def rings(rng):
    y, angle = rng.integers(0, 2, 600), rng.uniform(0, 2 * np.pi, 600)
    x = (1 + y)[:, None] * np.c_[np.cos(angle), np.sin(angle)]
    return x + 0.05 * rng.normal(size=(600, 2)), y


def signs(rng):
    x = rng.integers(0, 2, (600, 6)).astype(float)
    return x, x[:, 0].astype(int)


def by_class(rng):
    x, y = gaussians(rng)
    order = np.argsort(y, kind="stable")
    return x[order], y[order]


def by_score(rng):
    x = rng.normal(size=(600, 20))
    y = np.exp(x[:, 0]) + 0.3 * rng.normal(size=600)
    return x[np.argsort(y)], np.sort(y)


def near_copies(rng, d=576, spread=0.3):
    x, y = rng.normal(size=(300, d)), rng.integers(0, 2, 300)
    order = rng.permutation(600)
    return np.concatenate([x, x + spread * rng.normal(size=x.shape)])[order], np.r_[y, y][
        order
    ]


def hardly_differ(rng):
    return near_copies(rng, d=32, spread=1e-6)


def speakers(rng):
    who = rng.permutation(np.repeat(np.arange(60), 10))
    x = rng.normal(size=(60, 200))[who] + rng.normal(size=(600, 200))
    return x, rng.integers(0, 2, 60)[who]


def drift(rng, d=16):
    slow = lfilter([0.2], [1, -0.98], rng.normal(size=(600, d + 1)), axis=0)
    return slow[:, :d], (slow[:, d] > np.median(slow[:, d])).astype(int)


def ramp(rng):
    """A weak trend of two columns of 64, and of the classes: no two rows look alike."""
    x, time = rng.normal(size=(600, 64)), np.linspace(-1, 1, 600)
    x[:, :2] += time[:, None]
    return x, (time + 0.7 * rng.normal(size=600) > 0).astype(int)


def own_spreads_by_class(rng):
    y = np.sort(rng.integers(0, 3, 600))
    return (1 + y)[:, None] * rng.normal(size=(600, 12)), y


def all_of_x_is_y(rng):
    y = np.sort(rng.integers(0, 4, 600))
    return np.eye(4)[y] + 1e-9, y


def kinds(make):
    found = []
    for seed in range(REPEATS):
        x, y = make(np.random.default_rng(seed))
        found.append([sign.kind for sign in dependence_of(x, as_target(y))])
    return found


@pytest.mark.parametrize(
    "make",
    [
        gaussians,
        heavy_tails,
        parts,
        latent,
        rings,
        signs,
        by_class,
        by_score,
        own_spreads_by_class,
        all_of_x_is_y,
    ],
)
def test_independent_rows_are_not_flagged(make):
    flagged = [bool({"near copies", "order"} & set(one)) for one in kinds(make)]
    assert np.mean(flagged) <= 0.04


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (near_copies, "near copies"),
        (hardly_differ, "near copies"),
        (speakers, "clusters"),
        (drift, "order"),
        (ramp, "order"),
    ],
)
def test_rows_that_know_one_another_are_named(make, kind):
    assert np.mean([kind in one for one in kinds(make)]) >= 0.95


def test_the_flag_is_a_status_and_named_groups_lift_it():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 64)), rng.integers(0, 2, 150)
    x = np.concatenate([x, x + 0.1 * rng.normal(size=x.shape)])
    y, pair = np.r_[y, y], np.r_[:150, :150]
    alone = ESTIMATORS["lda"].estimate(x, y)
    assert alone.status == "dependent_rows"
    assert "--group-column" in alone.notes[0]
    assert alone.nats > 0.03
    grouped = ESTIMATORS["lda"].estimate(x, y, groups=pair)
    assert (grouped.status, grouped.notes) == ("ok", ())
    assert grouped.ci[0] < 0 < grouped.ci[1] + 0.01
    assert grouped.nats < 0.01


def test_drift_in_blocks_says_nothing_of_nothing():
    x, y = drift(np.random.default_rng(1))
    assert ESTIMATORS["lda"].estimate(x, y).nats > 0.1
    found = ESTIMATORS["lda"].estimate(x, y, groups=Blocks(20))
    assert found.status == "ok"
    assert found.nats < 0.05
    assert len(found.pointwise) == 600 - 4 * 30
