import numpy as np
import pytest
import torch
from torch import nn

from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.networks import weights_from


def line(n: int, noise: float, seed: int):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 20, generator=generator)
    return x, x[:, :1] + noise * torch.randn(n, 1, generator=generator)


def trained(schedule: Schedule, noise: float = 0.1):
    (x, y), (x_other, y_other) = line(60, noise, 0), line(500, noise, 1)
    with weights_from(np.random.default_rng(0)):
        model = nn.Linear(20, 1)
        start = loss_of(model, x_other, y_other)
        converged = descend(
            model,
            lambda batch: (model(x[batch]) - y[batch]).square()[:, 0],
            60,
            lambda: (model(x_other) - y_other).square()[:, 0],
            schedule,
        )
    return loss_of(model, x_other, y_other), start, converged


@torch.no_grad()
def loss_of(model: nn.Linear, x: torch.Tensor, y: torch.Tensor) -> float:
    return float((model(x) - y).square().mean())


def test_it_learns_and_says_that_it_is_done():
    schedule = Schedule(max_epochs=300, learning_rate=3e-2, clip_norm=10.0)
    loss, start, converged = trained(schedule)
    assert loss < 0.5 * start
    assert converged


def test_too_few_epochs_are_said():
    loss, start, converged = trained(Schedule(max_epochs=3, learning_rate=1e-2))
    assert loss < start
    assert not converged


def test_the_best_weights_for_the_watched_rows_are_kept():
    # 60 rows of 20 columns of pure noise: every step from 0 is overfitting.
    noise = 30.0
    short, start, _ = trained(Schedule(max_epochs=40, learning_rate=3e-1), noise)
    assert short <= start


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = trained(Schedule(max_epochs=5))
    assert torch.equal(before, torch.random.get_rng_state())
    assert trained(Schedule(max_epochs=5)) == pytest.approx(first, abs=0)
