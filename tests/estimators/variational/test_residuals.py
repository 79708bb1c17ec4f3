import math

import pytest
import torch
from torch import nn

from mi_probe import HiddenStates
from mi_probe.estimators.bounds.objectives import OBJECTIVES
from mi_probe.estimators.bounds.training import Schedule, fit_residual
from mi_probe.estimators.bounds.values import Scores, barber_agakov
from mi_probe.estimators.variational.residuals import residual_for


def moved(module: nn.Module) -> nn.Module:
    """The module with random weights everywhere, its zero layers too."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return module


@pytest.fixture
def z() -> HiddenStates:
    generator = torch.Generator().manual_seed(1)
    mask = torch.arange(7)[None] < torch.tensor([[7], [3], [1], [5]])
    return HiddenStates(torch.randn(4, 7, 3, generator=generator), mask)


def test_residuals_start_at_zero(z):
    assert not residual_for(z, torch.arange(4), 2, 8)(z).any()
    x = z.values[:, 0]
    assert not residual_for(x, torch.arange(4), 2, 8)(x).any()


def test_sequence_residual_reads_real_tokens_only(z):
    residual = moved(residual_for(z, torch.arange(4), 2, 8))
    reference = residual(z)
    assert reference.abs().min() > 0
    junk = torch.where(z.mask[..., None], z.values, 1e4)
    assert torch.allclose(residual(HiddenStates(junk, z.mask)), reference, atol=1e-6)
    # The same tokens with holes between them, as when positions of a role are dropped.
    spread = torch.zeros(4, 14, 3)
    holes = torch.zeros(4, 14, dtype=torch.bool)
    spread[:, ::2], holes[:, ::2] = z.values, z.mask
    assert torch.allclose(residual(HiddenStates(spread, holes)), reference, atol=1e-6)


def test_sequence_residual_sees_order(z):
    residual = moved(residual_for(z, torch.arange(4), 2, 8))
    swapped = z.values.clone()
    swapped[0, [0, 1]] = swapped[0, [1, 0]]
    changed = residual(HiddenStates(swapped, z.mask)) - residual(z)
    assert changed[0].abs().max() > 1e-3
    assert changed[1:].abs().max() == 0


def test_batch_mates_do_not_matter(z):
    residual = moved(residual_for(z, torch.arange(4), 2, 8))
    alone = torch.cat([residual(z[[i]]) for i in range(4)])
    assert torch.allclose(alone, residual(z), atol=1e-6)


def fit(x: torch.Tensor, y: torch.Tensor, **settings):
    torch.manual_seed(0)
    residual = residual_for(x, torch.arange(len(x)), 2, 16)
    log_weights = torch.full((2,), math.log(0.5))
    rows = torch.arange(len(x))
    found = fit_residual(
        residual,
        lambda batch: Scores(residual(x[batch]), y[batch], log_weights),
        OBJECTIVES["mine"](0.05),
        barber_agakov,
        rows[: len(x) * 3 // 4],
        rows[len(x) * 3 // 4 :],
        Schedule(**settings),
        torch.Generator().manual_seed(0),
        ceiling=math.log(2),
    )
    return found


def test_training_learns_what_is_there_and_stops():
    x = torch.randn(800, 2, generator=torch.Generator().manual_seed(3))
    y = (x[:, 0] * x[:, 1] > 0).long()
    found = fit(x, y)
    assert found.kept
    assert found.validation[0] == pytest.approx(0, abs=1e-6)
    assert found.validation[found.best_epoch] == max(found.validation) > 0.3
    assert math.isnan(found.train[0])
    assert len(found.train) == len(found.validation)


def test_training_on_noise_keeps_nothing():
    generator = torch.Generator().manual_seed(4)
    kept = 0
    for _ in range(8):
        x = torch.randn(200, 5, generator=generator)
        y = torch.randint(2, (200,), generator=generator)
        found = fit(x, y)
        kept += found.kept
    assert kept <= 3


def test_running_out_of_epochs_is_reported():
    x = torch.randn(800, 2, generator=torch.Generator().manual_seed(3))
    y = (x[:, 0] * x[:, 1] > 0).long()
    found = fit(x, y, max_epochs=2)
    assert found.kept
    assert not found.converged


def test_batches_follow_the_rows():
    schedule = Schedule()
    assert schedule.batches(40) == 1
    assert schedule.batches(6400) == 32
    assert schedule.batches(64_000) == 250
