import numpy as np
import pytest

from mi_probe import HiddenStates, InputError
from mi_probe.analysis import planted
from mi_probe.analysis.self_test import self_test
from mi_probe.estimators import ESTIMATORS, Auto, MemberStack

CLOSED = MemberStack(name="closed", members=("linear", "quadratic"))


@pytest.mark.parametrize("task", [planted.means, planted.variances, planted.parity])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_vectors_hold_what_is_asked(task, share):
    nats = share * np.log(2)
    known = task(6000, (3,), 2, nats, np.random.default_rng(0))
    assert known.x.shape == (6000, 3)
    assert known.nats == nats
    found = ESTIMATORS["qda"].estimate(known.x, known.y)
    # Quadratic discriminants are the very model of means and variances; two signs' product
    # is a difference of covariances, which they read in part.
    low = nats - 0.03 if task is not planted.parity else 0.7 * nats - 0.01
    assert low < found.nats < nats + 0.03


@pytest.mark.slow
def test_sequences_hold_what_is_asked():
    rng, auto = np.random.default_rng(1), Auto(extrapolate=False)
    known = planted.means(4000, (5, 4), 3, 0.5, rng)
    assert isinstance(known.x, HiddenStates)
    assert auto.estimate(known.x, known.y).nats == pytest.approx(0.5, abs=0.04)
    known = planted.marker_order(4000, (6, 4), 2, 0.5, rng)
    mean = known.x.values.mean(1).numpy()
    assert auto.estimate(mean, known.y).nats == pytest.approx(0, abs=0.01)
    known = planted.needle(2000, (1, 6), 4, 1.0, rng)
    assert auto.estimate(known.x, known.y).nats == pytest.approx(1.0, abs=0.05)


def test_scores_hold_what_is_asked():
    rng = np.random.default_rng(2)
    known = planted.linear_scores(20_000, (3,), 2, 0.8, rng)
    both = np.cov(np.concatenate([known.x, known.y], axis=1).T)
    dets = [np.linalg.slogdet(m)[1] for m in (both[:3, :3], both[3:, 3:], both)]
    assert 0.5 * (dets[0] + dets[1] - dets[2]) == pytest.approx(0.8, abs=0.02)
    known = planted.even_scores(20_000, (2,), 1, 0.8, rng)
    assert abs(np.corrcoef(known.x.T, known.y.T)[:2, 2]).max() < 0.03
    # In the coordinates it was drawn in, the square of a direction tells it.
    directions = np.linspace(0, np.pi, 60, endpoint=False)
    axes = np.stack([np.cos(directions), np.sin(directions)])
    told = [np.corrcoef(np.abs(u), known.y[:, 0])[0, 1] for u in (known.x @ axes).T]
    assert max(told) > 0.8


def test_table_and_sentence():
    result = self_test(CLOSED, n=400, shape=(3,), n_classes=2, levels=(0.5,), seed=1)
    table = result.table
    assert table.dependence.tolist() == ["none", "means", "variances", "parity"]
    assert table.true.tolist() == pytest.approx([0, *[0.5 * np.log(2)] * 3])
    assert abs(table.nats[0]) < 0.02
    assert table.recovered[1] == pytest.approx(1, abs=0.25)
    assert result.sentence.startswith("At n = 400, d = 3, K = 2, closed says")
    assert "of 0.35 nats in means" in result.sentence
    again = self_test(CLOSED, n=400, shape=(3,), n_classes=2, levels=(0.5,), seed=1)
    assert again.table.nats.tolist() == table.nats.tolist()
    assert "<table" in result._repr_html_()


@pytest.mark.slow
def test_more_classes_leave_out_what_has_two():
    result = self_test(CLOSED, n=200, shape=(3, 4), n_classes=3, levels=(0.5,))
    assert result.table.dependence.tolist() == [
        "none",
        "means of all tokens",
        "one marked token",
    ]


def test_scores_by_an_estimator_that_takes_them():
    result = self_test(
        "mine", n=200, shape=(2,), n_classes=1, y_kind="scores", levels=(0.5,)
    )
    assert result.table.dependence.tolist() == ["none", "linear", "even"]
    assert result.table.nats[1] > 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (1,)}, r"shape must be .* got \(1,\)"),
        ({"n_classes": 1}, r"n_classes must lie in 2 \.\.\. 100"),
        ({"levels": (1.0,)}, "levels must be shares of H"),
        ({"estimator": "guess"}, "estimator must be one of .* got 'guess'"),
    ],
)
def test_wrong_arguments_are_named(change, message):
    arguments = {"estimator": CLOSED, "n": 200, "shape": (3,), **change}
    with pytest.raises(InputError, match=message):
        self_test(**arguments)
