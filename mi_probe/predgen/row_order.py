"""The order of training rows in which those of like length share a batch."""

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

_BATCHES = 50
"""Batches whose rows are sorted together: fewer pad less, more mix better."""


class ByLength(Sampler[int]):
    """Rows shuffled, then sorted by length within stretches, and batches shuffled.

    A function of the seed and the epoch, so that a resumed training goes on in the same
    order; accelerate tells the epoch through `set_epoch`.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        """Make the order.

        Args:
            lengths: of each row, in tokens.
            batch_size: rows a batch.
            seed: of the shuffles.
        """
        self.lengths = np.asarray(lengths)
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which pass over the rows comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng([self.seed, self.epoch])
        order, size = rng.permutation(len(self.lengths)), self.batch_size
        batches: list[np.ndarray] = []
        for start in range(0, len(order), size * _BATCHES):
            part = order[start : start + size * _BATCHES]
            part = part[np.argsort(-self.lengths[part], kind="stable")]
            batches += np.split(part, range(size, len(part), size))
        # One that is not full must come last: the loader cuts batches by counting.
        full = [b for b in batches if len(b) == size]
        rest = [b for b in batches if len(b) < size]
        mixed = [full[i] for i in rng.permutation(len(full))] + rest
        yield from (int(i) for batch in mixed for i in batch)
