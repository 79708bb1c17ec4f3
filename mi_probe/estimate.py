"""``python -m mi_probe.estimate``: I(Y;Z) and I(Y;Z_p) of saved checkpoints.

Writes a results folder (see `mi_probe.results`), a row as soon as it is finished; what
is finished is not computed again. Prints a table on stdout; everything else on stderr.
"""

import dataclasses
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Cell, cells, subject_of
from mi_probe.analysis.printed import (
    format_bytes,
    format_duration,
    format_table,
    heading,
)
from mi_probe.analysis.profiles import check_task, keep, measure
from mi_probe.backbones import Backbone, expand_checkpoints, load_backbone
from mi_probe.backbones.folders import find_folder, split_layers
from mi_probe.capture import extract, fingerprint_id, forecast
from mi_probe.capture.extract import plan
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
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    names = [n for given in settings.checkpoints for n in expand_checkpoints(given)]
    for name in names:  # a mistyped third one should not wait for two to be measured
        find_folder(
            split_layers(name)[0],
            revision=settings.revision,
            local_files_only=settings.local_files_only,
        )
    run = Run(settings, choice, task, results)
    try:
        for name in dict.fromkeys(names):
            run.measure(name)
    finally:  # what is finished is shown by the table too, whatever stopped the rest
        run.close()
    run.say_where()


class Run:
    """One run of the command over its checkpoints."""

    def __init__(self, settings: Settings, choice: Choice, task: Task, results: Results):
        self.settings, self.choice = settings, choice
        self.task, self.results = task, results
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
            "environment": environment(),
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
        todo = cells(planned.fingerprint, task, **wanted)
        missing = [cell for cell in todo if cell.row_id not in self.results]
        print(heading(backbone.name, task, planned.notes))
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
            states = extract(backbone, task, store=store, batch_size=batch, **capture)
            del backbone, planned  # estimating needs its memory more
            with tqdm(total=len(missing), unit="estimate", disable=None) as bar:
                for measured in measure(
                    states,
                    task,
                    config_sha=self.config_sha,
                    done=self.results,
                    **wanted,
                ):
                    keep(self.results, measured, task)
                    bar.set_postfix_str(f"{measured.row.site} {measured.row.view}")
                    bar.update()
            if settings.keep_activations:
                self.stores.append(store)
            else:
                shutil.rmtree(store)
        table = self.results.table()
        table = table.set_index("row_id", drop=False).loc[[c.row_id for c in todo]]
        print(format_table(table))
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
        size, time = found["bytes_on_disk"], found["seconds"]
        print(
            f"  capture: {found['rows']} rows, {found['tokens']} tokens, longest "
            f"{found['longest']}; {format_bytes(size)} on disk, about "
            f"{format_duration(time)}"
        )
        for name, shape in found["shapes"].items():
            print(f"    {name}: {' x '.join(map(str, shape))}")
        fits = len(missing) * (1 + self.settings.permutations)
        print(
            f"  estimates: {len(todo)}, of which {len(todo) - len(missing)} are "
            f"finished; {fits} runs of an estimator"
        )


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
