import math

import pytest
import torch
from torch import nn

from mi_probe.estimators.critic.training import Fit, Schedule, descend


def fit(x: torch.Tensor, y: torch.Tensor, **settings) -> Fit:
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(x.shape[1], 16), nn.GELU(), nn.Linear(16, 2))
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
        network[2].weight.zero_()
        network[2].bias.zero_()
    loss = nn.CrossEntropyLoss(reduction="none")
    learned = len(x) * 3 // 4
    return descend(
        network,
        lambda batch: loss(network(x[batch]), y[batch]),
        learned,
        lambda: loss(network(x[learned:]), y[learned:]),
        Schedule(**settings),
        generator,
    )


@pytest.fixture
def product() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(800, 2, generator=torch.Generator().manual_seed(3))
    return x, (x[:, 0] * x[:, 1] > 0).long()


def test_training_learns_what_is_there_and_stops(product):
    found = fit(*product, learning_rate=2e-2)
    assert found.kept
    assert found.validation[0] == pytest.approx(-math.log(2), abs=1e-6)
    assert found.validation[found.best_epoch] == max(found.validation)
    assert max(found.validation) > 0.3 - math.log(2)
    assert math.isnan(found.train[0])
    assert len(found.train) == len(found.validation)


def test_training_on_noise_keeps_nothing():
    generator = torch.Generator().manual_seed(4)
    kept = 0
    for _ in range(8):
        x = torch.randn(200, 5, generator=generator)
        kept += fit(x, torch.randint(2, (200,), generator=generator)).kept
    assert kept <= 3


def test_running_out_of_epochs_is_reported(product):
    found = fit(*product, max_epochs=2, learning_rate=2e-2)
    assert not found.converged


def test_batches_follow_the_rows():
    schedule = Schedule()
    assert schedule.batches(40) == 1
    assert schedule.batches(6400) == 32
    assert schedule.batches(64_000) == 250
