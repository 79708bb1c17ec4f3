"""What is measured of one model: its jobs, what they read, and how they are made.

What is kept is a job: a row, a piece, the tables of a site. What is sent to a worker is
the part that holds the jobs of one site, which share its states. Whoever makes a job writes
it, so that it is kept whoever dies; one that is there already is never made again.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mi_probe.analysis.cells import Job
from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.threads import limited_threads
from mi_probe.capture import Sequences, extract, fingerprint_id, load_activations, plan
from mi_probe.errors import InputError


@dataclass(frozen=True)
class Capture:
    """The states of one token set of a model: what to capture, and where it is kept.

    It does not hold the model, which is let go of before its states are measured.
    """

    token_set: str
    told: Mapping[str, Any] = field(repr=False)
    """What `extract` is told."""
    sites: list[str]
    """In the network's order."""
    fingerprint: Mapping[str, object] = field(repr=False)
    notes: tuple[str, ...]
    data: Sequences | None = field(repr=False)
    """What the model reads; None where its states are there already."""
    store: Path
    made: bool = False
    """Whether the states are the user's own: nothing is captured, and nothing removed."""

    @classmethod
    def of(
        cls,
        model: Measurable | MadeStates,
        token_set: str,
        *,
        sites: Any,
        views: Sequence[str],
        folder: Path,
    ) -> "Capture":
        """Plan it, and run nothing yet.

        Raises:
            InputError: on a site or view that the model has not.
        """
        if isinstance(model, MadeStates):
            if "head" in views:
                raise InputError(
                    "pooling 'head' needs the model, which says where it is read; "
                    f"'{model.name}' holds states alone. Take mean, last, first or max."
                )
            return cls(
                token_set,
                {"views": [*views]},
                model.chosen(token_set, sites),
                model.states.fingerprint,
                (),
                None,
                model.folder,
                made=True,
            )
        told = {
            "sites": model.sites(token_set, sites),
            "views": views,
            "max_tokens": model.max_tokens,
        }
        planned = plan(model.backbone, model.sources[token_set], **told)
        return cls(
            token_set,
            told,
            [site.name for site in planned.sites],
            planned.fingerprint,
            planned.notes,
            planned.data,
            folder / "activations" / fingerprint_id(planned.fingerprint),
        )

    def extract(
        self,
        model: Measurable | MadeStates,
        batch_size: int,
        shard: tuple[int, int] | None = None,
    ) -> None:
        """Capture what is not there yet, alone or beside other shards."""
        if isinstance(model, MadeStates):
            return
        source = model.sources[self.token_set]
        told = {"store": self.store, "batch_size": batch_size, **self.told}
        extract(model.backbone, source, shard=shard, **told)

    def forget(self) -> None:
        """Remove the states, where this run made them."""
        if not self.made:
            shutil.rmtree(self.store)


@runtime_checkable
class Work(Protocol):
    """What jobs of one kind compute; it reaches other processes by pickling."""

    def is_finished(self, folder: Path, job: Any) -> bool:
        """Whether a results folder holds it, as it was written."""
        ...

    def make(self, states: Any, jobs: Sequence[Any], folder: Path) -> Iterator[Job]:
        """Make jobs of one site; give each once it is written."""
        ...


@dataclass(frozen=True)
class Part:
    """The jobs on one thing that is read: a token set's states, or a control's."""

    work: Work
    todo: Sequence[Any] = field(repr=False)
    """Jobs of the kind that the work takes."""
    capture: Capture | None = None
    """The states; None where a table in memory is read."""
    values: Any = field(default=None, repr=False)
    """That table."""
    ready: Callable[["Part"], "Part"] | None = field(default=None, repr=False)
    """Gives the part with what needs the model, which is let go of; may take long."""
    twin: Callable[[], Measurable] | None = field(default=None, repr=False)
    """Makes the network that is captured; None: the model itself."""
    control: str = ""
    """Which control it is of; empty for the states that are measured."""
    missing: Sequence[Any] = field(default=(), repr=False)
    """Those that are not finished, of which a shard makes its own."""
    finished: int = 0
    """Number of those that were finished before."""

    def left(self, folder: Path, jobs: Sequence[Any]) -> list[Any]:
        """Those of some jobs that a results folder does not hold."""
        return [job for job in jobs if not self.work.is_finished(folder, job)]

    def of_model(self) -> "Part":
        """The part when the model is to be let go of."""
        if self.ready is None:
            return self
        return replace(self.ready(self) if self.missing else self, ready=None)

    @property
    def first(self) -> list[Job]:
        """What is missing of the jobs that others wait for."""
        sites = {job.waits_for for job in self.todo}
        return [job for job in self.missing if job.site in sites]

    def of_site(self, jobs: Sequence[Any]) -> "Part":
        """The part as it is sent: jobs of one site, and what they need."""
        return replace(self, todo=(), missing=jobs, twin=None)

    def make(self, folder: Path, threads: int, memory: int) -> Iterator[Job]:
        """Make jobs of one site that are not there yet; give each once it is.

        Args:
            folder: of the results.
            threads: CPU threads.
            memory: bytes that its states, and what is made of them, may take.
        """
        left = self.left(folder, self.missing)
        ids = {job.id for job in left}
        yield from (job for job in self.missing if job.id not in ids)
        if left:
            with limited_threads(threads):
                states = self.values
                if self.capture is not None:
                    states = opened(self.capture.store, memory)
                yield from self.work.make(states, left, folder)


@lru_cache(maxsize=1)
def opened(store: Path, memory: int) -> Any:
    """A finished capture; its shards are verified once a process."""
    return load_activations(store, memory=memory)


def by_site(jobs: Sequence[Job]) -> dict[str, list[Job]]:
    """The jobs of each site, in order."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.site, []).append(job)
    return found
