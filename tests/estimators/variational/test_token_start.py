"""Answers in tokens as Y: known information, masks, and what route was taken."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import norm

from mi_probe import HiddenStates, InputError
from mi_probe.estimators import ESTIMATORS, TokenSequences
from mi_probe.estimators.protocol.targets import as_target
from mi_probe.estimators.variational.token_start import (
    TokenEncoder,
    blocks_of,
    distinct_answers,
    packed,
)

TAKERS = sorted(name for name, e in ESTIMATORS.items() if "tokens" in e.nature.takes)


def numbers(
    n: int, correlation: float, places: int = 3, seed: int = 0
) -> tuple[np.ndarray, TokenSequences]:
    """Decimal digits of a number whose normal score is correlated with x's first column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    z = correlation * x[:, 0] + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    k = np.minimum((norm.cdf(z) * 10**places).astype(int), 10**places - 1)
    ids = np.stack([k // 10 ** (places - 1 - i) % 10 for i in range(places)], axis=1)
    return x, TokenSequences(ids + 5, np.ones_like(ids, dtype=bool))


def quantised_truth(correlation: float, bins: int) -> float:
    """I(X; bin of Z) by integration over x, in nats."""
    grid = np.linspace(-6, 6, 2001)
    weight = norm.pdf(grid) / norm.pdf(grid).sum()
    edges = norm.ppf(np.linspace(0, 1, bins + 1))
    spread = math.sqrt(1 - correlation**2)
    p = np.diff(norm.cdf((edges[None] - correlation * grid[:, None]) / spread), axis=1)
    terms = np.where(p > 0, p * np.log(np.maximum(p, 1e-300) * bins), 0).sum(1)
    return float(weight @ terms)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "auto" else pytest.param(name, marks=pytest.mark.slow)
        for name in TAKERS
    ],
)
def test_digits_of_a_number_by_pairs(name):
    truth = quantised_truth(0.9, 1000)
    assert 0.8 < truth < 0.8304  # just below the Gaussian pair's
    x, y = numbers(1800, 0.9)
    estimate = ESTIMATORS[name].estimate(x, y)
    assert estimate.entropy_y is None
    assert estimate.history[0]["route"] == "pairs of x and answers"
    assert truth - 0.15 < estimate.nats < truth + 3 * estimate.stderr


def test_digits_of_a_number_that_repeat_are_classes():
    truth = quantised_truth(0.9, 10)
    x, y = numbers(2000, 0.9, places=1)
    estimate = ESTIMATORS["mine"].estimate(x, y)
    assert estimate.history[0]["route"] == "distinct answers as classes"
    assert estimate.nats == pytest.approx(truth, abs=0.06)
    assert estimate.entropy_y == pytest.approx(math.log(10), abs=0.01)
    as_classes = ESTIMATORS["mine"].estimate(x, y.ids[:, 0])
    assert estimate.pointwise == pytest.approx(as_classes.pointwise)


def test_answers_without_information_are_near_zero():
    _, y = numbers(900, 0.0)
    x = np.random.default_rng(5).normal(size=(900, 4))
    for name in ("auto", "infonce"):
        assert abs(ESTIMATORS[name].estimate(x, y).nats) < 0.02


def variable_lengths(n: int, seed: int = 0) -> tuple[np.ndarray, TokenSequences]:
    """Random tokens, 1 to 4 of them: x tells how many and nothing else."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, size=n)
    mask = np.arange(4)[None] < lengths[:, None]
    x = np.eye(4)[lengths - 1] + 0.05 * rng.normal(size=(n, 4))
    return x, TokenSequences(rng.integers(30, size=(n, 4)), mask)


def test_length_alone_can_tell():
    x, y = variable_lengths(2000)
    estimate = ESTIMATORS["auto"].estimate(x, y)
    assert estimate.entropy_y is None
    assert estimate.nats == pytest.approx(math.log(4), abs=0.12)


@pytest.mark.slow
def test_order_of_tokens_is_read_by_the_network():
    # Each token alone tells about 0.2 nats; whether they rise or fall tells log 2, but for
    # ties.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3500, 2))
    ids = np.sort(rng.integers(30, size=(3500, 2)), axis=1)
    falls = x[:, 0] > 0
    ids[falls] = ids[falls, ::-1]
    y = TokenSequences(ids, np.ones_like(ids, dtype=bool))
    assert distinct_answers(y) is None
    estimate = ESTIMATORS["auto"].estimate(x, y)
    assert 0.3 < estimate.nats < math.log(2) + 3 * estimate.stderr


def test_padding_of_answers_does_not_matter():
    x, y = variable_lengths(400)
    ids = np.full((400, 7), 99)
    mask = np.zeros((400, 7), dtype=bool)
    for row, real in enumerate(y.mask):  # on the left, where some tokenizers put it
        length = real.sum()
        ids[row, -length:], mask[row, -length:] = y.ids[row, :length], True
    moved = TokenSequences(ids, mask)
    assert np.array_equal(packed(moved).ids, y.ids)
    a, b = (ESTIMATORS["infonce"].estimate(x, answers) for answers in (y, moved))
    assert np.array_equal(a.pointwise, b.pointwise)


def test_sequences_of_states_and_answers():
    rng = np.random.default_rng(0)
    x, y = numbers(500, 0.99)
    values = rng.normal(size=(500, 4, 3)) * 0.1 + x[:, None]
    z = HiddenStates(torch.as_tensor(values).float(), torch.ones(500, 4, dtype=torch.bool))
    assert ESTIMATORS["auto"].estimate(z, y).nats > 0.8


def test_blocks_hold_neighbouring_tokens_whose_values_repeat():
    _, y = numbers(1000, 0.5, places=4)
    # 1,000 rows allow 50 values a block: one digit, not two.
    assert [block.names[0] for block in blocks_of(y)] == ["0-0", "1-1", "2-2", "3-3"]
    constant = TokenSequences(np.full((100, 3), 7), np.ones((100, 3), dtype=bool))
    assert blocks_of(constant) == []
    rng = np.random.default_rng(0)
    wide = TokenSequences(rng.integers(900, size=(400, 1)), np.ones((400, 1), dtype=bool))
    [block] = blocks_of(wide)
    assert block.n_classes == 20  # the rare ones together


def test_the_encoder_reads_real_tokens_and_their_order():
    torch.manual_seed(0)
    encoder = TokenEncoder(9, 5, 4, 8)
    ids = torch.tensor([[3, 1, -1], [1, 3, -1], [3, 1, 2]])
    features = encoder(ids)
    longer = torch.nn.functional.pad(ids, (0, 2), value=-1)
    assert torch.allclose(encoder(longer), features, atol=1e-6)
    assert torch.allclose(encoder(ids[:1]), features[:1], atol=1e-6)
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_classes_only_estimators_refuse_answers():
    x, y = numbers(50, 0.5)
    with pytest.raises(InputError, match="takes classes .* got token sequences"):
        ESTIMATORS["classifier"].estimate(x, y)


def test_one_hot_rows_are_refused():
    with pytest.raises(InputError, match=r"one-hot rows.* y.argmax\(1\)"):
        as_target(np.eye(3)[np.arange(30) % 3])
    as_target(np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))
