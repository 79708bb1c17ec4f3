"""Answers in tokens as Y: known information, masks, and what route was taken."""

import math

import numpy as np
import pytest
import torch
from spelled_answers import spelled_classes, tokens_of_their_own, written_numbers

from mi_probe import HiddenStates, InputError
from mi_probe.estimators import ESTIMATORS, TokenSequences
from mi_probe.estimators.core.targets import as_codes, as_target, packed
from mi_probe.estimators.starts.started import blocks_of
from mi_probe.synthetic import class_gaussians

TAKERS = sorted(name for name, e in ESTIMATORS.items() if "tokens" in e.nature.takes)


@pytest.mark.parametrize(
    "name",
    [
        name if name == "auto" else pytest.param(name, marks=pytest.mark.slow)
        for name in TAKERS
    ],
)
def test_digits_of_a_number_by_pairs(name):
    known = written_numbers(1800, correlation=0.9)
    x, y, truth = known.x, known.y, known.nats
    assert 0.8 < truth < 0.8304  # just below the Gaussian pair's
    estimate = ESTIMATORS[name].estimate(x, y)
    assert estimate.entropy_y is None
    assert estimate.history[0]["route"] == "pairs of x and answers"
    assert truth - 0.15 < estimate.nats < truth + 3 * estimate.stderr


def test_digits_of_a_number_that_repeat_are_classes():
    known = written_numbers(2000, 1, correlation=0.9)
    x, y, truth = known.x, TokenSequences(known.y, known.y >= 0), known.nats
    estimate = ESTIMATORS["mine"].estimate(x, y)
    assert estimate.history[0]["route"] == "distinct answers as classes"
    assert estimate.nats == pytest.approx(truth, abs=0.06)
    assert estimate.entropy_y == pytest.approx(math.log(10), abs=0.01)
    as_classes = ESTIMATORS["mine"].estimate(x, y.ids[:, 0])
    assert estimate.pointwise == pytest.approx(as_classes.pointwise)


def test_answers_without_information_are_near_zero():
    y = written_numbers(900, correlation=0.0).y
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
    assert as_codes(y) is None
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
    known = written_numbers(500, correlation=0.99)
    x, y = known.x, known.y
    values = rng.normal(size=(500, 4, 3)) * 0.1 + x[:, None]
    z = HiddenStates(torch.as_tensor(values).float(), torch.ones(500, 4, dtype=torch.bool))
    assert ESTIMATORS["auto"].estimate(z, y).nats > 0.8


def test_blocks_hold_neighbouring_tokens_whose_values_repeat():
    y = as_target(written_numbers(1000, 4, correlation=0.5).y)
    # 1,000 rows allow 50 values a block: one digit, not two.
    assert [block.names[0] for block in blocks_of(y)] == ["0-0", "1-1", "2-2", "3-3"]
    constant = TokenSequences(np.full((100, 3), 7), np.ones((100, 3), dtype=bool))
    assert blocks_of(constant) == []
    rng = np.random.default_rng(0)
    wide = TokenSequences(rng.integers(900, size=(400, 1)), np.ones((400, 1), dtype=bool))
    [block] = blocks_of(wide)
    assert block.n_classes == 20  # the rare ones together


def test_classes_only_estimators_refuse_answers():
    known = written_numbers(50, correlation=0.5)
    x, y = known.x, known.y
    with pytest.raises(InputError, match="takes classes .* got token sequences"):
        ESTIMATORS["classifier"].estimate(x, y)


def test_one_hot_rows_are_refused():
    with pytest.raises(InputError, match=r"one-hot rows.* y.argmax\(1\)"):
        as_target(np.eye(3)[np.arange(30) % 3])
    with pytest.raises(InputError, match=r"one-hot rows.* y.argmax\(1\)"):
        as_target(np.eye(3, dtype=int)[np.arange(30) % 3])
    as_target(np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]]))


def test_lists_of_ids_are_answers_as_a_tokenizer_gives_them():
    lists = [[5, 2], [7], [1, 1, 9]]
    padded = np.array([[5, 2, -1], [7, -1, -1], [1, 1, 9]])
    for y in (lists, padded, torch.from_numpy(padded)):
        read = as_target(y)
        assert isinstance(read, TokenSequences)
        assert np.array_equal(read.ids, padded)
        assert np.array_equal(read.mask, padded >= 0)
    with pytest.raises(InputError, match="ids must be 0 or more"):
        as_target(padded - 1)
    with pytest.raises(InputError, match="leave each answer a token"):
        as_target([[5], [], [1, 2]])
    for wrong in ([["a"], ["b", "c"]], [[0.5], [1.0, 2.0]]):
        with pytest.raises(InputError, match="answers, a list of token ids each"):
            as_target(wrong)


def test_the_spelling_of_classes_changes_nothing():
    known = class_gaussians(600, 4, 5, separation=3.0, seed=1)
    spelled = spelled_classes(known, seed=2)
    assert len(np.unique(spelled.y, axis=0)) == 5
    plain, written = (ESTIMATORS["auto"].estimate(k.x, k.y) for k in (known, spelled))
    assert written.entropy_y == pytest.approx(plain.entropy_y)
    assert written.nats == pytest.approx(plain.nats, abs=0.03)
    assert written.nats == pytest.approx(known.nats, abs=0.04 + 3 * written.stderr)


@pytest.mark.parametrize("idle", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_tokens_that_each_tell_their_own_add_up(idle):
    known = tokens_of_their_own(1500, 2, 8, 3, separation=3.0, idle=idle, seed=1)
    estimate = ESTIMATORS["auto"].estimate(known.x, known.y)
    assert 0.8 * known.nats < estimate.nats < known.nats + 3 * estimate.stderr
