import numpy as np
import pytest
import torch

from mi_probe import HiddenStates
from mi_probe.estimators import ESTIMATORS
from mi_probe.estimators.models.networks import places
from mi_probe.synthetic import needle, order

ATTENTION = ESTIMATORS["attention"]


@pytest.mark.slow
def test_order_is_read_though_no_pooling_holds_it():
    known = order(900, 6, 6, noise=0.2, seed=1)
    estimate = ATTENTION.estimate(known.x, known.y)
    assert estimate.nats > 0.55
    assert estimate.nats <= estimate.entropy_y


@pytest.mark.slow
def test_a_needle_is_found():
    known = needle(3000, 8, 8, seed=1)
    assert ATTENTION.estimate(known.x, known.y).nats > 1.25


def testplaces_are_counted_over_real_tokens():
    left = torch.tensor([[False, False, True, True]])
    right = torch.tensor([[True, True, False, False]])
    assert torch.equal(places(left)[0, 2:], places(right)[0, :2])


def test_where_padding_stands_is_no_matter():
    known = order(40, 5, 4, seed=2)
    z = known.x
    shifted = torch.full((40, 8, 4), torch.nan)
    mask = torch.zeros(40, 8, dtype=torch.bool)
    shifted[:, 3:], mask[:, 3:] = z.values, z.mask
    plain = ATTENTION.estimate(z, known.y).pointwise
    moved = ATTENTION.estimate(HiddenStates(shifted, mask), known.y).pointwise
    assert moved == pytest.approx(plain, abs=1e-3)


def test_a_vector_is_a_sequence_of_one_token():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = rng.normal(size=(80, 3)) + y[:, None]
    as_vectors = ATTENTION.estimate(x, y).nats
    tokens = HiddenStates(
        torch.as_tensor(x, dtype=torch.float32)[:, None], torch.ones(80, 1).bool()
    )
    assert as_vectors == pytest.approx(ATTENTION.estimate(tokens, y).nats, abs=0.02)
