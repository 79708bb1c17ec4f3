from dataclasses import replace
from html import escape

import numpy as np
import pytest
import torch

from mi_probe import HiddenStates, InputError
from mi_probe.analysis import Gap, Gaps, dpi_gap, nested_gap
from mi_probe.analysis.gap_inputs import check_draws, pooled_views
from mi_probe.estimators import MemberStack, TokenSequences
from mi_probe.estimators.core.targets import as_target
from mi_probe.pooling import pool
from mi_probe.synthetic import mean_sufficient, order

# Quick critics without a network; `auto` in the slow tests.
CLOSED = MemberStack(name="closed", members=("linear", "quadratic"))


@pytest.fixture(scope="module")
def late():
    """Y is in the last token alone; the mean holds a little of it."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=400)
    values = rng.normal(size=(400, 5, 4)).astype(np.float32)
    values[:, -1, 0] += 3 * y
    return HiddenStates(values, np.ones((400, 5), bool)), y


@pytest.fixture(scope="module")
def gaps(late):
    z, y = late
    return dpi_gap(z, y, pooling=["mean", "last", "mean+last"], estimator=CLOSED)


def test_gap_is_the_paired_difference_of_estimates_that_share_folds(late):
    z, y = late
    gap = dpi_gap(z, y, estimator=CLOSED, seed=3)
    assert isinstance(gap, Gap)
    assert float(gap) == gap.nats == pytest.approx(gap.full.nats - gap.pooled.nats)
    assert gap.nats == pytest.approx(gap.pointwise.mean())
    assert np.array_equal(gap.full.fold, gap.pooled.fold)
    # Z_p's critic takes in what Z's says given the mean, and is not worse for it.
    alone = CLOSED.estimate(pool(z, "mean"), y, seed=3)
    assert gap.pooled.nats == pytest.approx(alone.nats, abs=0.02)
    assert np.exp(gap.full.log_posterior).sum(1) == pytest.approx(1)
    # The pair shares its noise: its interval is narrower than either estimate's.
    apart = np.hypot(gap.full.stderr, gap.pooled.stderr)
    assert gap.stderr < apart
    assert gap.nats > 0.2
    assert gap.p_value == pytest.approx(1 / 500)
    assert "A gap is shown" in gap.verdict
    assert "usable information at this capacity" in gap.verdict


def test_the_same_seed_gives_the_same_test(late):
    z, y = late
    told = {"pooling": "last", "estimator": CLOSED, "n_draws": 99}
    one, two = (dpi_gap(z[:100], y[:100], **told) for _ in range(2))
    assert 0 < one.p_value == two.p_value < 1


def test_nothing_is_lost_where_the_last_token_holds_it(gaps):
    gap = gaps["last"]
    assert gap.nats == pytest.approx(0, abs=0.01)
    assert gap.p_value > 0.05
    assert "No gap is shown" in gap.verdict


def test_several_poolings_share_the_full_estimate(gaps):
    assert isinstance(gaps, Gaps)
    assert [gap.pooling for gap in gaps] == ["mean", "last", "mean+last"]
    assert gaps["mean+last"].nats < gaps["mean"].nats
    # A concatenation's critic contains its parts', so it does not fall behind them.
    assert gaps["mean+last"].pooled.nats > gaps["last"].pooled.nats - 0.01
    table = gaps.table()
    assert list(table.pooling) == ["mean", "last", "mean+last"]
    assert table.gap.tolist() == [gap.nats for gap in gaps]
    assert (table.p_holm >= table.p_value).all()
    html = gaps._repr_html_()
    assert "<table" in html
    assert html.count("<p>") == 3
    for heading in ("gap (nats)", "95 % interval", "H(Y) (nats)", "status"):
        assert f"<th>{heading}</th>" in html
    assert escape(gaps.verdict.splitlines()[0]) in html
    with pytest.raises(InputError, match="one of mean, last, mean.last; got 'first'"):
        gaps["first"]


def test_concatenation_is_side_by_side(late):
    z, _ = late
    both = pooled_views(z, "mean+last")
    assert np.array_equal(both[:, :4], pool(z, "mean").double().numpy())
    assert np.array_equal(both[:, 4:], pool(z, "last").double().numpy())


def test_functions_of_your_own_by_name():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 3))
    y = (x[:, 0] + x[:, 1] + 0.5 * rng.normal(size=500) > 0).astype(int)

    def first_column(z):
        return z[:, :1]

    told = {"estimator": CLOSED, "n_draws": 99}
    gaps = dpi_gap(x, y, pooling={"first column": first_column}, **told)
    assert gaps["first column"].nats > 0.1
    assert gaps["first column"].p_value <= 0.01
    plain = dpi_gap(x, y, pooling=first_column, estimator=CLOSED, n_draws=0)
    assert plain.pooling == "first_column"
    scaled = {"all": lambda z: z @ np.diag([1.0, 2.0, 3.0])}
    same = dpi_gap(x, y, pooling=scaled, **told)
    assert abs(same["all"].nats) < 0.01
    assert same["all"].p_value > 0.05


def test_poolings_by_names_of_your_own(late, gaps):
    z, y = late
    own = {"middle": "mean", "mean": lambda z: z.values[:, -1], "both": "mean+last"}
    found = dpi_gap(z, y, pooling=own, estimator=CLOSED, n_draws=0)
    assert [gap.given for gap in found] == ["Z_middle", "Z_mean", "Z_both"]
    # A part of a concatenation is the pooling, whatever else is called so.
    for one, same in zip(found, gaps, strict=True):
        assert one.nats == pytest.approx(same.nats, abs=1e-6)


def test_a_learned_pooling_by_a_name_of_your_own(late):
    z, y = late
    (gap,) = dpi_gap(z, y, pooling={"att": "attention"}, estimator=CLOSED, n_draws=19)
    assert (gap.pooling, gap.given) == ("att", "Z_att")
    assert gap.learned_on > 0


@pytest.mark.slow
def test_nothing_is_found_where_the_mean_is_sufficient_and_bends():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(6):
        values = rng.normal(size=(300, 6, 4)).astype(np.float32)
        mean = np.sqrt(6) * values.mean(1)
        y = (rng.random(300) < 1 / (1 + np.exp(-2 * (mean[:, 0] ** 2 - 1)))).astype(int)
        found.append(dpi_gap(HiddenStates(values, np.ones((300, 6))), y, estimator=CLOSED))
    assert np.mean([gap.nats for gap in found]) < 0.003
    assert sum(gap.shown for gap in found) <= 1
    assert all("would show a gap of" in g.verdict for g in found if not g.shown)


def test_one_tokens_column_is_shown_at_few_rows():
    rng = np.random.default_rng(5)
    values = rng.normal(size=(400, 8, 6)).astype(np.float32)
    y = (rng.random(400) < 1 / (1 + np.exp(-1.2 * values[:, 3, 1]))).astype(int)
    gap = dpi_gap(HiddenStates(values, np.ones((400, 8))), y, estimator=CLOSED)
    assert gap.shown
    assert gap.test.strongest in {"places: 3", "one feature"}
    assert 0.01 < gap.smallest_shown < 0.1
    assert 0.01 < gap.nats < 0.16


@pytest.mark.slow
def test_real_numbers():
    rng = np.random.default_rng(2)
    values = rng.normal(size=(400, 4, 3)).astype(np.float32)
    z = HiddenStates(values, np.ones((400, 4), bool))
    told = values[:, 0, 0] + 0.3 * rng.normal(size=400)
    asked = {"pooling": "mean", "estimator": "mine", "n_draws": 99}
    gap = dpi_gap(z, told, **asked)
    assert gap.p_value <= 0.01
    assert gap.full.entropy_y is None
    assert "% of H(Y)" not in gap.verdict
    kept = values.mean((1, 2)) + 0.1 * rng.normal(size=400)
    assert dpi_gap(z, kept, **asked).p_value > 0.05


def test_noise_changes_the_reading(late, gaps):
    z, y = late
    gap = dpi_gap(z, y, estimator=CLOSED, sigma=0.5, n_draws=0)
    assert gap.reading == "noise-smoothed Shannon information"
    assert gap.nats > 0.05
    # Noise takes from Z and from Z_p; their difference may go either way.
    plain = gaps["mean"]
    assert gap.full.nats < plain.full.nats
    assert gap.pooled.nats < plain.pooled.nats
    assert "noise of 0.5 times" in gap.verdict


def test_no_interval_lies_above_0_where_the_test_shows_nothing(late, monkeypatch):
    asked = {"pooling": "mean", "estimator": CLOSED, "n_draws": 19}
    shown = dpi_gap(*late, **asked)
    assert shown.ci[0] > 0
    draw = nested_gap.randomisation_test
    monkeypatch.setattr(
        nested_gap,
        "randomisation_test",
        lambda *told: replace(draw(*told), p_value=0.06),
    )
    unshown = dpi_gap(*late, **asked)
    assert unshown.ci[0] == 0
    assert unshown.nats == shown.nats
    assert unshown.ci[1] >= shown.nats


def test_no_test_is_said(late):
    z, y = late
    gap = dpi_gap(z, y, estimator=CLOSED, n_draws=0)
    assert gap.p_value is None
    assert np.isnan(gap.table().p_value[0])
    assert "no conditional test was run" in gap.verdict


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "middle"}, "must be of mean, last, first, max.* got 'middle'"),
        ({"pooling": []}, "at least one Z_p; got none"),
        ({"estimator": "guess"}, "estimator must be one of .* got 'guess'"),
        ({"n_draws": -1}, "n_draws must be 0 or more, a whole number; got -1"),
        ({"pooling": lambda z: None}, "must give vectors .* got NoneType"),
        ({"pooling": [lambda z: z.values[:, 0], lambda z: z.values[:, 1]]}, "by a mapping"),
        ({"pooling": {"": "mean"}}, "pooling's names must be words; got ''"),
        ({"sigma": -1.0}, "sigma must be 0 or more"),
        ({"pooling": {"a": np.zeros((400, 2))}}, "conditional.z, y, c."),
        ({"pooling": np.zeros((400, 2))}, "conditional.z, y, c."),
        ({"pooling": lambda z: np.zeros((3, 2))}, "for the 400 rows of z; got"),
        ({"z": np.zeros((400, 2))}, "z must be HiddenStates for a pooling by name"),
    ],
)
def test_wrong_arguments_are_named(late, change, message):
    z, y = late
    arguments = {"z": z, "y": y, "estimator": CLOSED, **change}
    with pytest.raises(InputError, match=message):
        dpi_gap(**arguments)


@pytest.mark.parametrize("n_draws", ["a", 1.5, True, None])
def test_a_number_of_draws_is_whole(n_draws):
    with pytest.raises(InputError, match=f"a whole number; got {n_draws!r}"):
        check_draws(as_target(np.arange(10) % 2), n_draws)


def test_token_sequences_have_no_test(late):
    z, _ = late
    y = TokenSequences(torch.randint(50, (400, 3)), torch.ones(400, 3, dtype=torch.bool))
    with pytest.raises(InputError, match="Pass n_draws=0"):
        dpi_gap(z, y)


@pytest.mark.slow
def test_auto_on_order_and_on_a_sufficient_mean():
    known = order(1000, seed=1)
    gap = dpi_gap(known.x, known.y)
    assert gap.p_value <= 0.01
    assert gap.nats == pytest.approx(np.log(2), abs=0.05)
    known = mean_sufficient(2000, seed=1)
    gap = dpi_gap(known.x, known.y)
    assert abs(gap.nats) < 0.01
    assert gap.full.nats >= gap.pooled.nats - 0.005
    assert "No gap is shown" in gap.verdict
