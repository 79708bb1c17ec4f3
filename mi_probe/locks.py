"""One writer at a time: locks that vanish with the process that holds them.

A lock is a file that its holder has locked by ``flock`` and in which it says who it is. The
kernel lets go of it when the process ends, however it ends, so what a killed one left is
taken over without a question; no age and no pid is ever guessed from.
"""

import errno
import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from mi_probe.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system says that has no locks."""
_POLL = 0.2
_LONGEST = 4096
"""Bytes that are read of who holds a lock."""


@contextmanager
def locked(path: Path, wait: Callable[[str], object] | None = None) -> Iterator[None]:
    """Hold a lock.

    Folders that are missing are made, and removed again where nothing came into them.

    Args:
        path: the lock's file, in or beside what is to be written.
        wait: where another process holds it: called once with who that is, then it is
            waited for; None refuses instead.

    Raises:
        InputError: if another process holds it, and it is not waited for; it says who.
    """
    missing = [p for p in (path.parent, *path.parent.parents) if not p.exists()]
    descriptor = None
    try:
        while (descriptor := _take(path)) is None:
            holder = _holder(path)
            if wait is None:
                raise InputError(
                    f"out must have one writer at a time; {str(path.parent)!r} is being "
                    f"written by {holder}. Wait until that ends, or name another folder."
                )
            wait(holder)
            wait = _silent
            time.sleep(_POLL)
        yield
    finally:
        if descriptor is not None:
            _let_go(path, descriptor)
        with suppress(OSError):  # not empty, or another's
            for folder in missing:
                folder.rmdir()


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Hold a lock if no other process does; gives whether it is ours."""
    descriptor = _take(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _let_go(path, descriptor)


def _let_go(path: Path, descriptor: int) -> None:
    # While it is still held: whoever opened it meanwhile sees that it is gone.
    path.unlink(missing_ok=True)
    os.close(descriptor)


def _silent(_: str) -> None:
    pass


def _take(path: Path) -> int | None:
    """The descriptor of a lock that is ours now; None where it is another's."""
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # the folder went away with the last holder
            continue
        try:
            if not _flock(descriptor):
                os.close(descriptor)
                return None
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    os.truncate(descriptor, 0)
                    os.write(descriptor, json.dumps(_self()).encode())
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder let go of it, and removed it, meanwhile


def _flock(descriptor: int) -> bool:
    """Whether the lock could be had."""
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "no flock")
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(
            "this file system has no locks: see yourself that no two processes write "
            "into one folder",
            stacklevel=2,
        )
    return True


def _self() -> dict[str, str | int]:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": since}


def _holder(path: Path) -> str:
    """Who holds a lock, in words."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_LONGEST))
        return f"process {said['pid']} on {said['host']} since {said['since']}"
    # It may be about to write it, or to go.
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
