import math

import numpy as np
import pytest
import torch

from mi_probe.estimators.bounds import (
    OBJECTIVES,
    Scores,
    barber_agakov,
    donsker_varadhan,
)

BOUNDS = [donsker_varadhan, barber_agakov]


def binary_channel(n: int, flip: float, seed: int = 0) -> tuple[Scores, float]:
    """Y through a binary symmetric channel, scored by the optimal critic."""
    rng = np.random.default_rng(seed)
    x = rng.integers(2, size=n)
    y = np.where(rng.random(n) < flip, 1 - x, x)
    critic = torch.log(2 * torch.tensor([[1 - flip, flip], [flip, 1 - flip]]))
    truth = math.log(2) + flip * math.log(flip) + (1 - flip) * math.log(1 - flip)
    log_weights = torch.full((2,), math.log(0.5))
    return Scores(critic[x], torch.from_numpy(y), log_weights), truth


def random_scores(seed: int = 0) -> Scores:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    joint = torch.randint(3, (50,), generator=generator)
    return Scores(values, joint, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).log())


@pytest.mark.parametrize("bound", BOUNDS)
def test_optimal_critic_gives_the_closed_form(bound):
    scores, truth = binary_channel(200_000, 0.1)
    assert float(bound(scores).mean()) == pytest.approx(truth, abs=0.005)


@pytest.mark.parametrize("bound", BOUNDS)
def test_adding_a_constant_to_the_critic_changes_nothing(bound):
    scores = random_scores()
    moved = Scores(scores.values + 7, scores.joint, scores.log_weights)
    assert torch.allclose(bound(moved), bound(scores), atol=1e-9)


def test_normalising_never_lowers_donsker_varadhan():
    for seed in range(5):
        scores = random_scores(seed)
        assert barber_agakov(scores).mean() > donsker_varadhan(scores).mean()
        normalised = Scores(
            scores.values - scores.log_partition[:, None], scores.joint, scores.log_weights
        )
        assert torch.allclose(donsker_varadhan(normalised), barber_agakov(scores))


def test_a_column_with_weight_zero_is_left_out():
    scores = random_scores()
    wide = Scores(
        torch.cat([scores.values, torch.full((50, 1), 99.0)], dim=1),
        scores.joint,
        torch.cat([scores.log_weights, torch.tensor([-math.inf])]),
    )
    assert torch.allclose(donsker_varadhan(wide), donsker_varadhan(scores))


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
