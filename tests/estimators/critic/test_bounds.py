import math

import numpy as np
import pytest
import torch

from mi_probe.estimators.critic.bounds import (
    BOUNDS,
    Scores,
    barber_agakov,
    donsker_varadhan,
    info_nce,
    nwj,
    smile,
)

TERMS = {name: bound.terms(10.0) for name, bound in BOUNDS.items()}


def binary_channel(n: int, flip: float, seed: int = 0) -> tuple[Scores, float]:
    """Y through a binary symmetric channel, scored by the optimal critic."""
    rng = np.random.default_rng(seed)
    x = rng.integers(2, size=n)
    y = np.where(rng.random(n) < flip, 1 - x, x)
    critic = torch.log(2 * torch.tensor([[1 - flip, flip], [flip, 1 - flip]]))
    truth = math.log(2) + flip * math.log(flip) + (1 - flip) * math.log(1 - flip)
    log_weights = torch.full((2,), math.log(0.5))
    return Scores(critic[x], torch.from_numpy(y), log_weights), truth


def gaussian_batch(n: int, correlation: float, seed: int = 0) -> tuple[Scores, float]:
    """A pair of standard normals, scored by the optimal critic against each other's Y."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = correlation * x + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    variance = 1 - correlation**2
    errors = (y[None] - correlation * x[:, None]) ** 2 / variance
    values = torch.as_tensor(0.5 * (y[None] ** 2 - errors) - 0.5 * math.log(variance))
    log_weights = torch.full((n, n), -math.log(n - 1), dtype=torch.float64)
    log_weights.fill_diagonal_(-math.inf)
    scores = Scores(values, torch.arange(n), log_weights)
    return scores, -0.5 * math.log(variance)


def random_scores(seed: int = 0) -> Scores:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    joint = torch.randint(3, (50,), generator=generator)
    return Scores(values, joint, torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).log())


@pytest.mark.parametrize("name", BOUNDS)
def test_optimal_critic_gives_the_closed_form(name):
    scores, truth = binary_channel(200_000, 0.1)
    assert float(TERMS[name](scores).mean()) == pytest.approx(truth, abs=0.005)


@pytest.mark.parametrize("name", BOUNDS)
def test_optimal_critic_gives_the_closed_form_of_a_gaussian_pair(name):
    scores, truth = gaussian_batch(3000, 0.8)
    assert float(TERMS[name](scores).mean()) == pytest.approx(truth, abs=0.03)


@pytest.mark.parametrize(
    ("terms", "changed"),
    [
        (donsker_varadhan, False),
        (barber_agakov, False),
        (info_nce, False),
        (nwj, True),
        (lambda scores: smile(scores, 2.0), True),
    ],
)
def test_what_a_constant_added_to_the_critic_changes(terms, changed):
    scores = random_scores()
    moved = Scores(scores.values + 1.5, scores.joint, scores.log_weights)
    same = torch.allclose(terms(moved), terms(scores), atol=1e-9)
    assert same is not changed


def test_a_critic_off_by_a_constant_pays_it_in_nwj():
    scores = random_scores()
    normalised = scores.lowered(scores.log_partition)
    moved = Scores(normalised.values + 0.7, scores.joint, scores.log_weights)
    paid = nwj(normalised).mean() - nwj(moved).mean()
    assert float(paid) == pytest.approx(math.exp(0.7) - 1 - 0.7)


def test_order_of_the_bounds_of_one_critic():
    for seed in range(5):
        scores = random_scores(seed)
        means = [float(f(scores).mean()) for f in (barber_agakov, donsker_varadhan, nwj)]
        assert means == sorted(means, reverse=True)
        assert len(set(means)) == 3


@pytest.mark.parametrize("terms", [donsker_varadhan, nwj, info_nce])
def test_over_classes_a_normalised_critic_gives_one_value(terms):
    scores = random_scores()
    normalised = scores.lowered(scores.log_partition)
    assert torch.allclose(terms(normalised), barber_agakov(scores))


def test_info_nce_counts_the_own_column_and_cannot_pass_log_columns():
    scores, truth = gaussian_batch(40, 0.9999)
    assert truth > math.log(40)
    terms = info_nce(scores)
    assert float(terms.max()) <= math.log(40)
    assert float(donsker_varadhan(scores).mean()) > math.log(40) * 0.9
    plain = Scores(scores.values, scores.joint, torch.full((40,), -math.log(40)).double())
    assert torch.allclose(terms, barber_agakov(plain))
    assert torch.allclose(info_nce(plain), barber_agakov(plain))


def test_smile_without_a_clip_is_donsker_varadhan():
    scores = random_scores()
    assert torch.allclose(smile(scores, 50.0), donsker_varadhan(scores))


def test_smile_overshoots_where_the_clip_binds():
    scores, truth = gaussian_batch(1000, 0.999)
    assert float(smile(scores, 1.0).mean()) > truth + 0.5
    clipped = scores.values.clamp(-1, 1).exp() * scores.log_weights.exp()
    expected = scores.paired - clipped.sum(1).mean().log()
    assert torch.allclose(smile(scores, 1.0), expected)


def test_a_column_with_weight_zero_is_left_out():
    scores = random_scores()
    wide = Scores(
        torch.cat([scores.values, torch.full((50, 1), 99.0)], dim=1),
        scores.joint,
        torch.cat([scores.log_weights, torch.tensor([-math.inf])]),
    )
    for name, terms in TERMS.items():
        assert torch.allclose(terms(wide), terms(scores)), name


def test_the_own_column_is_no_negative_of_a_sampled_marginal():
    scores, _ = gaussian_batch(30, 0.5)
    raised = scores.values.clone()
    raised[0, 0] += 3
    for name in set(BOUNDS) - {"info_nce"}:
        terms = TERMS[name](Scores(raised, scores.joint, scores.log_weights))
        change = terms - TERMS[name](scores)
        assert float(change[0]) == pytest.approx(3), name
        assert float(change[1:].abs().max()) < 1e-9


@pytest.mark.parametrize("name", BOUNDS)
def test_influence_is_the_leave_one_out_change(name):
    n, correlation = 60, 0.6
    scores, _ = gaussian_batch(n, correlation)
    terms, influence = BOUNDS[name].influence(scores, 2.0, paired_columns=True)
    assert torch.allclose(terms, BOUNDS[name].terms(2.0)(scores))
    value = float(terms.mean())
    left_out = []
    for i in range(n):
        keep = torch.arange(n) != i
        log_weights = torch.full((n - 1, n - 1), -math.log(n - 2), dtype=torch.float64)
        log_weights.fill_diagonal_(-math.inf)
        rest = Scores(scores.values[keep][:, keep], torch.arange(n - 1), log_weights)
        left_out.append(float(BOUNDS[name].terms(2.0)(rest).mean()))
    jackknife = (n - 1) * (value - np.array(left_out))
    found = (influence - influence.mean()).numpy()
    assert np.corrcoef(jackknife, found)[0, 1] > 0.99
    assert found.std() == pytest.approx(jackknife.std(), rel=0.1)


def test_influence_over_classes_has_no_column_part():
    scores = random_scores()
    terms, influence = BOUNDS["nwj_plain"].influence(scores, 2.0, paired_columns=False)
    assert torch.equal(terms, influence)
    _, shared = BOUNDS["donsker_varadhan"].influence(scores, 2.0, paired_columns=False)
    partition = scores.log_partition.exp()
    expected = donsker_varadhan(scores) - partition / partition.mean()
    assert torch.allclose(shared, expected)


def test_only_smile_is_no_bound():
    assert [name for name, bound in BOUNDS.items() if bound.kind != "lower bound"] == [
        "smile"
    ]
