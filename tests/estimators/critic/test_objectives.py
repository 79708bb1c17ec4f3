import math

import pytest
import torch
from torch.nn.functional import softplus

from mi_probe.estimators.critic.bounds import (
    OBJECTIVES,
    Scores,
    barber_agakov,
    donsker_varadhan,
)
from tests.estimators.critic.test_bounds import random_scores


def gradient(objective, scores: Scores) -> torch.Tensor:
    values = scores.values.clone().requires_grad_()
    objective(Scores(values, scores.joint, scores.log_weights)).backward()
    assert values.grad is not None
    return values.grad


def test_moving_average_gives_the_plain_gradient_on_its_first_batch():
    scores = random_scores()
    plain = gradient(lambda s: donsker_varadhan(s).mean(), scores)
    assert torch.allclose(gradient(OBJECTIVES["mine"](0.1), scores), plain)


def test_moving_average_divides_by_the_average_of_batches():
    first, second = random_scores(1), random_scores(2)
    objective = OBJECTIVES["mine"](0.25)
    gradient(objective, first)
    found = gradient(objective, second)

    def mean(scores: Scores) -> torch.Tensor:
        return scores.log_partition.exp().mean()

    average = 0.75 * mean(first) + 0.25 * mean(second)
    expected = gradient(lambda s: s.paired.mean() - mean(s) / average, second)
    assert torch.allclose(found, expected)
    assert not torch.allclose(found, gradient(OBJECTIVES["mine"](0.25), second))


def exact_population() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A joint of 4 x and 3 y, its marginal of y, and its log density ratio."""
    generator = torch.Generator().manual_seed(2)
    joint = torch.rand(4, 3, generator=generator, dtype=torch.float64)
    joint /= joint.sum()
    p_y = joint.sum(0)
    return joint, p_y, torch.log(joint / (joint.sum(1, keepdim=True) * p_y))


# MINE's denominator is of a batch, not of one row: the tests above are its.
@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"mine"}))
def test_the_log_density_ratio_is_the_optimum(name):
    joint, p_y, optimum = exact_population()
    # Every pair once, each weighted by its probability: no sampling noise.
    x, y = torch.cartesian_prod(torch.arange(4), torch.arange(3)).T
    share = joint[x, y] * len(x)

    def loss(critic: torch.Tensor) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float64)
        for x_i, y_i, weight in zip(x, y, share, strict=True):
            one = Scores(critic[x_i][None], y_i[None], p_y.log())
            total = total + weight * OBJECTIVES[name](0.5)(one)
        return total

    critic = optimum.clone().requires_grad_()
    loss(critic).backward()
    assert critic.grad is not None
    assert float(critic.grad.abs().max()) < 1e-9
    wrong = (optimum + 0.5 * torch.eye(4, 3)).requires_grad_()
    loss(wrong).backward()
    assert wrong.grad is not None
    assert float(wrong.grad.abs().max()) > 1e-3


def test_jensen_shannon_is_its_formula():
    scores = random_scores()
    found = OBJECTIVES["jensen_shannon"](0.1)(scores)
    marginal = sum(
        math.exp(float(scores.log_weights[j])) * softplus(scores.values[:, j]).mean()
        for j in range(3)
    )
    assert float(found) == pytest.approx(float(-softplus(-scores.paired).mean() - marginal))


def test_cross_entropy_over_classes_is_info_nce():
    scores = random_scores()
    value = float(barber_agakov(scores).mean())
    assert float(OBJECTIVES["cross_entropy"](0.1)(scores)) == pytest.approx(value)
    assert float(OBJECTIVES["info_nce"](0.1)(scores)) == pytest.approx(value)
