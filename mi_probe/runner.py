"""The one run under all commands that measure checkpoints: `measure` is it.

A command is its settings, the jobs of a model (`mi_probe.parts`), and what one job computes
and writes. Finding models, capturing, waiting for other processes, resuming, dividing the
work, progress, provenance, tables and dry runs are here, once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Job
from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.printed import format_scores, heading
from mi_probe.analysis.threads import limited_threads
from mi_probe.command_line import say
from mi_probe.division import launched, shard_of
from mi_probe.engine import Engine, opened
from mi_probe.memory import size_of
from mi_probe.opening import checkpoint_names, find_all, open_measurable, read_task
from mi_probe.parts import Part, by_site
from mi_probe.parts import opened as opened_store
from mi_probe.predgen.trackers import MEASURING, check_trackers, report
from mi_probe.results import Results
from mi_probe.run_settings import RunSettings
from mi_probe.runs import RunRecord, alone_with, sizes_on_disk
from mi_probe.tasks import Task

Source = Measurable | MadeStates
"""What a checkpoint's name stands for."""
RESUME = "What is finished is kept: the same command goes on from there."
"""What is told to who interrupts a run."""


_REPORTED = {"results": "value_nats", "gaps": "gap_nats"}
"""Tables whose values go to trackers, and the column with them."""


def _nothing(*_: Any) -> Sequence[Any]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Command:
    """What a command adds to the run."""

    program: str
    """What the user typed."""
    settings: RunSettings
    unit: str
    """What a progress bar counts."""
    check: Callable[[Task], object]
    """Refuses rows that it cannot measure."""
    begin: Callable[["Run"], object] = _nothing
    """Does what is needed before a model is opened; not of a dry run."""
    parts: Callable[[Source, "Run"], list[Part]]
    """Gives the parts of a model, its states first."""
    notes: Callable[[Source], Sequence[str]] = _nothing
    """Gives what the heading says of a model beside its own notes."""
    first: Callable[[Source, Sequence[Part], "Run"], object] = _nothing
    """Says what comes before all else, dry run or not."""
    forecast: Callable[[Source, Sequence[Part], "Run"], object]
    """Says what a dry run does."""
    show: Callable[[Sequence[Part], Results], object]
    """Prints what came of the jobs of a model."""
    tables: Callable[[Results], Mapping[str, pd.DataFrame]]
    """Makes the tables of the folder, by name."""
    where: Callable[[Path, Sequence[Path]], str]
    """Gives where things are, of the folder and the tables written."""


def measure(command: Command) -> None:
    """Run a command over its checkpoints.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    settings = command.settings
    if settings.shard is None and (shard := launched()) is not None:
        settings = replace(settings, shard="{}/{}".format(*shard))
        say(
            f"shard {settings.shard}, as a launcher set it (RANK, WORLD_SIZE): the other "
            "sites are left to its other processes."
        )
        command = replace(command, settings=settings)
    check_trackers(settings.trackers(), MEASURING)
    results = Results(settings.out, say)
    names = checkpoint_names(settings)
    task = read_task(settings, names)
    if task is not None:
        command.check(task)
    find_all(settings, names)
    threads = settings.threads or torch.get_num_threads()
    # One job's share: the same whether it is made here or by a worker.
    share = max(1, threads // settings.jobs)
    engine = opened(settings.engine, settings.jobs, threads=share)
    with limited_threads(threads), engine as working:
        run = Run(command, task, results, working, share)
        try:
            if not settings.dry_run:
                command.begin(run)
            for name in names:
                run.measure(name)
        finally:  # what is finished is in the tables too, whatever stopped the rest
            run.close()
    run.say_where()


def _make_all(part: Part, **told: Any) -> list[Job]:
    return list(part.make(**told))


class Run:
    """One run of a command."""

    def __init__(
        self,
        command: Command,
        task: Task | None,
        results: Results,
        engine: Engine,
        threads: int,
    ):
        self.command, self.settings = command, command.settings
        self.task, self.results = task, results
        self.engine, self.threads = engine, threads
        shard = self.settings.shard
        self.shard = None if shard is None else shard_of(shard)
        self.record = RunRecord(
            *(results, self.settings, task),
            program=command.program,
            threads_per_estimate=threads,
        )
        self.written: list[Path] = []
        self.name = ""
        self.stores: list[Path] = []

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, make its jobs, print what came."""
        command, settings, dry = self.command, self.settings, self.settings.dry_run
        self.name = name
        model = open_measurable(settings, name, self.task, write=not dry)
        command.check(model.task)
        parts = self._checked(command.parts(model, self))
        notes = [*model.notes, *command.notes(model)]
        notes += [
            note
            for part in parts
            if part.capture and not part.control
            for note in part.capture.notes
        ]
        print(heading(model.name, model.task, [*dict.fromkeys(notes)]))
        if model.scores:
            print(f"  its own answers: {format_scores(model.scores)}")
        command.first(model, parts, self)
        if dry:
            command.forecast(model, parts, self)
            return
        self.record.add(name, model)
        with ExitStack() as alone:
            needed = [p.capture for p in parts if p.capture and p.missing]
            stores = [capture.store for capture in needed if not capture.made]
            if self.shard is not None:
                self._capture(parts, model)  # divided: nobody waits for one that captures
            alone.enter_context(alone_with(stores, say))
            parts = self._checked(parts)  # others may have finished some meanwhile
            if self.shard is None:
                self._capture(parts, model)
            parts = [part.of_model() for part in parts]
            del model  # what follows needs its memory more
            if self.shard is not None:
                for part in parts:
                    self._begin(part)
                alone.close()  # the rest is divided, and nobody waits
            for part in parts:
                if self.shard is None:
                    self._begin(part)
                begun = {job.id for job in part.first}
                self._make(part, [j for j in part.missing if j.id not in begun])
            self._let_go([part for part in parts if part.missing])
        self.results.refresh()
        whole = sum(len(part.todo) for part in parts)
        done = sum(part.finished for part in parts)
        command.show([self._finished(part) for part in parts], self.results)
        if done:
            print(f"{done} of {whole} were finished before.")
        print()

    def close(self) -> None:
        """Rebuild the tables from all that is finished."""
        if not self.settings.dry_run and self.record.close():
            self.written = self.results.write_tables(self.command.tables)
            if names := self.settings.trackers():
                for name, table in self.command.tables(self.results).items():
                    if name in _REPORTED and len(table):
                        told = (table, _REPORTED[name], self.record.told["config"])
                        report(names, self.results.folder, *told)

    def say_where(self) -> None:
        """Say where things were written."""
        if self.settings.dry_run:
            print("Dry run: nothing was written.")
            return
        print(self.command.where(self.results.folder, self.written))
        for line in sizes_on_disk(self.stores):
            print(line)

    def _checked(self, parts: Sequence[Part]) -> list[Part]:
        """The parts with what is missing of them, and of it what is this shard's."""
        folder = self.results.folder
        found = []
        for part in parts:
            left = part.left(folder, part.todo)
            found.append(replace(part, missing=left, finished=len(part.todo) - len(left)))
        if self.shard is None:
            return found
        index, count = self.shard
        places = [(n, s) for n, p in enumerate(parts) for s in by_site(p.todo)]
        mine = set(places[index - 1 :: count])
        return [
            replace(
                part,
                missing=[
                    job
                    for job in part.missing
                    if (n, job.site) in mine or job in part.first
                ],
            )
            for n, part in enumerate(found)
        ]

    def _capture(self, parts: Sequence[Part], model: Source) -> None:
        """Capture the model's own states."""
        for part in parts:
            if part.capture and part.missing and part.twin is None:
                part.capture.extract(model, self.settings.batch_size, self.shard)

    def _begin(self, part: Part) -> None:
        """Capture a control's network, and make what others wait for."""
        if part.missing and part.capture and part.twin is not None:
            part.capture.extract(part.twin(), self.settings.batch_size)
        self._make(part, part.first)

    def _make(self, part: Part, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        some = {site: part.of_site(own) for site, own in by_site(jobs).items()}
        told = {"folder": self.results.folder, "threads": self.threads}
        told["memory"] = size_of(self.settings.memory)
        made: Iterator[Job]
        if self.engine.alone:
            made = (job for one in some.values() for job in one.make(**told))
        else:
            done = self.engine.each(partial(_make_all, **told), some)
            made = (job for jobs in done for job in jobs)
        unit, control = self.command.unit, part.control or None
        with tqdm(total=len(jobs), unit=unit, desc=control, disable=None) as bar:
            for job in made:
                bar.set_postfix_str(job.words)
                bar.update()

    def _let_go(self, parts: Sequence[Part]) -> None:
        """Keep or remove the states, once all that reads them is finished."""
        captured = {p.capture.store: p.capture for p in parts if p.capture}
        opened_store.cache_clear()
        for store, capture in captured.items():
            # Other shards may be at them.
            if self.settings.keep_activations or self.shard is not None:
                self.stores.append(store)
            else:
                capture.forget()

    def _finished(self, part: Part) -> Part:
        """The part with what is finished of it: all, but for other shards' jobs."""
        left = {job.id for job in part.left(self.results.folder, part.todo)}
        return replace(part, todo=[job for job in part.todo if job.id not in left])
