"""Truths of continuous tasks against closed forms and integrals found another way."""

import numpy as np
import pytest
from scipy.stats import norm

from mi_probe.synthetic import (
    additive_uniform,
    dense_normals,
    even_function,
    gaussian_pair,
    low_rank,
    mapped,
    paired_normals,
    rolled,
    staircase,
    student_pair,
)
from mi_probe.synthetic.maps import MAPS, spiral, swiss_roll


def from_covariance(x: np.ndarray, y: np.ndarray) -> float:
    """I(X;Y) in nats of the Gaussian with the rows' covariance."""
    both = np.cov(np.concatenate([x, y], 1).T)
    k = x.shape[1]
    parts = both[:k, :k], both[k:, k:], both
    a, b, c = (np.linalg.slogdet(part)[1] for part in parts)
    return 0.5 * (a + b - c)


@pytest.mark.parametrize(
    "known",
    [
        gaussian_pair(200_000, 2, 0.7),
        paired_normals(200_000, 4, 3, np.array([0.8, 0.3])),
        dense_normals(200_000, 3, 2),
        staircase(200_000, 6.0, d=3),
        low_rank(200_000, 5, rank=2),
        low_rank(200_000, 5, rank=2, kind="noisy", noise=1.5),
    ],
    ids=["pair", "pairs", "dense", "stairs", "low rank", "noisy low rank"],
)
def test_normal_truths_are_those_of_the_rows_covariance(known):
    assert known.nats == pytest.approx(from_covariance(known.x, known.y), abs=0.015)


def test_dense_normal_in_closed_form():
    # det of the k x k matrix with 1 and r is (1 - r)^(k-1) (1 + (k-1) r).
    def log_det(k):
        return (k - 1) * np.log(0.5) + np.log1p((k - 1) * 0.5)

    truth = 0.5 * (2 * log_det(25) - log_det(50))
    assert dense_normals(100, 25, 25).nats == pytest.approx(truth, abs=1e-10)


def test_bivariate_cauchy_in_closed_form():
    assert student_pair(100, 1, 1, 1).nats == pytest.approx(np.log(8 * np.pi) - 3)


def test_many_degrees_of_freedom_are_normal_and_independent():
    assert student_pair(100, 3, 3, 1e6).nats == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("noise", [0.1, 0.5, 0.75])
def test_additive_noise_by_integration(noise):
    y = np.linspace(-noise, 1 + noise, 400_001)[1:-1]
    density = (np.minimum(y + noise, 1) - np.maximum(y - noise, 0)) / (2 * noise)
    entropy = -np.trapezoid(density * np.log(density), y)
    truth = entropy - np.log(2 * noise)
    assert additive_uniform(100, noise).nats == pytest.approx(truth, abs=1e-4)


def test_square_by_a_grid_over_both():
    x, y = np.linspace(-6, 6, 1001), np.linspace(-3, 30, 2001)
    joint = norm.pdf(x)[:, None] * norm.pdf(y, (x**2)[:, None], 0.5)
    joint /= joint.sum()
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    kept = joint > 1e-300
    truth = (joint[kept] * np.log(joint[kept] / alone[kept])).sum()
    known = even_function(100_000, noise=0.5)
    assert known.nats == pytest.approx(truth, abs=1e-3)
    assert abs(np.corrcoef(known.x[:, 0], known.y[:, 0])[0, 1]) < 0.05


@pytest.mark.parametrize(
    "known",
    [
        paired_normals(100_000, 3, 3, np.array([0.8, 0.8])),
        dense_normals(100_000, 5, 5),
        student_pair(100_000, 2, 3, 1),
        additive_uniform(100_000, 0.75),
        even_function(100_000),
        staircase(100_000, 10.0),
    ],
    ids=["pairs", "dense", "student", "uniform", "square", "stairs"],
)
def test_pointwise_values_average_to_the_truth(known):
    stderr = known.pointwise.std() / np.sqrt(len(known.pointwise))
    assert known.sample_nats == pytest.approx(known.nats, abs=4 * stderr)


@pytest.mark.parametrize("name", [name for name in MAPS if name != "spiral"])
def test_maps_of_one_coordinate_rise(name):
    axis = np.linspace(-5, 5, 10_001)[:, None]
    for of_one in MAPS[name]:
        assert (np.diff(of_one(axis)[:, 0]) > 0).all()


def test_spiral_turns_and_can_be_turned_back():
    x = np.random.default_rng(0).normal(size=(50, 3))
    turned = spiral(1)(x)
    np.testing.assert_allclose((turned**2).sum(1), (x**2).sum(1))
    angle = (x**2).sum(1) / 3
    back = np.cos(angle) * turned[:, 1] + np.sin(angle) * turned[:, 2]
    np.testing.assert_allclose(back, x[:, 1])
    np.testing.assert_array_equal(turned[:, 0], x[:, 0])
    assert not np.allclose(turned, x)


def test_swiss_roll_never_meets_itself():
    roll = swiss_roll(np.linspace(0, 1, 4_001)[:, None])
    assert (np.diff(np.hypot(*roll.T)) > 0).all()


def test_maps_keep_information_and_pointwise_values():
    plain = gaussian_pair(100, 1, 0.75, seed=4)
    changed = mapped(plain, "normal cdf", "wiggly")
    assert changed.nats == plain.nats
    assert changed.pointwise is plain.pointwise
    assert not np.allclose(changed.x, plain.x)
    assert rolled(plain).x.shape == (100, 2)
    assert staircase(50, 4.0, cubed=True).y == pytest.approx(staircase(50, 4.0).y ** 3)


def test_low_rank_dependence_lies_in_few_directions_and_not_in_the_others():
    known = low_rank(20_000, 6, rank=2, kind="even", noise=0.5)
    single = even_function(10).nats
    assert known.nats == pytest.approx(2 * single)
    # Nothing correlates, and yet there is information.
    assert from_covariance(known.x, known.y) < 0.01
    bent = low_rank(50_000, 6, rank=2, kind="non-linear")
    assert bent.nats == low_rank(10, 6, rank=2).nats
    assert from_covariance(bent.x, bent.y) < bent.nats - 0.2
