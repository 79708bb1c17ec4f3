"""auto for continuous Y: what its routes find, and what they must not make up."""

import math

import numpy as np
import pytest

from mi_probe.estimators import ESTIMATORS, Auto
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.mine.ensemble import Ensemble
from mi_probe.estimators.models.columns import least_gaussian
from mi_probe.estimators.models.normal_scores import (
    normal_scores,
    tied,
    untied_scores,
    varying,
)
from mi_probe.estimators.scores.canonical import NestedCanonical
from mi_probe.estimators.scores.elliptical import (
    EllipticalRatio,
    Side,
    likeliest_degrees,
)
from mi_probe.estimators.scores.fits import FoldStart, PairStack
from mi_probe.estimators.scores.views import ScoreView, components, score_views
from mi_probe.estimators.starts.started import start_of
from mi_probe.estimators.starts.vector_scores import sampled_terms
from mi_probe.synthetic import gaussian_pair
from mi_probe.synthetic.independence import independent_scores
from mi_probe.synthetic.low_rank import low_rank
from mi_probe.synthetic.zoo import ZOO

AUTO = ESTIMATORS["auto"]


def test_a_gaussian_pair_is_a_lower_bound_near_the_truth():
    known = gaussian_pair(1500, 2, 0.7, seed=1)
    estimate = AUTO.estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=3 * estimate.stderr)
    assert estimate.bound == "lower bound"
    assert {fold["start"] for fold in estimate.history} == {"normal scores"}
    assert estimate.entropy_y is None
    assert estimate.extrapolated.ci[0] < known.nats < estimate.extrapolated.ci[1]


def test_high_information_is_not_cut_off_at_log_n():
    known = gaussian_pair(1500, 20, 0.8, seed=2)
    estimate = AUTO.estimate(known.x, known.y**3)
    assert known.nats > np.log(1500) + 2
    assert estimate.nats == pytest.approx(known.nats, rel=0.05)
    assert estimate.bound == "neither"
    assert estimate.history[0]["route"] == "densities of the copula"


@pytest.mark.parametrize("d", [1, 4, 80])
def test_independence_is_zero_and_inside_the_interval(d):
    known = gaussian_pair(500, d, 0.0, seed=d)
    estimate = AUTO.estimate(known.x, np.sinh(3 * known.y))
    assert abs(estimate.nats) < 0.01
    assert estimate.ci[0] <= 0 <= estimate.ci[1]
    # Of many columns only some dependences are looked for at all.
    assert estimate.extrapolated is not None
    assert estimate.extrapolated.claim == "at_least"
    assert estimate.extrapolated.ci == (0.0, math.inf)
    assert ("nothing was found" in estimate.extrapolated.reason) == (d == 80)


def test_a_pair_that_is_related_by_chance_is_not_learned():
    known = independent_scores(500, 3, 3, seed=1)  # 2.6 standard errors in most folds
    estimate = AUTO.estimate(known.x, known.y, seed=1)
    assert abs(estimate.nats) < 0.01
    assert estimate.ci[0] <= 0 <= estimate.ci[1]


@pytest.mark.slow
def test_radii_that_depend_on_each_other_are_found():
    known = ZOO["student 3x3 2 dof"].draw(2500, seed=1)
    estimate = AUTO.estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.06)
    assert estimate.history[0]["degrees"] in {1.0, 2.0, 3.0}
    assert estimate.extrapolated.claim == "at_least"
    assert "not Gaussian" in estimate.extrapolated.reason


@pytest.mark.slow
def test_what_is_not_monotone_is_found_by_neighbours():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    y = np.sin(4 * x) + 0.1 * rng.normal(size=2000)
    estimate = AUTO.estimate(x, y)
    assert estimate.nats > 1.0
    assert estimate.bound == "neither"
    assert estimate.history[0]["route"] == "nearest neighbours"
    assert estimate.extrapolated.claim == "at_least"
    assert estimate.extrapolated.nats == estimate.nats
    assert estimate.extrapolated.method == "none, as it was learned"


def test_a_product_of_two_of_ten_columns_is_found_by_networks():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1000, 10))
    estimate = AUTO.estimate(x, x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=1000))
    assert all(fold["residual_kept"] for fold in estimate.history)
    assert estimate.nats > 0.6


@pytest.mark.parametrize("n", [150, 400])
def test_wide_states_are_read_as_well_as_by_ridge_regression(n):
    rng = np.random.default_rng(n)
    # Columns of falling variance, turned: like states, few directions hold most of it.
    turn = np.linalg.qr(rng.normal(size=(200, 200)))[0]
    latent = rng.normal(size=(n, 200))
    x = (latent / np.arange(1, 201) ** 0.5) @ turn
    y = latent[:, :30] @ rng.normal(size=30) / 30**0.5 + rng.normal(size=n)
    auto, linear = (ESTIMATORS[name].estimate(x, y) for name in ("auto", "linear"))
    gain = auto.pointwise - linear.pointwise
    assert gain.mean() > -2 * gain.std() / n**0.5
    assert auto.nats > 0.03


def test_where_nothing_is_found_something_may_hide():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 64))
    y = 0.1 * x[:, 0] + rng.normal(size=300)
    estimate = AUTO.estimate(x, y)
    assert abs(estimate.nats) < 0.01
    for low, high in (estimate.ci, estimate.extrapolated.ci):
        assert low <= estimate.nats
        assert high >= estimate.nats + 7.7 / 300 - 1e-12


@pytest.mark.slow
def test_components_of_wide_sides_are_found():
    known = low_rank(1500, 100, kind="noisy", noise=2.0, seed=1)
    estimate = AUTO.estimate(known.x, known.y)
    assert any(fold["starts"] > 1 for fold in estimate.history)
    assert estimate.nats == pytest.approx(known.nats, abs=0.15)
    assert estimate.extrapolated.nats == pytest.approx(known.nats, abs=0.15)


def test_monotone_maps_of_either_side_change_little():
    known = gaussian_pair(400, 2, 0.8)
    plain = AUTO.estimate(known.x, known.y)
    bent = AUTO.estimate(1e6 * np.exp(known.x), known.y**3)
    # Ranks do not change at all; columns as they are, which unmixed ones are of, are bent.
    assert bent.nats == pytest.approx(plain.nats, abs=0.3 * plain.stderr)


def test_equal_and_constant_columns_and_repeated_rows():
    known = gaussian_pair(300, 1, 0.9, seed=3)
    x = np.concatenate([known.x, known.x, np.full((300, 1), 7.0)], axis=1)
    plain = AUTO.estimate(known.x, known.y)
    assert AUTO.estimate(x, known.y).nats == pytest.approx(plain.nats, abs=1e-6)
    assert AUTO.estimate(np.ones((300, 2)), known.y).nats == pytest.approx(0, abs=0.01)
    rows = np.arange(300) // 2
    assert np.isfinite(AUTO.estimate(known.x[rows], known.y[rows]).nats)


def test_a_float_of_few_values_is_a_code_with_a_ceiling():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=400) / 2
    estimate = AUTO.estimate(y[:, None] * 4 + rng.normal(size=(400, 2)), y)
    assert estimate.entropy_y == pytest.approx(np.log(3), abs=0.02)
    assert 0.3 < estimate.nats <= estimate.entropy_y
    assert estimate.history[0]["route"] == "few different values as classes"


def test_counts_are_scores_with_ties():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(800, 2))
    y = np.round(40 * (x[:, 0] + rng.normal(size=800)))
    estimate = AUTO.estimate(x, y)
    assert estimate.entropy_y is None
    assert estimate.nats == pytest.approx(0.5 * np.log(2), abs=0.1)


def test_pairing_inside_a_fold_changes_nothing_that_scores_it():
    known = gaussian_pair(1500, 1, 0.7)
    fold = np.arange(1500) % 4
    y = known.y.copy()
    y[fold == 1] = y[fold == 1][::-1]
    before, after = (score_views(known.x, other, fold)[-1] for other in (known.y, y))
    ratios = [
        list(NestedCanonical(view.x, view.y, fold).starts())[1].ratio
        for view in (before, after)
    ]
    assert before.name == "waves of columns"
    assert np.array_equal(ratios[0].correlations, ratios[1].correlations)


def test_terms_are_infonce_in_chunks():
    known = gaussian_pair(900, 2, 0.8)
    x, y = normal_scores(known.x), normal_scores(known.y)
    fold = np.arange(900) % 3
    start = next(NestedCanonical(x, y, fold).starts())
    train, test = np.flatnonzero(fold), np.flatnonzero(fold == 0)
    view = ScoreView("normal scores", x, y)
    begun = FoldStart(view.name, view, PairStack.alone(start, is_density=True))
    split = Split(fold, np.full(900, TOP), 0)
    critic = Ensemble({}, 0, np.zeros(0), start_of(begun, split, 0))
    found = sampled_terms(critic, test, train)
    own = start.ratio.paired(start.x_test, start.y_test)
    pairs = start.ratio.pairs(start.x_test, start.y_reference)
    expected = own - np.log((np.exp(own) + np.exp(pairs).sum(1)) / 601)
    assert found == pytest.approx(expected, abs=1e-5)
    assert found.max() <= np.log(601)


def test_student_ratio_tends_to_the_gaussian():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50, 3))
    sides = Side(a, (a**2).sum(1)), Side(b, (b**2).sum(1))
    rho = np.array([0.8, 0.3, 0.0])
    near = EllipticalRatio(rho, 1e7, (3, 3))
    assert near.paired(*sides) == pytest.approx(
        EllipticalRatio(rho).paired(*sides), abs=1e-3
    )
    assert near.pairs(*sides).diagonal() == pytest.approx(near.paired(*sides))


def test_degrees_are_those_of_the_sample():
    rng = np.random.default_rng(1)
    normal = rng.normal(size=(4000, 4))
    student = normal / np.sqrt(rng.chisquare(3, size=(4000, 1)) / 3)
    assert likeliest_degrees(normal_scores(student)) == 3
    assert likeliest_degrees(normal_scores(normal)) == np.inf


def test_scores_of_ties():
    column = np.array([[3.0], [1.0], [1.0], [9.0]])
    scores = normal_scores(column)[:, 0]
    assert scores[1] == scores[2] < scores[0] < scores[3]
    untied = untied_scores(column, np.random.default_rng(0))[:, 0]
    assert len(set(untied)) == 4
    assert max(untied[1], untied[2]) < untied[0] < untied[3]
    assert tied(np.repeat(column, 5, axis=0))
    assert not tied(np.arange(30.0)[:, None])


def test_varying_keeps_each_different_column_once():
    x = np.array([[1.0, 5.0, 1.0, 2.0], [2.0, 5.0, 2.0, 0.0], [4.0, 5.0, 4.0, 1.0]])
    assert np.array_equal(varying(x), x[:, [0, 3]])
    assert varying(x[:, 1:2]).shape == (3, 1)


def test_components_do_not_depend_on_one_loud_column():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(500, 1)) * 3
    x = np.concatenate([signal @ np.ones((1, 40)), np.zeros((500, 30))], axis=1)
    x = x + rng.normal(size=x.shape)
    x[:, 69] *= 1e6
    assert abs(np.corrcoef(components(x)[:, 0], signal[:, 0])[0, 1]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("normal 1x1", 0.03),
        ("additive uniform .75", 0.03),
        ("student 5x5 2 dof", 0.04),
        ("spiral 3x3", 0.05),
        ("swiss roll 2x1", 0.03),
        ("spiral of normal cdf 25x25", 0.1),
        ("dense normal 50x50", 0.05),
        ("half-cube 25x25", 0.05),
        ("staircase 8, cubed", 0.2),
        ("low rank 768 noisy", 0.1),
        ("independent scores 768x768 n=500", 0.01),
    ],
)
def test_known_answers(task, error):
    known = ZOO[task].draw(seed=1)
    estimate = AUTO.estimate(known.x, known.y, seed=1)
    assert estimate.nats == pytest.approx(known.nats, abs=error)


def test_without_extrapolation_the_value_is_the_same_and_has_no_limit():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    y = x[:, 0] + rng.normal(size=120)
    plain, bare = (Auto(extrapolate=e).estimate(x, y) for e in (True, False))
    assert plain.extrapolated is not None
    assert bare.extrapolated is None
    assert bare.nats == plain.nats


def test_a_rotation_of_bent_columns_is_undone():
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(3000, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = least_gaussian(latent**3 @ turn)
    matched = np.abs(np.corrcoef(found.T, (latent**3).T)[:3, 3:])
    assert matched.max(1).min() > 0.97
    assert np.cov(found.T, bias=True) == pytest.approx(np.eye(3), abs=1e-4)


def test_gaussian_and_collinear_columns_stay_white():
    x = np.random.default_rng(0).normal(size=(500, 4))
    found = least_gaussian(np.concatenate([x, x[:, :1] + x[:, 1:2]], axis=1))
    assert found.shape == (500, 4)
    assert np.cov(found.T, bias=True) == pytest.approx(np.eye(4), abs=1e-4)


def test_a_gaussian_limit_is_for_gaussian_directions():
    rng = np.random.default_rng(0)
    # Normal margins, of which two directions are not: their signs go together.
    x = np.abs(rng.normal(size=(800, 20))) * rng.choice([-1, 1], size=(800, 1))
    y = x[:, :15] + rng.normal(size=(800, 15))
    found = AUTO.estimate(x, y)
    assert found.extrapolated is not None
    assert found.extrapolated.claim == "at_least"
