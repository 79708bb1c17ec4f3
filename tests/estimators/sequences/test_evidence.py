import numpy as np
import pytest
import torch

from mi_probe.estimators.critic.batched import Problem
from mi_probe.estimators.sequences.evidence import log_posteriors, train_evidence
from mi_probe.estimators.sequences.token_coordinates import (
    TokenCoordinates,
    TokenInputs,
    token_inputs,
)


def ordered(n: int, t: int = 6, seed: int = 0) -> tuple[TokenInputs, np.ndarray]:
    """Two markers in noise; Y tells which comes first. Lengths vary."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, t + 1, size=n)
    values = 0.5 * rng.normal(size=(n, t, 2))
    y = rng.integers(2, size=n)
    for row, length in enumerate(lengths):
        places = np.sort(rng.choice(length, size=2, replace=False))
        values[row, places] += 3 * (np.eye(2) if y[row] else np.eye(2)[::-1])
    values *= (np.arange(t)[None] < lengths[:, None])[..., None]
    tokens = TokenCoordinates(torch.as_tensor(values).float(), torch.as_tensor(lengths))
    return token_inputs(tokens), y


def problem(rows: np.ndarray, seed: int = 0) -> Problem:
    return Problem(rows, np.log([0.5, 0.5]), seed)


def test_order_is_learned_from_few_rows():
    tokens, y = ordered(1500)
    networks = train_evidence(tokens, torch.as_tensor(y), [problem(np.arange(1000))])
    held_out = np.arange(1000, 1500)
    scores = log_posteriors(networks, tokens, held_out, 0)[-1]
    assert scores[np.arange(500), y[held_out]].mean() + np.log(2) > 0.5


def test_batched_problems_equal_a_loop():
    tokens, y = ordered(120)
    labels = torch.as_tensor(y)
    problems = [problem(np.arange(k, 120, 2), seed=k) for k in (0, 1)]
    together = train_evidence(tokens, labels, problems)
    for number, one in enumerate(problems):
        alone = train_evidence(tokens, labels, [one])
        found, expected = (
            log_posteriors(networks, tokens, np.arange(120), place)
            for networks, place in ((together, number), (alone, 0))
        )
        # Rounding grows a little over a few hundred steps.
        assert found == pytest.approx(expected, abs=0.03)


def test_padding_and_batch_mates_change_nothing():
    tokens, y = ordered(80)
    networks = train_evidence(tokens, torch.as_tensor(y), [problem(np.arange(80))])
    rows = np.arange(80)
    reference = log_posteriors(networks, tokens, rows, 0)[0]
    longer = torch.cat([tokens.values[..., :2], torch.zeros(80, 5, 2)], 1)
    padded = token_inputs(TokenCoordinates(longer, tokens.lengths))
    assert log_posteriors(networks, padded, rows, 0)[0] == pytest.approx(
        reference, abs=1e-5
    )
    alone = [log_posteriors(networks, tokens, rows[[i]], 0)[0] for i in rows]
    assert np.concatenate(alone) == pytest.approx(reference, abs=1e-5)


def test_junk_behind_the_last_token_is_never_read():
    tokens, y = ordered(60)
    networks = train_evidence(tokens, torch.as_tensor(y), [problem(np.arange(60))])
    reference = log_posteriors(networks, tokens, np.arange(60), 0)[0]
    real = torch.arange(6)[None] < tokens.lengths[:, None]
    junk = torch.where(real[..., None], tokens.values[..., :2], torch.nan)
    changed = token_inputs(TokenCoordinates(junk, tokens.lengths))
    found = log_posteriors(networks, changed, np.arange(60), 0)[0]
    assert found == pytest.approx(reference, abs=1e-5)


def test_same_seed_same_weights_and_global_generator_is_untouched():
    tokens, y = ordered(60)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (
        train_evidence(tokens, torch.as_tensor(y), [problem(np.arange(60), seed)])
        for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first[-1]["token"], again[-1]["token"])
    assert not torch.equal(first[-1]["token"], other[-1]["token"])


def test_one_token_a_row_and_massive_tokens_stay_finite():
    values = torch.full((40, 1, 3), 10.0)
    values[::2] = -10
    tokens = token_inputs(TokenCoordinates(values, torch.ones(40, dtype=torch.long)))
    y = torch.arange(40) % 2
    networks = train_evidence(tokens, y, [problem(np.arange(40))])
    scores = log_posteriors(networks, tokens, np.arange(40), 0)[-1]
    assert np.isfinite(scores).all()
    assert scores[np.arange(40), y.numpy()].mean() > -0.1
