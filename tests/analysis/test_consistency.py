import numpy as np
import pytest

from mi_probe import HiddenStates, InputError
from mi_probe.analysis import consistency
from mi_probe.estimators import MemberStack
from mi_probe.synthetic import class_gaussians, gaussian_pair

CLOSED = MemberStack(name="closed", members=("linear", "quadratic"))
TESTS = ["independence", "data processing, g(X)", "data processing, noise", "additivity"]


class Contradictory(MemberStack):
    """An estimator that looks at X only where it has more than three columns."""

    def estimate(self, x, y, *, groups=None, seed=0):
        return super().estimate(x if x.shape[1] > 3 else 0 * x, y, seed=seed)


@pytest.mark.slow
def test_classes_hold():
    known = class_gaussians(1000, 3, 2, separation=2.0, seed=1)
    table = consistency(known.x, known.y, estimator=CLOSED)
    assert table.test.tolist() == TESTS
    assert table.holds.all()
    assert table.expected[3] == pytest.approx(2 * table.expected[1])
    assert table.got[3] == pytest.approx(2 * known.nats, abs=0.1)
    assert abs(table.got[0]) < 0.01


def test_a_contradiction_is_seen():
    known = class_gaussians(800, 3, 2, separation=3.0, seed=1)
    table = consistency(
        known.x,
        known.y,
        estimator=Contradictory(name="contradictory", members=("linear", "quadratic")),
    )
    assert table.set_index("test").holds.to_dict()["data processing, g(X)"] is False


def test_sequences_and_scores():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    values = rng.normal(size=(400, 3, 2)).astype(np.float32)
    values[..., 0] += y[:, None]
    z = HiddenStates(values, np.ones((400, 3)))
    # Poolings alone hardly tell the tokens of two pairs apart, so the last is left open.
    table = consistency(z, y, estimator=CLOSED)
    assert table.test.tolist() == TESTS
    assert table.holds[:3].all()
    known = gaussian_pair(600, 1, 0.7)
    table = consistency(known.x, known.y, estimator="gaussian")
    assert table.holds.all()
    assert table.ratio[3] == pytest.approx(1, abs=0.1)


def test_product_of_rare_classes_is_left_out():
    known = class_gaussians(120, 3, 10)
    assert consistency(known.x, known.y, estimator=CLOSED).test.tolist() == TESTS[:3]


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match="estimator must be one of .* got 'guess'"):
        consistency(np.zeros((20, 2)), np.arange(20) % 2, estimator="guess")
