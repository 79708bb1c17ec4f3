"""``python -m mi_probe.estimate``: I(Y;Z) and I(Y;Z_p) of saved checkpoints.

Writes a results folder (see `mi_probe.results`), a row as soon as it is finished; what
is finished is not computed again. Prints a table on stdout; everything else on stderr.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Cell, anchor_of, cells
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.measuring import (
    Measured,
    anchored,
    check_task,
    in_network_order,
    keep,
    measure,
)
from mi_probe.analysis.printed import format_scores, format_table, heading
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.workers import Workers
from mi_probe.capture import forecast, load_activations
from mi_probe.command_line import parse_settings, run_command, say
from mi_probe.estimate_forecast import print_forecast, print_self_tests
from mi_probe.estimate_settings import PROGRAM, Choice, Settings
from mi_probe.results import Results
from mi_probe.run_settings import (
    checkpoint_names,
    find_all,
    open_measurable,
    read_task,
)
from mi_probe.runs import Capture, RunRecord, alone_with, sizes_on_disk
from mi_probe.tasks import Task


def estimate(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    choice = Choice.of(settings)
    results = Results(settings.out, say)
    names = checkpoint_names(settings)
    task = read_task(settings, names)
    if task is not None:
        check_task(task, choice.estimators)
    find_all(settings, names)
    threads = settings.threads or torch.get_num_threads()
    # For an estimate, one job's share: the same whether it is made here or by a worker.
    workers = Workers(settings.jobs, max(1, threads // settings.jobs))
    with limited_threads(threads), workers:
        run = Run(settings, choice, task, results, workers)
        try:
            for name in names:
                run.measure(name)
        finally:  # what is finished is shown by the table too, whatever stopped the rest
            run.close()
    run.say_where()


@dataclass(frozen=True)
class Part:
    """The estimates of one token set of a model."""

    capture: Capture
    wanted: dict[str, Any]
    """What `cells` and `measure` are told."""
    todo: list[Cell] = field(repr=False)
    missing: list[Cell] = field(repr=False)


class Run:
    """One run of the command over its checkpoints."""

    def __init__(
        self,
        settings: Settings,
        choice: Choice,
        task: Task | None,
        results: Results,
        workers: Workers,
    ):
        self.settings, self.choice = settings, choice
        self.task, self.results, self.workers = task, results, workers
        self.record = RunRecord(
            *(results, settings, task),
            program=PROGRAM,
            aside=("dry_run",),
            threads_per_estimate=workers.threads,
        )
        self.stores: list[Path] = []

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, estimate, print its table."""
        settings = self.settings
        model = open_measurable(settings, name, self.task, write=not settings.dry_run)
        task = model.task
        check_task(task, self.choice.estimators)
        parts = [self._part(model, token_set) for token_set in model.sources]
        notes = [*model.notes, *(note for part in parts for note in part.capture.notes)]
        print(heading(model.backbone.name, task, [*dict.fromkeys(notes)]))
        if model.scores:
            print(f"  its own answers: {format_scores(model.scores)}")
        if settings.self_test:
            self._test_itself(model, parts[0])
        if settings.dry_run:
            for part in parts:
                self._forecast(model, part)
            return
        self.record.add(name, model)
        with alone_with((part.capture.store for part in parts if part.missing), say):
            parts = [self._left(part) for part in parts]
            for part in parts:
                if part.missing:
                    part.capture.extract(model, settings.batch_size)
            del model  # estimating needs its memory more
            for part in parts:
                if part.missing:
                    self._estimate(part, task)
        table = self.results.table()
        shown = [in_network_order(table, part.todo, part.capture.sites) for part in parts]
        print(format_table(pd.concat(shown, ignore_index=True)))
        done = sum(len(part.todo) - len(part.missing) for part in parts)
        if done:
            print(f"{done} of {sum(map(len, shown))} were finished before.")
        print()

    def close(self) -> None:
        """Rebuild the table from the finished rows."""
        if not self.settings.dry_run and self.record.close():
            self.results.write_table()

    def say_where(self) -> None:
        """Say where things were written."""
        if self.settings.dry_run:
            print("Dry run: nothing was written.")
            return
        out = self.results.folder
        print(f"Results: {out / 'results.csv'}, one file an estimate in {out / 'rows'}")
        for line in sizes_on_disk(self.stores):
            print(line)

    def _left(self, part: Part) -> Part:
        """The part without what another process finished meanwhile."""
        if part.missing:
            self.results.refresh()
        missing = [cell for cell in part.missing if cell.row_id not in self.results]
        return replace(part, missing=missing)

    def _part(self, model: Measurable, token_set: str) -> Part:
        choice, subject = self.choice, model.subject
        views = [v for v in choice.views if token_set == "prompt" or v != "head"]
        capture = Capture.of(
            *(model, token_set),
            sites=choice.sites,
            views=[*dict.fromkeys(map(subject.captured, views))],
            folder=self.results.folder,
        )
        wanted: dict[str, Any] = {
            "subject": subject,
            "estimators": choice.estimators,
            "sites": capture.sites,
            "views": views,
            "seeds": choice.seeds,
            "n_permutations": self.settings.permutations,
            "token_set": token_set,
        }
        wanted["anchor"] = anchor_of(wanted["sites"], choice.estimators)
        todo = cells(capture.fingerprint, model.task, **wanted)
        missing = [cell for cell in todo if cell.row_id not in self.results]
        return Part(capture, wanted, todo, missing)

    def _estimate(self, part: Part, task: Task) -> None:
        wanted, missing = dict(part.wanted), part.missing
        wanted["sites"] = list(dict.fromkeys(cell.site for cell in missing))
        wanted["histories"] = anchored(self.results, missing)
        left = {cell.row_id for cell in missing}
        wanted["done"] = {c.row_id for c in part.todo} - left
        with tqdm(total=len(missing), unit="estimate", disable=None) as bar:
            for measured in self._estimates(part.capture.store, task, wanted):
                keep(self.results, measured, task)
                bar.set_postfix_str(f"{measured.row.site} {measured.row.view}")
                bar.update()
        if self.settings.keep_activations:
            self.stores.append(part.capture.store)
        else:
            part.capture.forget()

    def _estimates(
        self, store: Path, task: Task, wanted: dict[str, Any]
    ) -> Iterator[Measured]:
        wanted = {**wanted, "config_sha": self.record.config_sha}
        if self.workers.jobs > 1:
            # All others wait for the anchor, whose choices they take.
            anchor = [site for site in wanted["sites"] if site == wanted["anchor"]]
            others = [site for site in wanted["sites"] if site != wanted["anchor"]]
            for sites in filter(None, (anchor, others)):
                order = {**wanted, "sites": sites}
                for measured in self.workers.measure(store, task, **order):
                    wanted["histories"][measured.row.row_id] = measured.estimate.history
                    yield measured
            return
        with limited_threads(self.workers.threads):
            yield from measure(load_activations(store), task, **wanted)

    def _forecast(self, model: Measurable, part: Part) -> None:
        if len(model.sources) > 1:
            print(f"  token set '{part.capture.token_set}':")
        print_forecast(
            self._costs(model, part),
            part.todo,
            part.missing,
            task=model.task,
            settings=self.settings,
            choice=self.choice,
            threads=self.workers.threads,
        )

    def _test_itself(self, model: Measurable, part: Part) -> None:
        self.record.told["self_tests"] = print_self_tests(
            self._costs(model, part),
            task=model.task,
            choice=self.choice,
            threads=self.workers.threads,
        )

    def _costs(self, model: Measurable, part: Part) -> dict[str, Any]:
        capture, size = part.capture, self.settings.batch_size
        source = model.sources[capture.token_set]
        return forecast(model.backbone, source, batch_size=size, **capture.told)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    return run_command(
        estimate,
        lambda given: parse_settings(
            Settings,
            given,
            program=PROGRAM,
            description="Measure how much hidden states know about a target, in nats.",
            positional="checkpoints",
        ),
        arguments,
        program=PROGRAM,
        resume="What is finished is kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
