"""Learned poolings: what they keep, and that no measured row has taught them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mi_probe.analysis import capacity_ladder, dpi_gap
from mi_probe.analysis.ladders import RUNGS
from mi_probe.analysis.learned_pooling import check_pooling, taught
from mi_probe.errors import InputError
from mi_probe.estimators.core.split import Blocks
from mi_probe.estimators.core.targets import as_target
from mi_probe.hidden import HiddenStates
from mi_probe.synthetic import needle, order

CLOSED = replace(RUNGS["linear on views"], name="closed")


def test_attention_keeps_a_needle_that_the_mean_loses():
    known = needle(360, t=8, d=5, seed=1)
    gaps = dpi_gap(
        *(known.x, known.y),
        pooling=["mean", "attention"],
        estimator=CLOSED,
        n_draws=99,
        seed=1,
    )
    assert [gap.pooling for gap in gaps] == ["mean", "attention"]
    assert [len(gap.pointwise) for gap in gaps] == [360, 240]
    assert [gap.learned_on for gap in gaps] == [0, 120]
    assert gaps["mean"].pooled.nats < 0.5
    assert gaps["attention"].pooled.nats == pytest.approx(known.nats, abs=0.05)
    assert gaps["attention"].nats < 0.05
    assert "Z_attention was learned from 120 other rows" in gaps["attention"].verdict
    assert "learned from" not in gaps["mean"].verdict


@pytest.mark.slow
def test_a_concatenation_is_of_the_same_rows_and_holds_its_parts():
    known = order(240, t=6, d=4, vary=False, seed=0)
    told = {"estimator": CLOSED, "n_draws": 0, "seed": 0}
    names = ["last+attention", "mean", "attention"]
    gaps = dpi_gap(known.x, known.y, pooling=names, **told)
    assert [gap.pooling for gap in gaps] == names
    assert [gap.learned_on for gap in gaps] == [80, 0, 80]
    both, alone = gaps["last+attention"], gaps["attention"]
    assert both.pooled.nats > alone.pooled.nats - 0.03
    assert alone.nats == dpi_gap(known.x, known.y, pooling="attention", **told).nats


def test_weights_tell_an_order_by_where_tokens_stand():
    known = order(600, t=8, d=4, vary=False, seed=0)
    part = taught(known.x, as_target(known.y), ["attention"], groups=None, seed=0)
    x = {name: part.view(name) for name in ("mean", "attention", "mean+attention")}
    assert np.array_equal(
        np.concatenate([x["mean"], x["attention"]], axis=1), x["mean+attention"]
    )
    nats = {name: CLOSED.estimate(x[name], part.y).nats for name in ("mean", "attention")}
    assert nats["mean"] < 0.05
    assert nats["attention"] > 0.15


def test_no_measured_row_teaches():
    """Y and states of measured rows may be anything: the pooling is the same."""
    known = needle(90, t=6, d=5, seed=0)
    z, y = known.x, np.asarray(known.y)
    group = np.arange(90) // 3
    one = taught(z, as_target(y), ["attention"], groups=group, seed=3)
    left = np.asarray(one.groups)
    assert len(left) == 60
    assert set(np.unique(left, return_counts=True)[1]) == {3}
    measured = np.isin(group, left)
    values = z.values.clone()
    values[torch.as_tensor(measured)] *= 5.0
    other = taught(
        *(replace_values(z, values), as_target(y), ["attention"]), groups=group, seed=3
    )
    probe = z[:10]
    pooled = one.poolings["attention"](probe)
    assert torch.equal(pooled, other.poolings["attention"](probe))
    # Pads may hold anything, and the vector is a weighted mean of the real tokens.
    spoilt = probe.values.masked_fill(~probe.mask[..., None], float("nan"))
    again = one.poolings["attention"](replace_values(probe, spoilt))
    assert torch.equal(pooled, again)
    low = probe.values.masked_fill(~probe.mask[..., None], torch.inf).amin(1)
    high = probe.values.masked_fill(~probe.mask[..., None], -torch.inf).amax(1)
    assert ((pooled >= low - 1e-4) & (pooled <= high + 1e-4)).all()


def replace_values(z, values):
    return HiddenStates(values, z.mask)


def test_ordered_rows_teach_from_the_first_ones_and_leave_blocks():
    rng = np.random.default_rng(0)
    z = HiddenStates(rng.normal(size=(180, 4, 3)), np.ones((180, 4)))
    y = rng.integers(2, size=180)
    part = taught(z, as_target(y), ["attention4"], groups=Blocks(30), seed=0)
    assert part.learned_on == 60
    assert torch.equal(part.z.values[-1], z.values[-1])
    # One block is left out between each two thirds.
    assert len(part.z) == 180 - 60 - 2 * 6
    assert part.groups == Blocks(18)
    assert part.view("attention4").shape == (108, 12)


def test_scores_teach_too():
    """Y is the first token's first column, which the mean of eight hides."""
    rng = np.random.default_rng(0)
    z = HiddenStates(rng.normal(size=(600, 8, 3)), np.ones((600, 8)))
    y = z.values[:, 0, 0].numpy() + 0.3 * rng.normal(size=600)
    part = taught(z, as_target(y), ["attention"], groups=None, seed=0)
    kept = np.corrcoef(part.view("attention")[:, 0], np.asarray(part.y)[:, 0])[0, 1]
    assert kept > 0.8
    assert np.corrcoef(part.view("mean")[:, 0], np.asarray(part.y)[:, 0])[0, 1] < 0.5


def test_the_ladder_takes_a_learned_pooling():
    known = needle(300, t=8, d=5, seed=0)
    rungs = {"linear on views": RUNGS["linear on views"]}
    ladder = capacity_ladder(known.x, known.y, pooling="attention", rungs=rungs)
    assert ladder.table.pooled[0] > 1.2


def test_what_cannot_be_learned_is_named():
    known = needle(60, t=6, d=5, seed=0)
    with pytest.raises(
        InputError, match=r"pooling must be of mean, .*attention4; got 'head'"
    ):
        dpi_gap(known.x, known.y, pooling="mean+head")
    answers = [[i, i + 1] for i in range(60)]
    with pytest.raises(InputError, match="a learned pooling takes classes"):
        dpi_gap(known.x, answers, pooling="attention", estimator="mine", n_draws=0)
    with pytest.raises(InputError, match="groups must number at least 6"):
        dpi_gap(known.x, known.y, pooling="attention", groups=np.arange(60) // 20)
    check_pooling("attention+last")
