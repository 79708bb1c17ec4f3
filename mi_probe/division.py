"""Work divided among processes that share a disk and know nothing else of each other.

A shard (i, n) is, of all work, the i-th of every n, counted from 1. It is named by
``--shard i/n``, or by what torchrun and ``accelerate launch`` tell each of their processes.
"""

import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeVar

from mi_probe.errors import InputError
from mi_probe.locks import claimed, locked

Item = TypeVar("Item")
LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Variables by which a launcher tells a process which of several it is."""


def shard_of(text: str) -> tuple[int, int]:
    """``i/n`` as (i, n).

    Raises:
        InputError: if it is none.

    Example:
        >>> shard_of("2/4")
        (2, 4)
    """
    part, _, count = text.partition("/")
    if not (part.isdecimal() and count.isdecimal() and 1 <= int(part) <= int(count)):
        raise InputError(f"shard must be i/n with 1 <= i <= n, as 2/4; got '{text}'.")
    return int(part), int(count)


def launched() -> tuple[int, int] | None:
    """The shard of this process among those of its launcher; None where it is alone.

    Example:
        >>> launched() is None
        True
    """
    rank, count = (os.environ.get(name, "") for name in LAUNCHER[:2])
    if not (count.isdecimal() and rank.isdecimal() and int(rank) < int(count) > 1):
        return None
    return int(rank) + 1, int(count)


def in_turn(
    pieces: Sequence[Item],
    shard: tuple[int, int],
    folder: Path,
    left: Callable[[Item], Item],
) -> Generator[Item, None, None]:
    """What this process is to do of each piece, until all are finished, by whomever.

    It begins with its own, goes on with what nobody has begun, and waits for the rest. So
    the share of a process that never comes, or dies, is done by the others. A piece is
    held until the next one is asked for.

    Args:
        pieces: of the whole work, the same for all processes.
        shard: whose pieces are its own.
        folder: where the processes see one another's locks.
        left: gives what is not finished of a piece by now; empty where all is.
    """
    own = range(shard[0] - 1, len(pieces), shard[1])
    # Others' from the end, where nobody else begins.
    turns = [*own, *(at for at in reversed(range(len(pieces))) if at not in own)]
    held: list[int] = []
    for at in turns:
        with claimed(_lock(folder, at)) as ours:
            if not ours:
                held.append(at)
            elif todo := left(pieces[at]):
                yield todo
    for at in held:
        # Whoever held it has finished it, or died.
        with locked(_lock(folder, at), lambda _: None):
            if todo := left(pieces[at]):
                yield todo


def _lock(folder: Path, at: int) -> Path:
    return folder / f".piece-{at}.lock"
