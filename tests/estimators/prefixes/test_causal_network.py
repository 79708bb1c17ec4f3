"""Networks of prefixes: nothing that comes later is known at t, whatever it is."""

import numpy as np
import pytest
import torch

from mi_probe.estimators.critic.batched import Problem
from mi_probe.estimators.prefixes.causal_network import (
    Inputs,
    prefix_scores,
    train_prefix_networks,
)

N, T = 60, 7


@pytest.fixture(scope="module")
def inputs():
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, T + 1, (N,), generator=draw)
    mask = (torch.arange(T) < lengths[:, None])[..., None]
    shared = torch.randn(N, T, 3, generator=draw) * mask
    own = torch.randn(2, N, T, 1, generator=draw) * mask
    return Inputs(shared, own, lengths)


@pytest.fixture(scope="module", params=[False, True], ids=["prefix", "alone"])
def alone(request):
    return request.param


@pytest.fixture(scope="module")
def scores(alone, inputs):
    """Of all rows by one problem's network."""
    y = (inputs.shared[:, 0, 0] > 0).long()
    problems = [
        Problem(np.arange(0, 40), np.log([0.5, 0.5]), 1),
        Problem(np.arange(20, 60), np.log([0.5, 0.5]), 2),
    ]
    networks = train_prefix_networks(inputs, y, problems, alone=alone, epochs=3)

    def found(read, problem, snapshot=-1):
        rows = np.arange(N)
        return prefix_scores(networks[snapshot], read, rows, problem, alone=alone)

    return found


def test_a_later_token_of_any_size_changes_no_earlier_score(scores, inputs):
    before = scores(inputs, 0)
    shared = inputs.shared.clone()
    shared[:, 4:] = 1e3 * torch.randn(N, T - 4, 3, generator=torch.Generator())
    after = scores(Inputs(shared, inputs.own, inputs.lengths), 0)
    np.testing.assert_array_equal(after[:, :4], before[:, :4])
    long = inputs.lengths.numpy() > 4
    assert np.abs(after[long, 4] - before[long, 4]).max() > 1e-3


def test_what_came_before_counts_for_prefixes_and_not_for_tokens_alone(
    scores, alone, inputs
):
    before = scores(inputs, 1)
    shared = inputs.shared.clone()
    shared[:, 0] += 3.0
    after = scores(Inputs(shared, inputs.own, inputs.lengths), 1)
    moved = np.abs(after[:, 2] - before[:, 2]).max()
    assert moved == 0 if alone else moved > 1e-4


def test_behind_a_rows_end_there_is_no_score(scores, inputs):
    found = scores(inputs, 0, 0)
    behind = np.arange(T) >= inputs.lengths.numpy()[:, None]
    assert (found[behind] == 0).all()
    assert np.isfinite(found).all()
