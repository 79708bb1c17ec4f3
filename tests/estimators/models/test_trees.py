"""Boosted trees as a member of the stack, and the axes that they cut."""

import numpy as np
import pytest
from scipy.special import log_softmax

from mi_probe.estimators import ESTIMATORS, Auto
from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import Classes, as_target
from mi_probe.estimators.engine.auto import cross_fits
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.sample import Shared
from mi_probe.estimators.engine.stack import stacked
from mi_probe.estimators.models.classifiers import fit_trees
from mi_probe.estimators.models.columns import INDEPENDENT_LIMIT, independent_axes, whitened
from mi_probe.synthetic import checkerboard, class_gaussians, xor


def test_independent_axes_are_the_sources_of_a_rotated_square():
    rng = np.random.default_rng(0)
    sources = rng.uniform(-1, 1, size=(4000, 2))
    turned = sources @ np.linalg.qr(rng.normal(size=(2, 2)))[0]
    found = np.corrcoef(sources.T, independent_axes(whitened(turned)[0]).T)[:2, 2:]
    assert np.abs(found).max(1) == pytest.approx([1, 1], abs=0.01)
    # Whitening alone leaves them mixed.
    mixed = np.corrcoef(sources.T, whitened(turned)[0].T)[:2, 2:]
    assert np.abs(mixed).max() < 0.99


@pytest.mark.parametrize("shape", [(4000, 1), (4000, INDEPENDENT_LIMIT + 1), (60, 5)])
def test_no_independent_axes_where_none_can_be_found(shape):
    u = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert independent_axes(u).shape == (len(u), 0)


def test_rounds_are_a_path_and_edges_are_found():
    rng = np.random.default_rng(0)
    z = rng.uniform(size=(3000, 2)).astype(np.float32)
    y = (np.floor(z * 4).sum(1) % 2).astype(np.int64)
    rows, rest = np.arange(2000), np.arange(2000, 3000)
    prior = np.log([0.5, 0.5])
    fits = fit_trees(z[rows], y[rows], prior, [3, 60], 0)
    few, many = (
        log_softmax(predict(z[rest]), axis=1)[np.arange(1000), y[rest]] for predict in fits
    )
    assert many.mean() > few.mean() + 0.1
    assert many.mean() > -0.15


def test_a_class_without_rows_keeps_its_prior():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 2)).astype(np.float32)
    prior = np.log([0.6, 0.3, 0.1])
    two, one = np.arange(200) % 2, np.zeros(200, dtype=np.int64)
    q = log_softmax(fit_trees(z, two, prior, [5], 0)[0](z), axis=1)
    assert q[:, 2] == pytest.approx(np.full(200, np.log(0.1)), abs=1e-6)
    q = log_softmax(fit_trees(z, one, prior, [5], 0)[0](z), axis=1)
    assert q == pytest.approx(np.tile(prior, (200, 1)), abs=1e-6)


def test_trees_are_tried_with_few_classes_in_few_dimensions():
    def path(d: int, c: int) -> list[dict[str, float]]:
        u = np.zeros((10, d), dtype=np.float32)
        return MEMBERS["trees"].path(Shared(u, np.zeros(10, dtype=np.int64), c))

    assert [p["rounds"] for p in path(64, 2)] == [10, 25, 60]
    assert [p["rounds"] for p in path(2, 3)] == [10, 25]
    assert path(65, 2) == path(2, 5) == []


def test_means_alone_do_not_call_trees_or_mixtures():
    known = class_gaussians(1000, 3, 2, separation=2.0, seed=0)
    history = Auto().estimate(known.x, known.y).history
    # A pilot on a quarter of the rows may be mistaken once, and then they count little.
    called = [{"x:trees", "x:mixtures"} & set(fold["members"]) for fold in history]
    assert sum(map(bool, called)) <= 1
    for fold, names in zip(history, called, strict=True):
        assert all(fold["weights"][name] < 0.05 for name in names)


def test_no_label_of_the_held_out_fold_reaches_trees_or_their_pilot():
    known = checkerboard(1500, 2, seed=0)
    target = as_target(known.y)
    split = draw_split(target, 5, 0)
    fold = split.fold
    changed = Classes(np.where(fold == 3, 1 - target.index, target.index), target.names)
    before, after = (
        stacked(cross_fits(known.x, y, split, "cpu"), y, split, 2, 3)
        for y in (target, changed)
    )
    assert "x:trees" in before.record["members"]
    assert np.array_equal(before.test, after.test)
    assert before.record == after.record


@pytest.mark.slow
@pytest.mark.parametrize(("flips", "most"), [(0.0, 0.02), (0.2, 0.045)])
def test_a_turned_checkerboard_is_read_by_trees(flips, most):
    known = checkerboard(10_000, 2, flips=flips, seed=0)
    estimate = Auto().estimate(known.x, known.y)
    assert -most < estimate.nats - known.nats < 0
    assert np.mean([h["weights"]["x:trees"] for h in estimate.history]) > 0.2


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
