"""``python -m mi_probe.estimate``: I(Y;Z) and I(Y;Z_p) of saved checkpoints.

Writes a results folder (see `mi_probe.results`), a row as soon as it is finished; what
is finished is not computed again. Prints a table on stdout; everything else on stderr.
"""

import dataclasses
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Cell, anchor_of, cells, subject_of
from mi_probe.analysis.measuring import (
    Measured,
    anchored,
    check_task,
    in_network_order,
    keep,
    measure,
)
from mi_probe.analysis.printed import (
    format_bytes,
    format_duration,
    format_table,
    format_timings,
    heading,
)
from mi_probe.analysis.self_test import self_test_at
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.timing import time_estimators
from mi_probe.analysis.workers import Workers
from mi_probe.backbones import Backbone, expand_checkpoints, load_backbone
from mi_probe.backbones.folders import find_folder, split_layers
from mi_probe.capture import extract, fingerprint_id, forecast, load_activations
from mi_probe.capture.plan import plan
from mi_probe.capture.sizes import free_bytes
from mi_probe.command_line import exit_code, parse_settings
from mi_probe.estimate_settings import PROGRAM, Choice, Settings, read_task
from mi_probe.provenance import environment, now
from mi_probe.results import Results, digest
from mi_probe.tasks import Task


def estimate(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    choice = Choice.of(settings)
    results = Results(settings.out)
    task = read_task(settings)
    check_task(task, choice.estimators)
    names = [n for given in settings.checkpoints for n in expand_checkpoints(given)]
    for name in names:  # a mistyped third one should not wait for two to be measured
        find_folder(
            split_layers(name)[0],
            revision=settings.revision,
            local_files_only=settings.local_files_only,
        )
    threads = settings.threads or torch.get_num_threads()
    # For an estimate, one job's share: the same whether it is made here or by a worker.
    workers = Workers(settings.jobs, max(1, threads // settings.jobs))
    with limited_threads(threads), workers:
        run = Run(settings, choice, task, results, workers)
        try:
            for name in dict.fromkeys(names):
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
        task: Task,
        results: Results,
        workers: Workers,
    ):
        self.settings, self.choice = settings, choice
        self.task, self.results, self.workers = task, results, workers
        config = dataclasses.asdict(settings)
        # Where things go does not change what they are.
        for name in ("out", "keep_activations", "dry_run"):
            config.pop(name)
        self.config_sha = digest(config)
        self.record: dict[str, Any] = {
            "run_id": f"{now()}-{self.config_sha}",
            "command": PROGRAM,
            "config": config,
            "config_sha": self.config_sha,
            "started": now(),
            "environment": {**environment(), "threads_per_estimate": workers.threads},
            "task": {
                "name": task.name,
                "source": task.source,
                "sha256": task.sha256(),
                "rows": len(task),
                "target": task.target,
                "notes": task.notes,
            },
            "models": [],
        }
        self.stores: list[Path] = []

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, estimate, print its table."""
        settings, choice, task = self.settings, self.choice, self.task
        backbone = load_backbone(
            name,
            revision=settings.revision,
            local_files_only=settings.local_files_only,
            dtype=settings.dtype,
            device=settings.device,
        )
        capture: dict[str, Any] = {
            "sites": choice.sites,
            "views": choice.views,
            "max_tokens": settings.max_tokens,
        }
        planned = plan(backbone, task, **capture)
        wanted: dict[str, Any] = {
            "subject": subject_of(backbone),
            "estimators": choice.estimators,
            # In the network's order, which is the order of the table.
            "sites": [site.name for site in planned.sites],
            "views": choice.views,
            "seeds": choice.seeds,
            "n_permutations": settings.permutations,
        }
        sites = wanted["sites"]
        wanted["anchor"] = anchor_of(sites, choice.estimators)
        todo = cells(planned.fingerprint, task, **wanted)
        missing = [cell for cell in todo if cell.row_id not in self.results]
        print(heading(backbone.name, task, planned.notes))
        if settings.self_test:
            self._test_itself(backbone, capture)
        if settings.dry_run:
            self._forecast(backbone, capture, todo, missing)
            return
        self.record["models"].append(
            {"name": backbone.name, "fingerprint": backbone.fingerprint}
        )
        self.results.record(self.record)
        if missing:
            folder = self.results.folder / "activations"
            store = folder / fingerprint_id(planned.fingerprint)
            batch = settings.batch_size
            extract(backbone, task, store=store, batch_size=batch, **capture)
            del backbone, planned  # estimating needs its memory more
            wanted["sites"] = list(dict.fromkeys(cell.site for cell in missing))
            wanted["histories"] = anchored(self.results, missing)
            wanted["done"] = {c.row_id for c in todo} - {c.row_id for c in missing}
            with tqdm(total=len(missing), unit="estimate", disable=None) as bar:
                for measured in self._estimates(store, wanted):
                    keep(self.results, measured, task)
                    bar.set_postfix_str(f"{measured.row.site} {measured.row.view}")
                    bar.update()
            if settings.keep_activations:
                self.stores.append(store)
            else:
                shutil.rmtree(store)
        print(format_table(in_network_order(self.results.table(), todo, sites)))
        if len(missing) < len(todo):
            print(f"{len(todo) - len(missing)} of {len(todo)} were finished before.")
        print()

    def close(self) -> None:
        """Rebuild the table from the finished rows."""
        if not self.settings.dry_run and self.record["models"]:
            self.results.record({**self.record, "ended": now()})
            self.results.write_table()

    def say_where(self) -> None:
        """Say where things were written."""
        if self.settings.dry_run:
            print("Dry run: nothing was written.")
            return
        out = self.results.folder
        print(f"Results: {out / 'results.csv'}, one file an estimate in {out / 'rows'}")
        for store in self.stores:
            size = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
            print(f"Hidden states: {store} ({format_bytes(size)})")

    def _estimates(self, store: Path, wanted: dict[str, Any]) -> Iterator[Measured]:
        wanted = {**wanted, "config_sha": self.config_sha}
        if self.workers.jobs > 1:
            # All others wait for the anchor, whose choices they take.
            anchor = [site for site in wanted["sites"] if site == wanted["anchor"]]
            others = [site for site in wanted["sites"] if site != wanted["anchor"]]
            for sites in filter(None, (anchor, others)):
                order = {**wanted, "sites": sites}
                for measured in self.workers.measure(store, self.task, **order):
                    wanted["histories"][measured.row.row_id] = measured.estimate.history
                    yield measured
            return
        with limited_threads(self.workers.threads):
            yield from measure(load_activations(store), self.task, **wanted)

    def _test_itself(self, backbone: Backbone, capture: dict[str, Any]) -> None:
        """How much of known information each estimator recovers at this run's size."""
        found: dict[str, Any] = forecast(
            backbone, self.task, batch_size=self.settings.batch_size, **capture
        )
        tests = []
        for kind, shape in _largest(found["shapes"]).items():
            for name, estimator in self.choice.estimators.items():
                print(f"  self-test of {name} on {kind} states", flush=True)
                with limited_threads(self.workers.threads):
                    test = self_test_at(estimator, self.task, shape[1:])
                print(f"    {test.sentence}")
                tests.append(
                    {
                        "estimator": name,
                        "states": kind,
                        "shape": shape,
                        "sentence": test.sentence,
                        "table": test.table.to_dict("records"),
                    }
                )
        self.record["self_tests"] = tests

    def _forecast(
        self,
        backbone: Backbone,
        capture: dict[str, Any],
        todo: list[Cell],
        missing: list[Cell],
    ) -> None:
        found: dict[str, Any] = forecast(
            backbone, self.task, batch_size=self.settings.batch_size, **capture
        )
        size, shapes = found["bytes_on_disk"], found["shapes"]
        print(
            f"  capture: {found['rows']} rows, {found['tokens']} tokens, longest "
            f"{found['longest']}; {format_bytes(size)} on disk "
            f"({format_bytes(free_bytes(self.results.folder))} free), about "
            f"{format_duration(found['seconds'])}"
        )
        for name, shape in shapes.items():
            print(f"    {name}: {' x '.join(map(str, shape))}")
        runs = 1 + self.settings.permutations
        print(
            f"  estimates: {len(todo)}, of which {len(todo) - len(missing)} are "
            f"finished; {len(missing) * runs} runs of an estimator"
        )
        if missing:
            with limited_threads(self.workers.threads):
                timings = time_estimators(
                    self.choice.estimators, self.task, _largest(shapes)
                )
            print(
                format_timings(
                    timings,
                    [(cell.estimator, _kind(cell.view)) for cell in missing],
                    rows=len(self.task),
                    runs=1 + self.settings.permutations,
                    # A site is one worker's, so more workers than sites are no help.
                    jobs=min(self.settings.jobs, len({cell.site for cell in missing})),
                    threads=self.workers.threads,
                )
            )


def _largest(shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """One shape for all poolings, and one for all sites."""
    largest: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        kind = _kind(name.partition("/")[0])
        largest[kind] = max(largest.get(kind, ()), tuple(shape))
    return largest


def _kind(view: str) -> str:
    return "full" if view == "full" else "pooled"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def command() -> None:
        settings = parse_settings(
            Settings,
            given,
            program=PROGRAM,
            description="Measure how much hidden states know about a target, in nats.",
            positional="checkpoints",
        )
        estimate(settings)

    return exit_code(
        command,
        program="mi_probe.estimate",
        resume="What is finished is kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
