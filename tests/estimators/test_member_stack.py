import numpy as np
import pytest

from mi_probe import HiddenStates
from mi_probe.errors import InputError
from mi_probe.estimators import MemberStack


def test_named_members_are_all_that_a_stack_is_made_of():
    rng = np.random.default_rng(5)
    y = rng.integers(2, size=300)
    x = rng.normal(size=(300, 3)) * np.where(y, 2.5, 0.5)[:, None]
    z = HiddenStates(np.stack([np.zeros_like(x), x], 1), np.ones((300, 2)))
    for states in (x, z):
        line, square = (
            MemberStack(name="closed", members=members).estimate(states, y)
            for members in (("linear",), ("linear", "quadratic"))
        )
        assert abs(line.nats) < 0.05 or states is z  # the maximum grows with the spread
        assert square.nats > max(0.4, line.nats + 0.1)
        used = {name.split(":")[-1] for fold in square.history for name in fold["members"]}
        assert used <= {"linear", "quadratic"}


@pytest.mark.parametrize("members", [("straight",), ()])
def test_members_that_are_none_are_named(members):
    got = members[0] if members else "none"
    with pytest.raises(InputError, match=f"members must be of linear.*got '{got}'"):
        MemberStack(name="wrong", members=members)


def test_many_classes_are_refused():
    x = np.random.default_rng(0).normal(size=(700, 2))
    with pytest.raises(InputError, match="at most 64 classes for 'closed'.*got 70"):
        MemberStack(name="closed", members=("linear",)).estimate(x, np.arange(700) % 70)
