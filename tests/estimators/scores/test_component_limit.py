"""What is lost in learning components: the whole procedure on halves and on quarters."""

import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import Scores
from mi_probe.estimators.scores.limits import component_limit
from mi_probe.synthetic import gaussian_pair
from mi_probe.synthetic.low_rank import low_rank

AUTO = ESTIMATORS["auto"]


@pytest.mark.slow
def test_the_loss_of_learning_components_is_taken_out():
    known = low_rank(2400, 150, kind="noisy", noise=2.5, seed=0)
    estimate = AUTO.estimate(known.x, known.y)
    found = estimate.extrapolated
    # Normal scores lead the stack, components add to it: the limit is the leading one's.
    assert {fold["start"] for fold in estimate.history} == {"normal scores"}
    assert found.claim == "at_least"
    assert found.nats > estimate.nats + 0.03
    assert abs(found.nats - known.nats) < abs(estimate.nats - known.nats)
    assert found.ci[0] < known.nats < found.ci[1]


def test_a_blur_that_the_curve_cannot_take_out_is_said():
    known = low_rank(1600, 120, kind="non-linear", seed=0)
    estimate = AUTO.estimate(known.x, known.y)
    assert any("components" in fold["start"] for fold in estimate.history)
    assert estimate.nats < known.nats - 0.3
    assert "components" in estimate.extrapolated.reason
    # And yet nearer than what was learned.
    assert estimate.nats + 0.05 < estimate.extrapolated.nats < known.nats + 0.05


def test_few_rows_have_no_curve():
    known = gaussian_pair(300, 3, 0.8)
    zeros = np.zeros(300)
    given = {"independent": True, "held_out": zeros, "learned": zeros}
    split = draw_split(Scores(known.y), 5, 0)
    assert component_limit(known.x, known.y, split, **given) is None
    x = np.argsort(np.argsort(known.x[:, :2], axis=0), axis=0) @ np.array([[1, -1], [1, 1]])
    estimate = AUTO.estimate(x, known.y[:, 0])
    assert estimate.history[0]["start"] == "independent components"
    assert "too few rows" in estimate.extrapolated.reason


def test_components_that_are_not_gaussian_are_doubted():
    known = low_rank(1600, 100, rank=1, kind="noisy", noise=1.0, seed=1)
    split = draw_split(Scores(known.y), 5, 0)
    for x, gaussian in ((known.x, True), (known.x**5, False)):
        zeros = np.zeros(1600)
        given = {"independent": False, "held_out": zeros, "learned": zeros}
        found = component_limit(x, known.y, split, **given)
        assert ("not Gaussian" in found.reason) != gaussian


def test_copies_stay_together_and_what_is_beyond_the_gaussian_is_kept():
    known = gaussian_pair(600, 2, 0.8, seed=1)
    group = np.repeat(np.arange(600), 2)
    split = draw_split(Scores(known.y[group]), 3, 0, group)
    held_out = known.pointwise[group]
    found = component_limit(
        *(known.x[group], known.y[group], split),
        independent=False,
        held_out=held_out,
        learned=held_out + 0.5,
    )
    assert found.curve[-1][1] == pytest.approx(held_out.mean() + 0.5)
    assert found.nats == pytest.approx(known.nats + 0.5, abs=0.12)
