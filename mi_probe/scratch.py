"""Arrays on the disk: what is made of states that are larger than memory lies there too.

An array of `on_disk` is a file without a name, mapped, that is gone once nothing refers to
it, in the folder that the environment calls ``TMPDIR``. A file that a user mapped is none
of these: it may be private, and its pages are not ours to let go of. Whoever loads states
decides, once, whether they stay on the disk (`mi_probe.memory`); everything large that is
then made of them is asked for by `beside`, so that no estimator needs a setting of its own.
What is touched of a mapped file counts as memory until `let_go`, or until the system needs
it.
"""

import errno
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeGuard

import numpy as np

_PIECE_BYTES = 64 * 2**20
"""Of an array on the disk that are worked on at a time."""
_COLUMNS = 64
"""Columns of an array in memory that are worked on at a time."""


class _Scratch(np.memmap):
    """A mapped file of ours."""


def is_on_disk(x: Any) -> TypeGuard[np.ndarray]:
    """Whether an array is one of `on_disk`, or a part of one."""
    return isinstance(x, _Scratch) and x._mmap is not None  # pyright: ignore[reportAttributeAccessIssue]


def on_disk(shape: Sequence[int], kind: Any = np.float32) -> np.ndarray:
    """Zeros in a file of their own; in memory where there are none.

    Raises:
        OSError: if the disk has no room for them, before anything is written.
    """
    if 0 in shape:
        return np.zeros(shape, kind)
    with tempfile.TemporaryFile(prefix="mi_probe-") as file:
        _reserve(file.fileno(), math.prod(shape) * np.dtype(kind).itemsize)
        return _Scratch(file, kind, "w+", shape=tuple(shape))


def _reserve(descriptor: int, size: int) -> None:
    # A mapped file that finds the disk full kills its process.
    if not hasattr(os, "posix_fallocate"):  # Windows, macOS
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise OSError(error.errno, error.strerror, tempfile.gettempdir()) from error


def beside(
    x: Any,
    shape: Sequence[int],
    kind: Any = np.float32,
    order: Literal["C", "F"] = "C",
) -> np.ndarray:
    """Zeros for what is made of an array, where that lies; ``order`` is that in memory."""
    return on_disk(shape, kind) if is_on_disk(x) else np.zeros(shape, kind, order)


def pieces(x: Any) -> list[slice]:
    """Rows that are worked on at a time: all, of an array in memory."""
    if not is_on_disk(x):
        return [slice(None)]
    size = max(1, _PIECE_BYTES // max(1, x[:1].nbytes))
    return [slice(start, start + size) for start in range(0, len(x), size)]


def picked(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some rows of an array, which lie where it does."""
    if not is_on_disk(x):
        return x[rows]
    found = on_disk((len(rows), *x.shape[1:]), x.dtype)
    for some in pieces(found):
        found[some] = x[rows[some]]
        let_go([x, found])
    return found


def column_blocks(d: int) -> list[slice]:
    """Columns that are worked on at a time, so that no second array is as large.

    A sum over rows has the same bits in a block as in the whole, if two or more columns
    stand side by side: one alone is added up in another order.
    """
    ends = np.linspace(0, d, max(1, d // _COLUMNS) + 1).astype(int)
    return [slice(*map(int, ends[i : i + 2])) for i in range(len(ends) - 1)]


def product(x: np.ndarray, a: np.ndarray) -> np.ndarray:
    """The matrix product, which lies where x does."""
    if not is_on_disk(x):
        return x @ a
    found = on_disk((len(x), a.shape[1]), np.result_type(x, a))
    for rows in pieces(x):
        np.matmul(x[rows], a, out=found[rows])
        let_go([x, found])
    return found


def let_go(arrays: Iterable[Any]) -> None:
    """Have no page of these mapped files count as memory, until it is touched again."""
    for x in filter(is_on_disk, arrays):
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            x._mmap.madvise(mmap.MADV_DONTNEED)  # pyright: ignore[reportAttributeAccessIssue]
