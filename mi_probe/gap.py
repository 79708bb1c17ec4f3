"""``python -m mi_probe.gap``: I(Y;Z) - I(Y;Z_p) of saved checkpoints, as one quantity.

Two estimates beside each other say little of their difference; here both critics are
scored on the same held-out rows, and the difference is tested (see
`mi_probe.analysis.dpi`). Writes ``gaps.csv``, and on demand ``capacity.csv`` and
``noise.csv``, into a results folder (see `mi_probe.gap_results`), a piece as soon as it is
finished; what is finished is not computed again. Prints a table on stdout; everything else
on stderr.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from mi_probe.analysis.cells import Subject
from mi_probe.analysis.conditional_information import Given
from mi_probe.analysis.gap_pieces import Asked, Piece, measure_piece, pieces
from mi_probe.analysis.given import CHECKPOINT, SITE, given_notes
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.printed import (
    format_gaps,
    format_scores,
    heading,
)
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.verdict import read_together
from mi_probe.capture import load_activations
from mi_probe.capture.forecast import forecast
from mi_probe.command_line import parse_settings, run_command, say
from mi_probe.estimate_forecast import print_gap_forecast
from mi_probe.gap_given import Other, known_of, what_defines
from mi_probe.gap_results import GapResults
from mi_probe.gap_settings import PROGRAM, Settings
from mi_probe.results import Results
from mi_probe.run_settings import (
    checkpoint_names,
    chosen_sites,
    find_all,
    open_measurable,
    read_task,
)
from mi_probe.runs import Capture, RunRecord, alone_with, sizes_on_disk
from mi_probe.tasks import Task


def measure_gaps(settings: Settings) -> None:
    """Run the command.

    Raises:
        InputError: on a user's mistake; what was finished before it is kept.
    """
    asked = settings.asked()
    results = Results(settings.out, say)
    gaps = GapResults(settings.out, say, together=read_together)
    names = checkpoint_names(settings)
    task = read_task(settings, names)
    if task is not None:
        settings.check(task)
    find_all(settings, names)
    with limited_threads(settings.threads or torch.get_num_threads()):
        run = Run(settings, asked, task, results, gaps)
        try:
            for name in names:
                run.measure(name)
        finally:  # what is finished is in the tables too, whatever stopped the rest
            run.close()
    run.say_where()


@dataclass(frozen=True)
class Part:
    """The gaps of one token set of a model."""

    capture: Capture
    asked: Asked
    beside: Mapping[str, str]
    """The site of each that is given by ``site:NAME``."""
    todo: list[Piece] = field(repr=False)
    missing: list[Piece] = field(repr=False)


class Run:
    """One run of the command over its checkpoints."""

    def __init__(
        self,
        settings: Settings,
        asked: Asked,
        task: Task | None,
        results: Results,
        gaps: GapResults,
    ):
        self.settings, self.asked, self.task = settings, asked, task
        self.results, self.gaps = results, gaps
        self.record = RunRecord(
            *(results, settings, task),
            program=PROGRAM,
            aside=("dry_run",),
            threads_per_estimate=torch.get_num_threads(),
        )
        self.written: list[Path] = []
        self.stores: list[Path] = []
        self.others: dict[str, Other] = {}

    def measure(self, name: str) -> None:
        """One checkpoint: capture what is needed, measure, print its table."""
        dry = self.settings.dry_run
        for given in self.asked.given:
            if not dry and given.startswith(CHECKPOINT) and given not in self.others:
                told = self.settings, self.task, self.results
                self.others[given] = Other.of(given, *told)
        model = open_measurable(self.settings, name, self.task, write=not dry)
        task, subject = model.task, model.subject
        self.settings.check(task)
        parts = [self._part(model, token_set) for token_set in model.sources]
        notes = [*model.notes, *given_notes(self.asked.given, task)]
        notes += [note for part in parts for note in part.capture.notes]
        print(heading(model.backbone.name, task, [*dict.fromkeys(notes)]))
        if model.scores:
            print(f"  its own answers: {format_scores(model.scores)}")
        if dry:
            for part in parts:
                self._forecast(model, part)
            return
        self.record.add(name, model)
        with alone_with((part.capture.store for part in parts if part.missing), say):
            parts = [self._left(part) for part in parts]
            for part in parts:
                if part.missing:
                    part.capture.extract(model, self.settings.batch_size)
            left = [p.poolings[0] for part in parts for p in part.missing if p.given]
            known = known_of(left, model, self.others)
            del model  # measuring needs its memory more
            for part in parts:
                if part.missing:
                    self._fill(part, task, subject, known)
        todo = [piece.piece_id for part in parts for piece in part.todo]
        print(format_gaps(self.gaps.rows("gap", todo), self.gaps.rows("capacity", todo)))
        done = len(todo) - sum(len(part.missing) for part in parts)
        if done:
            print(f"{done} of {len(todo)} were finished before.")
        print()

    def close(self) -> None:
        """Rebuild the tables from the finished pieces."""
        if not self.settings.dry_run and self.record.close():
            self.written = self.gaps.write_tables()

    def say_where(self) -> None:
        """Say where things were written."""
        if self.settings.dry_run:
            print("Dry run: nothing was written.")
            return
        print(f"Tables: {', '.join(map(str, self.written))}")
        for line in sizes_on_disk(self.stores):
            print(line)

    def _forecast(self, model: Measurable, part: Part) -> None:
        source, size = model.sources[part.capture.token_set], self.settings.batch_size
        costs = forecast(model.backbone, source, batch_size=size, **part.capture.told)
        finished = len(part.todo) - len(part.missing)
        told = {"out": self.settings.out, "estimator": self.asked.critic}
        print_gap_forecast(costs, len(part.todo), finished, task=model.task, **told)

    def _left(self, part: Part) -> Part:
        """The part without what another process finished meanwhile."""
        if part.missing:
            self.gaps.refresh()
        missing = [piece for piece in part.missing if piece.piece_id not in self.gaps]
        return replace(part, missing=missing)

    def _part(self, model: Measurable, token_set: str) -> Part:
        last = model.backbone.sites[-1].name
        given = self.settings.sites
        asked = model.sites(token_set, [last] if given is None else chosen_sites(given))
        wanted = [site.name for site in model.backbone.select(asked)]
        beside = {
            name: model.backbone.select([name.removeprefix(SITE)])[0].name
            for name in self.asked.given
            if name.startswith(SITE)
        }
        capture = Capture.of(
            *(model, token_set),
            sites=list(dict.fromkeys([*wanted, *beside.values()])),
            views=["full"],
            folder=self.results.folder,
        )
        asked_here = self._enough_draws(len(wanted))
        todo = pieces(
            capture.fingerprint,
            model.task,
            asked_here,
            subject=model.subject,
            sites=[site for site in capture.sites if site in wanted],
            token_set=token_set,
            given=what_defines(self.asked.given, model, self.others),
        )
        missing = [piece for piece in todo if piece.piece_id not in self.gaps]
        return Part(capture, asked_here, beside, todo, missing)

    def _enough_draws(self, sites: int) -> Asked:
        """As many draws as a p-value needs that is corrected for all gaps of a family."""
        if self.settings.draws is not None:
            return self.asked
        tests = sites * max(len(self.asked.poolings), len(self.asked.given))
        return replace(self.asked, n_draws=max(self.asked.n_draws, 40 * tests - 1))

    def _fill(
        self, part: Part, task: Task, subject: Subject, known: Mapping[str, Given]
    ) -> None:
        states = load_activations(part.capture.store)
        sites = {name: states.pooled(site, "mean") for name, site in part.beside.items()}
        held, z = "", None
        with tqdm(total=len(part.missing), unit="gap", disable=None) as bar:
            for piece in part.missing:
                bar.set_postfix_str(f"{part.capture.token_set} {piece.words}")
                if z is None or held != piece.site:
                    z = None  # let go of the last ones before reading the next
                    held, z = piece.site, states.hidden(piece.site)
                rows = measure_piece(
                    *(piece, z, task, part.asked),
                    subject=subject,
                    token_set=part.capture.token_set,
                    config_sha=self.record.config_sha,
                    given={**known, **sites},
                )
                self.gaps.add(piece.piece_id, piece.kind, piece.key, rows)
                bar.update()
        if self.settings.keep_activations:
            self.stores.append(part.capture.store)
        else:
            part.capture.forget()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and give the exit code."""
    return run_command(
        measure_gaps,
        lambda given: parse_settings(
            Settings,
            given,
            program=PROGRAM,
            description="Measure what pooling hidden states loses of a target, in nats.",
            positional="checkpoints",
        ),
        arguments,
        program=PROGRAM,
        resume="What is finished is kept: the same command goes on from there.",
    )


if __name__ == "__main__":
    sys.exit(main())
