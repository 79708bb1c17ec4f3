"""Every task of the zoo can be drawn and agrees with its own pointwise truth."""

import numpy as np
import pytest

from mi_probe.hidden import HiddenStates
from mi_probe.synthetic import GROUPS, ZOO


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_rows_are_drawn_and_agree_with_the_truth(name):
    task = ZOO[name]
    known = task.draw(400, seed=3)
    assert len(known.x) == len(known.y) == 400
    if isinstance(known.x, HiddenStates):
        assert known.x.values.isfinite().all()
        assert all(-1e-9 <= v <= known.nats + 0.01 for v in known.pooled_nats.values())
        assert {"mean", "first", "last"} <= set(known.pooled_nats)
    else:
        assert known.x.ndim == 2
        assert np.isfinite(known.x).all()
    classes = np.issubdtype(known.y.dtype, np.integer)
    assert classes or (known.y.ndim == 2 and np.isfinite(known.y).all())
    assert known.stderr < 0.01
    if known.pointwise is not None:
        spread = known.pointwise.std(ddof=1) / np.sqrt(400)
        assert abs(known.sample_nats - known.nats) < 5 * spread + 0.01


def test_groups_are_described_and_used():
    assert {task.group for task in ZOO.values()} == set(GROUPS)


def test_a_task_is_drawn_with_its_own_number_of_rows():
    task = ZOO["independent classes d=768 c=4 n=500"]
    known = task.draw()
    assert len(known.y) == 500
    assert known.nats == 0.0
