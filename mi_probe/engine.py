"""Where work is done: in this process, in others of this machine, or on a Dask cluster.

One mechanism, joblib's, under the chains of a study and under the jobs of a measurement.
What is sent is a function and its item; what comes of it is written by whoever does it, so
that a worker that dies loses only what it was at.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from joblib import Parallel, delayed, parallel_config

from mi_probe.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")

LOCAL, DASK = "local", "dask://"
_DIED = ("TerminatedWorkerError", "KilledWorker")
"""What joblib and Dask raise where a worker was killed."""


@dataclass(frozen=True)
class Engine:
    """An engine that `opened` made ready."""

    jobs: int
    """Items side by side; on a cluster, it is the cluster's to say."""
    kind: Literal["processes", "threads", "cluster"] = "processes"
    """What does them."""

    @property
    def alone(self) -> bool:
        """Whether all is done in this process, one after the other."""
        return self.jobs == 1 and self.kind != "cluster"

    def each(
        self, work: Callable[[Item], Result], items: Mapping[str, Item]
    ) -> Iterator[Result]:
        """What comes of each item, as it is done.

        Args:
            work: reaches other processes by pickling, as the items do.
            items: one a call, by what messages call it.

        Raises:
            InputError: if a worker was killed; else what the work raises.
        """
        if self.alone:
            yield from map(work, items.values())
            return
        # One item a message: whoever dies must not take others with it.
        told: dict[str, Any] = {"batch_size": 1, "return_as": "generator_unordered"}
        told["max_nbytes"] = None  # arrays arrive as they were sent, and writable
        parallel = Parallel(n_jobs=None if self.kind == "cluster" else self.jobs, **told)
        left = list(items)
        try:
            with _signals_held() if self.kind == "processes" else nullcontext():
                found: Any = parallel(delayed(_named)(work, *one) for one in items.items())
            with closing(found):
                for name, result in found:
                    left.remove(name)
                    yield result
        except Exception as error:
            if self.kind == "cluster" and isinstance(error, TimeoutError):
                raise InputError(
                    "engine must be a cluster with workers; none came in 10 seconds. Start "
                    "some: dask worker tcp://HOST:PORT --nthreads 1"
                ) from None
            if type(error).__name__ not in _DIED:
                raise
            begun = map(repr, left[: self.jobs])  # they are sent in order
            raise InputError(
                f"jobs must leave each worker its memory; one at {' or '.join(begun)} was "
                "killed, perhaps because memory ran out. Run again with fewer: what is "
                "finished is kept."
            ) from None


def _named(work: Callable[[Item], Result], name: str, item: Item) -> tuple[str, Result]:
    return name, work(item)


@contextmanager
def opened(
    name: str,
    jobs: int = 1,
    *,
    side_by_side: Literal["processes", "threads"] = "processes",
    threads: int = 1,
) -> Iterator[Engine]:
    """An engine, until the end of the block.

    Args:
        name: ``local``, or ``dask://HOST:PORT`` of a cluster that shares this disk.
        jobs: items side by side on this machine.
        side_by_side: what does them; threads where each starts a process of its own.
        threads: CPU threads of each process.

    Raises:
        InputError: if there is no such engine, or it does not answer.
    """
    if name == LOCAL:
        told: dict[str, Any] = {"backend": "threading"}
        if side_by_side == "processes":
            told = {"backend": "loky", "inner_max_num_threads": threads}
            told |= {"initializer": _end_with, "initargs": (os.getpid(),)}
        with parallel_config(**told, n_jobs=jobs) if jobs > 1 else nullcontext():
            yield Engine(jobs, side_by_side)
        return
    with _client(name), parallel_config("dask"):
        yield Engine(jobs, "cluster")


def _client(name: str) -> Any:
    """A connection to the cluster."""
    if not name.startswith(DASK):
        raise InputError(f"engine must be local or dask://HOST:PORT; got '{name}'.")
    try:
        from distributed import Client  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(
            "engine dask://HOST:PORT needs the package distributed; it is not installed. "
            "pip install 'mi-probe[cluster]', or leave --engine out."
        ) from None
    try:
        return Client("tcp://" + name.removeprefix(DASK), timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"engine must be a Dask scheduler that answers; {name} does not ({error})."
        ) from None


@contextmanager
def _signals_held() -> Iterator[None]:
    """Processes started inside never see Ctrl-C or SIGTERM, which reach the whole group.

    They inherit the hold; what arrives meanwhile reaches the parent afterwards. Not for
    threads: the commands that they start are ended by SIGTERM.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with(parent: int) -> None:
    """A parent that was killed cannot end its workers, and one may have hours to go."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
