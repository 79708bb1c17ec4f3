import math

import pytest
import torch
from torch import nn

from mi_probe.estimators.critic.training import Schedule, descend

LOSS = nn.CrossEntropyLoss(reduction="none")


def fit(x: torch.Tensor, y: torch.Tensor, **settings) -> tuple[float, float, bool]:
    """The watched loss before and after, and whether training converged."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(x.shape[1], 16), nn.GELU(), nn.Linear(16, 2))
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
        network[2].weight.zero_()
        network[2].bias.zero_()
    learned = len(x) * 3 // 4

    def watched() -> torch.Tensor:
        return LOSS(network(x[learned:]), y[learned:])

    before = float(watched().mean().detach())
    converged = descend(
        network,
        lambda batch: LOSS(network(x[batch]), y[batch]),
        learned,
        watched,
        Schedule(**settings),
        generator,
    )
    return before, float(watched().mean().detach()), converged


@pytest.fixture
def product() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(800, 2, generator=torch.Generator().manual_seed(3))
    return x, (x[:, 0] * x[:, 1] > 0).long()


def test_training_learns_what_is_there_and_stops(product):
    before, after, _ = fit(*product, learning_rate=2e-2)
    assert before == pytest.approx(math.log(2), abs=1e-6)
    assert after < math.log(2) - 0.3


def test_the_watched_rows_never_end_worse_than_they_began():
    generator = torch.Generator().manual_seed(4)
    for _ in range(8):
        x = torch.randn(200, 5, generator=generator)
        before, after, _ = fit(x, torch.randint(2, (200,), generator=generator))
        assert after <= before + 1e-6


def test_running_out_of_epochs_is_reported(product):
    assert not fit(*product, max_epochs=2, learning_rate=2e-2)[2]


def test_batches_follow_the_rows():
    schedule = Schedule()
    assert schedule.batches(40) == 1
    assert schedule.batches(6400) == 32
    assert schedule.batches(64_000) == 250
