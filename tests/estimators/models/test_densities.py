"""Flow, autoencoder and diffusion: what they start as, and what they find."""

import numpy as np
import pytest
import torch

from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.models.densities import ClassCoordinates, context_of
from mi_probe.estimators.models.diffusion import _Denoiser, _integrals, _Levels
from mi_probe.estimators.models.interface import ClassRows, ScoreRows
from mi_probe.estimators.models.vae import _Autoencoder
from mi_probe.synthetic import class_gaussians, gaussian_pair, xor

NEURAL = ("flow", "vae", "diffusion")


@pytest.mark.slow
@pytest.mark.parametrize("name", NEURAL)
def test_a_parity_is_in_the_shape_of_classes(name):
    known = xor(1500, 2, noise=0.4, seed=1)
    estimate = ESTIMATORS[name].estimate(known.x, known.y)
    # A linear discriminant finds nothing here.
    assert estimate.nats > 0.75 * known.nats
    assert estimate.nats < known.nats + 3 * estimate.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "diffusion"])
@pytest.mark.parametrize("k", [1, 2])
def test_pairs_of_numbers(name, k):
    known = gaussian_pair(3000, k, 0.8, seed=1)
    estimate = ESTIMATORS[name].estimate(known.x, known.y)
    assert estimate.nats == pytest.approx(known.nats, abs=0.05 + 2 * estimate.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEURAL)
def test_spreads_of_their_own_are_seen(name):
    known = class_gaussians(2000, 6, 3, separation=1.0, shared_covariance=False, seed=1)
    found = ESTIMATORS[name].estimate(known.x, known.y)
    assert found.nats > ESTIMATORS["lda"].estimate(known.x, known.y).nats + 0.1
    assert found.ci[0] < known.nats


@pytest.mark.slow
@pytest.mark.parametrize("name", NEURAL)
def test_many_dimensions_are_a_low_bound(name):
    known = class_gaussians(1500, 768, 4, separation=4.0, informative=8, seed=1)
    estimate = ESTIMATORS[name].estimate(known.x, known.y)
    assert 0.2 * known.nats < estimate.nats
    assert estimate.ci[0] < known.nats


def test_a_denoiser_starts_as_a_standard_normal():
    torch.manual_seed(0)
    u = torch.randn(40, 2)
    model = _Denoiser(2, 3, 8)
    levels = _Levels.drawn(200, 2)
    with torch.no_grad():
        found = _integrals(model, u, torch.zeros(40, 3), levels)
    differences = found - found.mean()
    squares = 0.5 * u.square().sum(1)
    assert differences.numpy() == pytest.approx(
        (squares - squares.mean()).numpy(), abs=0.05
    )


def test_an_autoencoder_starts_as_a_standard_normal():
    torch.manual_seed(0)
    u, y = torch.randn(40, 3), torch.eye(2)[torch.arange(40) % 2]
    with torch.no_grad():
        found = _Autoencoder(3, 2, 4, 8).bound(u, y, torch.randn(16, 1, 4))
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(u).sum(1)
    assert found.numpy() == pytest.approx(exact.numpy(), abs=1e-4)


def test_classes_lie_around_their_means():
    rng = np.random.default_rng(0)
    y = np.arange(600) % 3
    x = rng.normal(size=(600, 4)) * [1, 5, 0.1, 1] + 3 * np.eye(3, 4)[y]
    rows = ClassRows.of(x, y, 4)
    coordinates = ClassCoordinates.of(rows, 8)
    own, classes = coordinates.own(rows)
    assert own.mean(0).numpy() == pytest.approx(0, abs=0.05)
    assert own.std(0).numpy() == pytest.approx(1, abs=0.25)
    assert classes.shape == (600, 4)
    # A class without rows stands at the centre of all.
    assert coordinates.means[3] == pytest.approx(0)


def test_the_context_is_x_or_a_few_numbers_of_it():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 40))
    y = x[:, 3:4] + 0.1 * rng.normal(size=(300, 1))
    small = ScoreRows(x[:, :5], y)
    assert torch.equal(context_of(small, 16)(x[:, :5]), torch.as_tensor(x[:, :5]).float())
    found = context_of(ScoreRows(x, y), 16)(x).numpy()
    assert found.shape == (300, 17)
    assert np.corrcoef(found[:, 0], y[:, 0])[0, 1] > 0.9
