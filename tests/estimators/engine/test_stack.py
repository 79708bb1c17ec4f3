"""The stack for classes: what it finds, what it may see, and what it hands on."""

import json
import math

import numpy as np
import pytest
import torch

from mi_probe.estimators import Auto
from mi_probe.estimators.core.split import draw_split
from mi_probe.estimators.core.targets import Classes, as_target
from mi_probe.estimators.engine.auto import cross_fits
from mi_probe.estimators.engine.network import Problem, train_networks
from mi_probe.estimators.engine.stack import held_out_terms, stacked
from mi_probe.estimators.models.columns import views_of_vectors, whitened
from mi_probe.estimators.models.directions import second_order, third_order
from mi_probe.synthetic import class_gaussians, independent, xor


def test_whitened_coordinates_have_unit_covariance_and_no_empty_directions():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3)) * 1e6 + 1e7
    u = whitened(np.concatenate([x, x[:, :1], np.full((4000, 1), 7.0)], axis=1))[0]
    assert u.shape == (4000, 3)
    assert np.cov(u.T) == pytest.approx(np.eye(3), abs=0.01)
    assert whitened(rng.normal(size=(30, 200)))[0].shape == (30, 29)
    assert whitened(np.ones((30, 2)))[0].shape == (30, 0)


def test_heavy_tails_get_a_second_view():
    rng = np.random.default_rng(0)
    assert list(dict(views_of_vectors(rng.normal(size=(500, 3))))) == ["x"]
    views = dict(views_of_vectors(rng.standard_cauchy(size=(500, 3))))
    assert list(views) == ["x", "squashed x"]
    assert np.abs(views["squashed x"]).max() < 15


def test_moments_find_the_parity_of_two_and_of_three_signs():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(4000, 20)).astype(np.float32)
    u[:, :3] = rng.choice([-1, 1], size=(4000, 3)) + 0.2 * u[:, :3]
    u[:, :3] /= np.sqrt(1.04)
    pair = (u[:, :2].prod(1) > 0).astype(np.int64)
    triple = (u[:, :3].prod(1) > 0).astype(np.int64)
    found = second_order(u, pair, 2)[:, :2]
    assert (found[:2] ** 2).sum() == pytest.approx(2, abs=0.1)
    found = third_order(u, triple, 2, 3)
    assert (found[:3] ** 2).sum() == pytest.approx(3, abs=0.15)


def test_a_stack_of_networks_is_a_loop_over_them():
    rng = np.random.default_rng(0)
    u = torch.as_tensor(rng.normal(size=(300, 20)), dtype=torch.float32)
    y = torch.as_tensor(rng.integers(3, size=300))
    problems = [
        Problem(
            rng.permutation(300)[:200],
            np.linalg.qr(rng.normal(size=(20, 4)))[0],
            np.log(np.ones(3) / 3),
            seed,
        )
        for seed in range(3)
    ]
    together = train_networks(u, y, problems)
    rows = np.arange(300)
    for number, problem in enumerate(problems):
        alone = train_networks(u, y, [problem])
        for place in range(3):
            assert together.scores(u, rows, number, place) == pytest.approx(
                alone.scores(u, rows, 0, place), abs=2e-3
            )


def test_no_label_of_the_held_out_fold_reaches_its_scores():
    known = class_gaussians(300, 5, 3, separation=2.0)
    target = as_target(known.y)
    split = draw_split(target, 5, 0)
    fold = split.fold
    before = stacked(cross_fits(known.x, target, split, "cpu"), target, split, 2, 3)
    index = target.index.copy()
    index[fold == 3] = (index[fold == 3] + 1) % 3
    changed = Classes(index, target.names)
    after = stacked(cross_fits(known.x, changed, split, "cpu"), changed, split, 2, 3)
    assert np.array_equal(before.test, after.test)
    assert before.record == after.record


def test_knowing_nothing_is_worth_exactly_nothing():
    log_prior = np.log([0.9, 0.1])
    terms = held_out_terms(np.full((5, 2), 0.3), np.array([0, 1, 0, 1, 0]), log_prior)
    assert terms == pytest.approx(np.zeros(5), abs=1e-12)
    sure = held_out_terms(np.array([[50.0, 0.0]]), np.array([0]), log_prior)
    assert sure == pytest.approx(-np.log([0.9]))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d", "c"), [(500, 20, 2), (500, 300, 3), (2000, 5, 4)])
def test_independence_is_zero_and_its_intervals_hold_zero(n, d, c):
    for seed in range(2):
        known = independent(n, d, c, seed=seed)
        estimate = Auto().estimate(known.x, known.y, seed=seed)
        assert abs(estimate.nats) < 0.01
        assert estimate.ci[0] <= 0 <= estimate.ci[1]
        assert estimate.extrapolated is not None
        assert abs(estimate.extrapolated.nats) < 0.01
        assert estimate.extrapolated.ci[0] <= 0 <= estimate.extrapolated.ci[1]


def test_nothing_found_is_at_least_and_says_where_pairs_would_drown():
    known = independent(400, 300, 2, seed=0)
    found = Auto().estimate(known.x, known.y).extrapolated
    assert found is not None
    assert found.claim == "at_least"
    assert "would hide a dependence on pairs" in found.reason
    known = independent(2000, 10, 2, seed=0)
    found = Auto().estimate(known.x, known.y).extrapolated
    assert found is not None
    assert (found.claim, found.ci) == ("at_least", (0.0, math.inf))
    assert "would hide" not in found.reason


def test_hints_give_the_same_answer_from_fewer_members():
    known = xor(1500, 6, seed=1)
    first = Auto().estimate(known.x, known.y)
    assert json.loads(json.dumps(first.history)) == list(first.history)
    again = Auto().estimate(known.x, known.y, hints=first.history)
    assert again.nats == pytest.approx(first.nats, abs=0.01)
    assert len(again.history[0]["members"]) < len(first.history[0]["members"])


def test_hints_of_more_coordinates_serve_fewer():
    # Paths are as long as the coordinates are many, which few rows may change by layer.
    rng = np.random.default_rng(2)
    y = np.arange(24) % 2
    wide = rng.normal(size=(24, 20)) * (1 + 2 * y[:, None])
    first = Auto(extrapolate=False).estimate(wide, y)
    told = first.history[0]["members"]["x:quadratic"]
    narrow = wide[:, :2]
    later = [
        {**h, "weights": {**h["weights"], "x:quadratic": 1.0}}
        | {"members": {"x:quadratic": {**told, "place": 11, "temperature": 1.0}}}
        for h in first.history
    ]
    found = Auto(extrapolate=False).estimate(narrow, y, hints=later)
    assert list(found.history[0]["members"]) == ["x:quadratic"]
    assert found.history[0]["members"]["x:quadratic"]["width"] == 2


@pytest.mark.parametrize(("n", "d"), [(10, 3), (13, 2), (30, 200)])
def test_a_handful_of_rows_gives_a_number_without_a_curve(n, d):
    rng = np.random.default_rng(0)
    estimate = Auto().estimate(rng.normal(size=(n, d)), np.arange(n) % 3)
    assert estimate.status == "too_few_rows"
    assert estimate.ci[0] < estimate.nats < estimate.ci[1]
    assert estimate.extrapolated is None
    rows = np.arange(40)
    more = Auto().estimate(rng.normal(size=(40, d)), rows % 3).extrapolated
    assert more is not None
    assert len(more.curve) == 3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "known",
    [
        lambda seed: class_gaussians(10_000, 2, 5, separation=3.0, seed=seed),
        lambda seed: class_gaussians(
            10_000, 16, 3, separation=1.0, shared_covariance=False, seed=seed
        ),
        lambda seed: xor(10_000, 64, seed=seed),
        lambda seed: xor(10_000, 64, signs=3, seed=seed),
    ],
)
def test_known_answers_up_to_64_dimensions(known, seed):
    known = known(seed)
    estimate = Auto().estimate(known.x, known.y, seed=seed)
    assert estimate.nats == pytest.approx(known.nats, abs=0.015 + 2 * estimate.stderr)
    assert estimate.extrapolated is not None
    assert estimate.extrapolated.nats == pytest.approx(
        known.nats, abs=0.015 + 2 * estimate.stderr
    )


@pytest.mark.slow
def test_768_dimensions_are_bound_and_extrapolated():
    known = class_gaussians(10_000, 768, 4, separation=3.0, seed=1)
    estimate = Auto().estimate(known.x, known.y)
    assert -0.13 < estimate.nats - known.nats < 0
    assert estimate.extrapolated is not None
    assert estimate.extrapolated.ci[0] <= known.nats
    assert estimate.extrapolated.nats == pytest.approx(known.nats, abs=0.03)


@pytest.mark.slow
def test_parity_in_768_dimensions_is_found_or_flagged():
    known = xor(10_000, 768, noise=0.4, seed=1)
    estimate = Auto().estimate(known.x, known.y)
    assert estimate.ci[0] < known.nats
    assert estimate.extrapolated is not None
    assert estimate.extrapolated.claim == "at_least"
    assert estimate.extrapolated.ci[0] < known.nats
