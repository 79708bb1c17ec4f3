"""Rows of like length share a batch; the order is the seed's and the epoch's."""

import numpy as np

from mi_probe.predgen.row_order import ByLength


def test_every_row_comes_once_and_batches_are_alike():
    lengths = np.random.default_rng(0).integers(1, 100, 330).tolist()
    order = ByLength(lengths, 8, seed=1)
    first = list(order)
    assert sorted(first) == list(range(330))
    spread = [np.ptp([lengths[j] for j in first[i : i + 8]]) for i in range(0, 328, 8)]
    assert np.mean(spread) < 10
    # Long batches are not all in front.
    means = [np.mean([lengths[j] for j in first[i : i + 8]]) for i in range(0, 328, 8)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5
    assert list(ByLength(lengths, 8, seed=1)) == first
    assert list(ByLength(lengths, 8, seed=2)) != first
    order.set_epoch(1)
    assert list(order) != first
