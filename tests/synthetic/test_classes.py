"""Truths of class tasks against numeric integration over a grid."""

import numpy as np
import pytest
from scipy.special import gammaln, ndtri
from scipy.stats import multivariate_normal, norm, t

from mi_probe.synthetic import (
    checkerboard,
    class_gaussians,
    class_mixtures,
    heavy_tailed_classes,
    quantised,
    rings,
    spirals,
    xor,
)
from mi_probe.synthetic.class_source import from_densities, known_classes, skewed_prior

N = 2_000


def integrated(joint: np.ndarray, cell: float) -> float:
    """I(Y;X) in nats of p(x, y) on a grid: (points, classes) and a cell's volume."""
    joint = joint / (joint.sum() * cell)
    x, y = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True) * cell
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = joint * np.log(joint / (x * y))
    return float(np.nansum(terms) * cell)


def test_two_signs():
    axis = np.linspace(-4, 4, 801)
    a, b = (norm.pdf(axis, mean, 0.8) for mean in (-1, 1))
    odd = np.outer(a, b) + np.outer(b, a)
    even = np.outer(a, a) + np.outer(b, b)
    truth = integrated(np.stack([odd.ravel(), even.ravel()], 1), 0.01**2)
    known = xor(N, 5, noise=0.8)
    assert known.nats == pytest.approx(truth, abs=5 * known.stderr)


def test_three_signs_are_parity():
    clean = xor(N, 3, signs=3, noise=0.05)
    assert clean.nats == pytest.approx(np.log(2), abs=1e-6)
    # Parity is not the majority: any two signs tell nothing of it.
    assert xor(N, 3, signs=3, noise=0.8).nats < xor(N, 3, signs=2, noise=0.8).nats


@pytest.mark.parametrize(("shared", "ratio"), [(True, 1.0), (False, 20.0)])
def test_gaussian_classes_in_one_dimension(shared, ratio):
    known = class_gaussians(
        200_000, 1, 3, separation=3.0, shared_covariance=shared, prior_ratio=ratio, seed=3
    )
    # The classes' moments are learned from the rows; the integral uses only these.
    axis = np.linspace(-15, 15, 6001)
    joint = [
        (known.y == c).mean() * norm.pdf(axis, known.x[known.y == c].mean(), sd)
        for c, sd in enumerate(known.x[known.y == c].std() for c in range(3))
    ]
    assert known.nats == pytest.approx(integrated(np.stack(joint, 1), 0.005), abs=0.006)
    assert np.bincount(known.y)[0] / np.bincount(known.y)[2] == pytest.approx(
        ratio, rel=0.2
    )


def test_informative_dimensions_and_rotation_keep_the_truth():
    narrow = class_gaussians(N, 4, 3, separation=2.0, seed=1)
    wide = class_gaussians(N, 40, 3, separation=2.0, informative=4, seed=1)
    assert wide.nats == narrow.nats
    assert wide.x.shape == (N, 40)


def test_heavy_tails_in_one_dimension():
    known = heavy_tailed_classes(N, 1, 2, dof=1.0, seed=2)
    places = np.random.default_rng(2).normal(size=(2, 1)) * 3.0 / np.sqrt(2)
    # Equal probability of a Cauchy about 0 in each cell, so that tails are not cut.
    edges = t.ppf(np.linspace(0, 1, 200_001), 1)
    joint = np.stack([np.diff(t.cdf(edges, 1, loc=place[0])) for place in places], 1)
    assert known.nats == pytest.approx(integrated(joint, 1.0), abs=5 * known.stderr)


def test_mixtures():
    known = class_mixtures(N, 2, 2, parts=2, seed=5)
    centres = 3.0 * np.random.default_rng(5).normal(size=(2, 2, 2))
    axis = np.arange(-15, 15, 0.05)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    joint = np.stack(
        [sum(multivariate_normal.pdf(grid, part) for part in c) for c in centres], 1
    )
    assert known.nats == pytest.approx(integrated(joint, 0.05**2), abs=5 * known.stderr)


def test_rings_are_told_by_their_radius():
    known = rings(N, 2, noise=0.4)
    radius = np.linspace(0, 6, 6001)
    joint = np.stack(
        [norm.pdf(radius, r, 0.4) + norm.pdf(-radius, r, 0.4) for r in (1, 2, 3)], 1
    )
    assert known.nats == pytest.approx(integrated(joint, 0.001), abs=5 * known.stderr)


@pytest.mark.slow
def test_spirals_by_a_histogram_of_many_rows():
    known = spirals(400_000, 2, noise=0.4, seed=0)
    # The rotation of the plane does not matter to a fine histogram.
    edges = np.linspace(-6, 6, 101)
    joint = np.stack(
        [np.histogram2d(*known.x[known.y == c].T, bins=(edges, edges))[0] for c in (0, 1)],
        -1,
    ).reshape(-1, 2)
    # Miller and Madow: a plug-in value is high by the occupied cells over 2n.
    bias = ((joint.sum(1) > 0).sum() - 1) / (2 * len(known.y))
    # Cells are a quarter of the noise wide, which smooths a little away.
    assert known.nats == pytest.approx(integrated(joint, 1.0) - bias, abs=0.01)


@pytest.mark.parametrize("flips", [0.0, 0.2])
def test_checkerboard_in_closed_form(flips):
    known = checkerboard(N, 2, flips=flips)
    p = flips / 2
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p) if p else 0.0
    assert known.nats == pytest.approx(np.log(2) - entropy, abs=1e-9)


def test_quantised_scores():
    known = quantised(N, 3, 4, correlation=0.8)
    x = np.linspace(-8, 8, 4001)
    edges = np.concatenate([[-np.inf], ndtri([0.25, 0.5, 0.75]), [np.inf]])
    given = norm.cdf((edges - 0.8 * x[:, None]) / 0.6)
    joint = norm.pdf(x)[:, None] * np.diff(given, axis=1)
    assert known.nats == pytest.approx(integrated(joint, 0.004), abs=5 * known.stderr)


def test_truth_of_a_source_is_the_mean_of_its_pointwise_values():
    constant = gammaln(1.0)

    def draw(rng, y):
        return 2.0 * y[:, None] + rng.normal(size=(len(y), 1))

    def log_density(x):
        return constant - 0.5 * (x - 2.0 * np.arange(2)) ** 2

    source = from_densities(skewed_prior(2, 3.0), draw, log_density)
    known = known_classes(source, 100_000, 1, seed=0)
    assert known.sample_nats == pytest.approx(known.nats, abs=0.01)
    assert skewed_prior(2, 3.0).tolist() == [0.75, 0.25]
