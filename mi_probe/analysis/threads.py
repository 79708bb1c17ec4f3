"""CPU threads of an estimate: what torch and the BLAS of NumPy and SciPy may use.

A sum's last digits depend on how many threads share it, so a number is repeated by the
same seed *and* the same thread count.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Use that many threads inside, and as many as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)
