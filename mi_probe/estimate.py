"""``python -m mi_probe.estimate``: I(Y;Z) and I(Y;Z_p) of saved checkpoints.

Writes a results folder (see `mi_probe.results`), a row as soon as it is finished; what
is finished is not computed again. Prints a table on stdout; everything else on stderr.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Cell
from mi_probe.analysis.control_parts import not_made
from mi_probe.analysis.control_points import control_sentences
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.measuring import (
    InMemory,
    Measured,
    anchored,
    check_task,
    in_network_order,
    keep,
    measure,
)
from mi_probe.analysis.printed import (
    format_controls,
    format_scores,
    format_table,
    heading,
)
from mi_probe.analysis.summaries import over_seeds
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.workers import Workers
from mi_probe.capture import forecast, load_activations
from mi_probe.command_line import parse_settings, run_command, say
from mi_probe.estimate_forecast import print_forecast, print_self_tests
from mi_probe.estimate_parts import Part, Parts, TextPart
from mi_probe.estimate_settings import PROGRAM, Choice, Settings
from mi_probe.results import Results
from mi_probe.run_settings import (
    checkpoint_names,
    find_all,
    open_measurable,
    read_task,
)
from mi_probe.runs import RunRecord, alone_with, sizes_on_disk
from mi_probe.tasks import Task

AnyPart = TypeVar("AnyPart", Part, TextPart)


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
        made = Parts(
            *(model, self.choice),
            n_permutations=settings.permutations,
            folder=self.results.folder,
            finished=self.results,
        )
        states, texts = made.states(), made.texts()
        controls = [*made.captured()]
        notes = [*model.notes, *(note for part in states for note in part.capture.notes)]
        notes += not_made(model, self.choice.controls)
        print(heading(model.backbone.name, task, [*dict.fromkeys(notes)]))
        if model.scores:
            print(f"  its own answers: {format_scores(model.scores)}")
        if settings.self_test:
            self._test_itself(model, states[0])
        if settings.dry_run:
            for part in states:
                self._forecast(model, part)
            if texts or controls:
                print(format_controls([*texts, *controls]))
            return
        self.record.add(name, model)
        parts = [*states, *controls]
        with alone_with((part.capture.store for part in parts if part.missing), say):
            parts, texts = [*map(self._left, parts)], [*map(self._left, texts)]
            for part in parts:
                if part.missing and part.twin is None:
                    part.capture.extract(model, settings.batch_size)
            read = [
                (part.wanted, part.finished, part.made.read())
                for part in texts
                if part.missing
            ]
            whole = [*parts, *texts]
            shown = [(part.todo, part.order) for part in whole]
            done = sum(len(part.todo) - len(part.missing) for part in whole)
            # Estimating needs its memory more.
            del model, made, texts, whole
            for part in parts[: len(states)]:
                if part.missing:
                    self._estimate(part)
            for wanted, finished, values in read:
                self._estimate_text(values, task, wanted, finished)
            for part in parts[len(states) :]:
                if part.missing:
                    if part.twin is not None:
                        part.capture.extract(part.twin(), settings.batch_size)
                    self._estimate(part)
            self._let_go([part for part in parts if part.missing])
        self._show(shown, len(states), done)

    def _show(
        self, shown: list[tuple[list[Cell], list[str]]], states: int, done: int
    ) -> None:
        """Print the rows of the states, then those of the controls, and what they say.

        Args:
            shown: cells of each part, with its sites in order; the states' come first.
            states: parts of the states.
            done: estimates that were finished before.
        """
        table = self.results.table()
        rows = [in_network_order(table, *one) for one in shown]
        whole = pd.concat(rows, ignore_index=True)
        print(format_table(pd.concat(rows[:states], ignore_index=True)))
        if len(rows) > states:
            print(format_table(pd.concat(rows[states:], ignore_index=True)))
            for sentence in control_sentences(over_seeds(whole)):
                print(sentence)
        if done:
            print(f"{done} of {len(whole)} were finished before.")
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

    def _left(self, part: AnyPart) -> AnyPart:
        """The part without what another process finished meanwhile."""
        if part.missing:
            self.results.refresh()
        missing = [cell for cell in part.missing if cell.row_id not in self.results]
        return replace(part, missing=missing)

    def _estimate_text(
        self, values: InMemory, task: Task, wanted: dict[str, Any], done: set[str]
    ) -> None:
        told = {**wanted, "done": done, "config_sha": self.record.config_sha}
        with limited_threads(self.workers.threads):
            for measured in measure(values, task, **told):
                keep(self.results, measured, task)

    def _estimate(self, part: Part) -> None:
        wanted, missing = dict(part.wanted), part.missing
        wanted["sites"] = list(dict.fromkeys(cell.site for cell in missing))
        wanted["histories"] = anchored(self.results, missing)
        wanted["done"] = part.finished
        told = part.control or None
        with tqdm(total=len(missing), unit="estimate", desc=told, disable=None) as bar:
            for measured in self._estimates(part.capture.store, part.task, wanted):
                keep(self.results, measured, part.task)
                bar.set_postfix_str(f"{measured.row.site} {measured.row.view}")
                bar.update()

    def _let_go(self, parts: list[Part]) -> None:
        """Keep or remove the states, once all that reads them is finished."""
        for store, part in {part.capture.store: part for part in parts}.items():
            if self.settings.keep_activations:
                self.stores.append(store)
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
