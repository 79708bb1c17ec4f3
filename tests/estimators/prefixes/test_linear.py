"""Discriminants from sums: those of the rows themselves, for any choice of folds."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mi_probe.estimators.prefixes.linear import (
    chosen_places,
    described,
    discriminant_scores,
    prefix_sums,
)
from mi_probe.estimators.prefixes.packed_tokens import packed_tokens
from mi_probe.hidden import HiddenStates


@pytest.fixture(scope="module")
def states():
    rng = np.random.default_rng(0)
    n, t = 90, 4
    y, fold = rng.integers(3, size=n), np.arange(n) % 3
    z = rng.normal(size=(n, t, 5)) @ rng.normal(size=(5, 5))
    z[:, :, 0] += y[:, None]
    return HiddenStates(z.astype(np.float32), np.ones((n, t), bool)), y, fold


@pytest.mark.parametrize("block", ["token", "mean"])
def test_they_are_those_of_all_prefixes_of_the_other_folds(states, block):
    z, y, fold = states
    tokens = packed_tokens(z)
    [(rows, u)] = list(tokens.chunks())
    assert (rows.start, rows.stop) == (0, len(y))
    x = described(u, block)
    [fit] = prefix_sums(tokens, y, fold, 3)[block].discriminants([1], [0.0])
    kept = fold != 1
    ours = discriminant_scores(x[fold == 1].flatten(0, 1), fit)
    model = LinearDiscriminantAnalysis(solver="lsqr").fit(
        x[kept].flatten(0, 1).numpy(), np.repeat(y[kept], 4)
    )
    theirs = model.predict_log_proba(x[fold == 1].flatten(0, 1).numpy())
    # Ours gives each class half a row more,
    # and divides the covariance by the rows less the classes: 57 of 60.
    np.testing.assert_allclose(ours, theirs, atol=0.05, rtol=0.06)


def test_full_shrinkage_leaves_the_columns_spread_alone(states):
    z, y, fold = states
    tokens = packed_tokens(z)
    [fit] = prefix_sums(tokens, y, fold, 3)["token"].discriminants([], [1.0])
    u = torch.cat([part for _, part in tokens.chunks()]).flatten(0, 1).double().numpy()
    labels = np.repeat(y, 4)
    means = np.stack([u[labels == c].mean(0) for c in range(3)])
    expected = -0.5 * (((u[:, None] - means) ** 2) / u.var(0)).sum(2)
    counts = np.bincount(y) + 0.5
    expected = log_softmax(expected + np.log(counts / counts.sum()), axis=1)
    ours = discriminant_scores(torch.as_tensor(u), fit)
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_prefixes_are_spread_over_a_row_and_the_whole_one_is_among_them():
    places, shares = chosen_places(torch.tensor([8, 3, 1]), 4)
    assert places.tolist() == [[1, 3, 5, 7], [0, 1, 2, 2], [0, 0, 0, 0]]
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
