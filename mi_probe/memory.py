"""How much memory one site's states, and what is made of them, may take.

One setting, ``--memory`` of the commands and ``memory=`` of `load_activations`, decides
whether states are read into memory at once or stay on the disk (`mi_probe.scratch`).
"""

import math
import re
from collections.abc import Sequence

from mi_probe.errors import InputError

DEFAULT = "4GB"
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_A_COLUMN, _A_TOKEN, _A_ROW = 52, 340, 10_000
"""Bytes that an estimate makes of a row's columns, tokens and of the row itself."""


def size_of(text: str | int, name: str = "memory") -> int:
    """Bytes from a size as a person writes it.

    Raises:
        InputError: if it is none, or nothing.

    Examples:
        >>> size_of("4GB"), size_of("1.5 GiB"), size_of(300)
        (4000000000, 1610612736, 300)
        >>> size_of("much")
        Traceback (most recent call last):
        mi_probe.errors.InputError: memory must be a size such as 4GB or 512MiB; got 'much'.
    """
    found = _SIZE.fullmatch(str(text).strip())
    if found:
        number, unit, binary = found.groups()
        size = int(float(number) * (_BINARY if binary else _UNITS)[unit.lower()])
        if size > 0:
            return size
    raise InputError(f"{name} must be a size such as 4GB or 512MiB; got '{text}'.")


def held_bytes(shape: Sequence[int]) -> int:
    """About what an estimate takes of states (n, t, d) or vectors (n, d) in memory.

    Above the imports and any model: the states in float32, and what `auto` makes of them
    for two classes, at most.
    """
    n, *tokens, d = shape
    t = tokens[0] if tokens else 0
    return 4 * math.prod(shape) + n * (_A_COLUMN * d + _A_TOKEN * t + _A_ROW)


def on_disk_bytes(shape: Sequence[int]) -> int:
    """About what an estimate of states that stay on the disk writes beside them."""
    n, *tokens, d = shape
    views = len(tokens) * 4 + 1
    t = tokens[0] if tokens else 0
    return n * (8 * views * d + _A_TOKEN * t + _A_ROW)
