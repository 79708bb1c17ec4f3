"""``python -m mi_probe.gap``: I(Y;Z) - I(Y;Z_p) of saved checkpoints, as one quantity.

Two estimates beside each other say little of their difference; here both critics are
scored on the same held-out rows, and the difference is tested (see
`mi_probe.analysis.dpi`). Writes ``gaps.csv``, and on demand ``capacity.csv`` and
``noise.csv``, into a results folder (see `mi_probe.gap_results`), a piece as soon as it is
finished; what is finished is not computed again. Prints a table on stdout; everything else
on stderr.
"""

import dataclasses
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Subject, subject_of
from mi_probe.analysis.gap_pieces import Asked, Piece, measure_piece, pieces
from mi_probe.analysis.measuring import check_task
from mi_probe.analysis.printed import format_bytes, format_gaps, heading
from mi_probe.analysis.threads import limited_threads
from mi_probe.capture import extract, fingerprint_id, load_activations
from mi_probe.capture.plan import plan
from mi_probe.command_line import exit_code, listed, parse_settings
from mi_probe.gap_results import GapResults
from mi_probe.gap_settings import PROGRAM, Settings
from mi_probe.provenance import environment, now
from mi_probe.results import Results, digest
from mi_probe.run_settings import checkpoint_names, load_named, read_task
from mi_probe.tasks import Task


def measure_gaps(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    asked = settings.asked()
    results, gaps = Results(settings.out), GapResults(settings.out)
    task = read_task(settings)
    check_task(task, {asked.estimator: asked.critic})
    settings.check(task)
    names = checkpoint_names(settings)
    with limited_threads(settings.threads or torch.get_num_threads()):
        run = Run(settings, asked, task, results, gaps)
        try:
            for name in names:
                run.measure(name)
        finally:  # what is finished is in the tables too, whatever stopped the rest
            run.close()
    run.say_where()


class Run:
    """One run of the command over its checkpoints."""

    def __init__(
        self,
        settings: Settings,
        asked: Asked,
        task: Task,
        results: Results,
        gaps: GapResults,
    ):
        self.settings, self.asked, self.task = settings, asked, task
        self.results, self.gaps = results, gaps
        config = dataclasses.asdict(settings)
        # Where things go does not change what they are.
        for name in ("out", "keep_activations"):
            config.pop(name)
        self.config_sha = digest(config)
        self.record: dict[str, Any] = {
            "run_id": f"{now()}-{self.config_sha}",
            "command": PROGRAM,
            "config": config,
            "config_sha": self.config_sha,
            "started": now(),
            "environment": {
                **environment(),
                "threads_per_estimate": torch.get_num_threads(),
            },
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
        self.written: list[Path] = []
        self.stores: list[Path] = []

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, measure, print its table."""
        settings, task = self.settings, self.task
        backbone = load_named(settings, name)
        sites: Any = [backbone.sites[-1].name]
        if settings.sites is not None:
            sites = listed(settings.sites, "sites")
        capture: dict[str, Any] = {
            "sites": "all" if sites == ["all"] else sites,
            "views": ["full"],
            "max_tokens": settings.max_tokens,
        }
        planned = plan(backbone, task, **capture)
        subject = subject_of(backbone)
        todo = pieces(
            planned.fingerprint,
            task,
            self.asked,
            subject=subject,
            sites=[site.name for site in planned.sites],
        )
        missing = [piece for piece in todo if piece.piece_id not in self.gaps]
        print(heading(backbone.name, task, planned.notes))
        self.record["models"].append(
            {"name": backbone.name, "fingerprint": backbone.fingerprint}
        )
        self.results.record(self.record)
        if missing:
            store = self.results.folder / "activations"
            store /= fingerprint_id(planned.fingerprint)
            batch = settings.batch_size
            extract(backbone, task, store=store, batch_size=batch, **capture)
            del backbone, planned  # measuring needs its memory more
            self._fill(store, missing, subject)
            if settings.keep_activations:
                self.stores.append(store)
            else:
                shutil.rmtree(store)
        done = [piece.piece_id for piece in todo]
        print(format_gaps(self.gaps.rows("gap", done), self.gaps.rows("capacity", done)))
        if len(missing) < len(todo):
            print(f"{len(todo) - len(missing)} of {len(todo)} were finished before.")
        print()

    def close(self) -> None:
        """Rebuild the tables from the finished pieces."""
        if self.record["models"]:
            self.results.record({**self.record, "ended": now()})
            self.written = self.gaps.write_tables()

    def say_where(self) -> None:
        """Say where things were written."""
        print(f"Tables: {', '.join(map(str, self.written))}")
        for store in self.stores:
            size = sum(f.stat().st_size for f in store.rglob("*") if f.is_file())
            print(f"Hidden states: {store} ({format_bytes(size)})")

    def _fill(self, store: Path, missing: list[Piece], subject: Subject) -> None:
        states = load_activations(store)
        held, z = "", None
        with tqdm(total=len(missing), unit="gap", disable=None) as bar:
            for piece in missing:
                bar.set_postfix_str(piece.words)
                if z is None or held != piece.site:
                    z = None  # let go of the last ones before reading the next
                    held, z = piece.site, states.hidden(piece.site)
                rows = measure_piece(
                    *(piece, z, self.task, self.asked),
                    subject=subject,
                    config_sha=self.config_sha,
                )
                self.gaps.add(piece.piece_id, piece.kind, piece.key, rows)
                bar.update()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)

    def command() -> None:
        settings = parse_settings(
            Settings,
            given,
            program=PROGRAM,
            description="Measure what pooling hidden states loses of a target, in nats.",
            positional="checkpoints",
        )
        measure_gaps(settings)

    return exit_code(
        command,
        program="mi_probe.gap",
        resume="What is finished is kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
