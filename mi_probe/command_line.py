"""What every command shares: its ``main``, exit codes, and what is said on the way.

Exit codes: 0 done; 2 a mistake that the user can mend, in one line on stderr; 130
interrupted; 143 terminated (SIGTERM, which a cluster sends where time is up). What the
machine does (a full disk, a damaged file) is one line with the file's name and 2 as well.
Any other exception is a bug of ours and keeps its traceback.

A shell starts a background job with Ctrl-C ignored, so that it ends the foreground alone.
That is left so: such a job is ended by SIGTERM.
"""

import errno
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from mi_probe.errors import InputError
from mi_probe.options import parse_settings

Settings = TypeVar("Settings")

_USERS_DISK = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    *(errno.EFBIG, errno.EIO, errno.ESTALE, errno.ELOOP, errno.EMFILE, errno.ENFILE),
)


_TYPED: ContextVar[str] = ContextVar("typed", default="")


def typed() -> str:
    """The command line of the command that runs, as it was typed; empty in Python."""
    return _TYPED.get()


def run_command(
    command: Callable[[Settings], object],
    parse: Callable[[Sequence[str]], Settings],
    arguments: Sequence[str] | None,
    *,
    program: str,
    resume: str = "",
) -> int:
    """Run a command; say what went wrong in one line; give the exit code.

    Args:
        command: what to run.
        parse: what makes its settings of the command line, such as `parse_settings`.
        arguments: the command line; this process's own where it is None.
        program: what the user typed to run it.
        resume: what to tell who interrupts it.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    told = _TYPED.set(shlex.join([*program.split(), *given]))
    program = program.removeprefix("python -m ")
    try:
        with _terminable():
            command(parse(given))
    except InputError as error:
        say(f"{program}: error: {' '.join(str(error).split())}")
        return 2
    except _Terminated:
        _end_quietly(arguments)
        say(f"\n{program}: terminated. {resume}")
        return 143
    except KeyboardInterrupt:
        _end_quietly(arguments)
        say(f"\n{program}: interrupted. {resume}")
        return 130
    except BrokenPipeError:
        # `... | head` has read enough; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BaseException as error:
        if (said := _not_ours(error)) is None:
            raise
        say(f"{program}: error: {' '.join(said.split())}. {resume}")
        return 2
    finally:
        _TYPED.reset(told)
    return 0


def command_of(
    command: Callable[[Any], object],
    kind: type,
    *,
    program: str,
    description: str,
    positional: str | None = None,
    resume: str = "",
) -> Callable[..., int]:
    """A command's ``main``: parses, runs, and gives the exit code.

    Args:
        command: takes the settings.
        kind: of the settings; see `parse_settings`, as for what follows.
        program: what the user typed to run it.
        description: its first line of help.
        positional: the field that bare arguments fill.
        resume: what to tell who interrupts it.
    """

    def main(arguments: Sequence[str] | None = None) -> int:
        """Parse, run, and give the exit code."""
        told = {"program": program, "description": description, "positional": positional}
        parse = partial(parse_settings, kind, **told)
        return run_command(command, parse, arguments, program=program, resume=resume)

    return main


def _not_ours(error: BaseException) -> str | None:
    """What the machine or a file did, in a line; None for a bug of ours."""
    if isinstance(error, OSError):
        place = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{place}" if error.errno in _USERS_DISK else None
    kind = type(error).__name__
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return "memory must hold the rows and the model, and it does not"
    # Libraries in Rust: a file that changed while it was read, a text they never expected.
    if kind in ("SafetensorError", "PanicException"):
        return f"{kind}: {str(error)[:300]}"
    return None


class _Terminated(KeyboardInterrupt):
    """SIGTERM: what tidies up after Ctrl-C does so after it too."""


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM raises `_Terminated` inside."""
    # Only there may handlers be set; elsewhere, SIGTERM is somebody else's.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _end_quietly(arguments: Sequence[str] | None) -> None:
    """Another Ctrl-C ends the process at once, and without a traceback.

    All that is ours is done by then; what is left is libraries tidying up, which may take
    a while. Not where somebody else's process called us.
    """
    main = threading.current_thread() is threading.main_thread()
    if arguments is None and main and signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def say(text: str) -> None:
    """One line on stderr, which leaves stdout to what was asked for."""
    sys.stderr.write(text.rstrip() + "\n")
