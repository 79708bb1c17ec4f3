"""Estimates in several processes: a site belongs to one worker, and the parent writes.

A worker reads a site's states from the store, estimates its cells in order (what views of
a site share is computed once), and hands back each as soon as it is finished, so that an
interruption loses only what is in flight. Workers write nothing: they can be killed at any
moment, and are.
"""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mi_probe.analysis.measuring import Measured, measure
from mi_probe.analysis.threads import limited_threads
from mi_probe.capture import load_activations
from mi_probe.errors import InputError
from mi_probe.tasks import Task

_NAMES = {-9: "was killed, perhaps because memory ran out"}


class Workers:
    """Processes that estimate; started when first needed, ended by `close`.

    Estimators reach them by pickling: one must be of a module that can be imported.
    """

    def __init__(self, jobs: int, threads: int):
        """So many processes, of so many threads each."""
        self.jobs, self.threads = jobs, threads
        self._crew: dict[Connection, BaseProcess] = {}

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(
        self,
        store: Path,
        task: Task,
        *,
        sites: Sequence[str],
        done: Set[str] = frozenset(),
        **settings: Any,
    ) -> Iterator[Measured]:
        """What `mi_probe.analysis.measuring.measure` yields, as each is finished.

        Args:
            store: the folder of a finished capture of the task's rows.
            task: the rows and their Y.
            sites: where; each is one worker's.
            done: row ids that are left out.
            settings: the other arguments of `measure`.

        Raises:
            InputError: as `measure` does, or if a worker was killed.
            RuntimeError: with a worker's traceback, for a bug.
        """
        waiting = deque(sites)
        self._start(min(self.jobs, len(waiting)))
        idle, busy = list(self._crew), {}
        try:
            while waiting or busy:
                while waiting and idle:
                    pipe = idle.pop(0)
                    busy[pipe] = site = waiting.popleft()
                    given = {"sites": [site], "done": done, **settings}
                    self._send(pipe, (store, task, given), site)
                for pipe in wait(list(busy)):
                    assert isinstance(pipe, Connection)
                    kind, content = self._receive(pipe, busy[pipe])
                    if kind == "finished":
                        yield content
                        continue
                    site = busy.pop(pipe)
                    idle.append(pipe)
                    if kind == "mistake":
                        raise InputError(content)
                    if kind == "bug":
                        raise RuntimeError(f"at site '{site}':\n{content}")
        finally:
            if busy:  # interrupted: what they work on is wanted no more
                self.close()

    def close(self) -> None:
        """End the processes at once."""
        for process in self._crew.values():
            process.kill()
        for pipe, process in self._crew.items():
            process.join()
            pipe.close()
        self._crew.clear()

    def _start(self, n: int) -> None:
        context = multiprocessing.get_context("spawn")
        # Starting it later would lift the hold on signals.
        resource_tracker.ensure_running()
        with _signals_held():
            while len(self._crew) < n:
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(theirs, self.threads), daemon=True
                )
                process.start()
                theirs.close()
                self._crew[ours] = process

    def _send(self, pipe: Connection, order: Any, site: str) -> None:
        try:
            pipe.send(order)
        except BrokenPipeError:
            self._lost(pipe, site)

    def _receive(self, pipe: Connection, site: str) -> tuple[str, Any]:
        try:
            return pipe.recv()
        except (EOFError, ConnectionResetError):
            return self._lost(pipe, site)

    def _lost(self, pipe: Connection, site: str) -> Any:
        process = self._crew[pipe]
        process.join()
        code = process.exitcode or 0
        if code >= 0:  # its traceback is on stderr
            raise RuntimeError(f"a worker ended by itself at site '{site}', code {code}")
        what = _NAMES.get(code, f"was ended by signal {-code}")
        raise InputError(
            f"jobs must leave each worker its memory; the one at site '{site}' {what}. "
            "Run again with fewer: what is finished is kept."
        )


def _work(pipe: Connection, threads: int) -> None:
    """A worker's life: sites as they come, until the parent ends it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    opened: dict[Path, Any] = {}
    with limited_threads(threads):
        while True:
            try:
                store, task, given = pipe.recv()
                if store not in opened:  # shards are verified once a worker
                    opened = {store: load_activations(store)}
                for measured in measure(opened[store], task, **given):
                    pipe.send(("finished", measured))
                pipe.send(("site", None))
            except (EOFError, BrokenPipeError):
                return
            except InputError as error:
                pipe.send(("mistake", str(error)))
            except Exception:
                pipe.send(("bug", traceback.format_exc()))


def _end_with_parent() -> None:
    """A parent that was killed cannot end its workers, and one may have hours to go."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Processes started inside never see Ctrl-C or SIGTERM, which reach the whole group.

    They inherit the hold; what arrives meanwhile reaches the parent afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    held = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
