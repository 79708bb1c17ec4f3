"""Which gaps one checkpoint is asked for, and what ``--given`` of them names.

Another site's states are captured with the model's own. All else that is given is known
before the model is let go of: other checkpoints, what texts and columns say, and the
model's own answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mi_probe.analysis.cells import of_states
from mi_probe.analysis.conditional_information import Given
from mi_probe.analysis.gap_pieces import Asked, Piece, measure_piece, pieces
from mi_probe.analysis.given import CHECKPOINT, SITE, check_answers, given_by
from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.capture import load_activations
from mi_probe.command_line import say
from mi_probe.errors import InputError
from mi_probe.gap_settings import Settings
from mi_probe.opening import open_measurable
from mi_probe.parts import Capture, Part
from mi_probe.results import Results
from mi_probe.row_files import is_finished, write_finished
from mi_probe.run_settings import RunSettings, chosen_sites
from mi_probe.runs import alone_with
from mi_probe.tasks import Task


@dataclass(frozen=True, eq=False)
class Other:
    """States of another checkpoint, of the same rows."""

    states: torch.Tensor
    fingerprint: Mapping[str, object]
    task: Task

    @classmethod
    def of(
        cls, given: str, settings: RunSettings, task: Task | None, results: Results
    ) -> "Other":
        """The mean of the last site's states of the checkpoint that a name stands for."""
        model = open_measurable(settings, given.removeprefix(CHECKPOINT), task)
        capture = Capture.of(
            *(model, "prompt"),
            sites=[model.deepest],
            views=["mean"],
            folder=results.folder,
        )
        with alone_with([] if capture.made else [capture.store], say):
            capture.extract(model, settings.batch_size)
            pooled = load_activations(capture.store).pooled(capture.sites[0], "mean")
        return cls(pooled, capture.fingerprint, model.task)

    def check(self, name: str, task: Task) -> None:
        """Refuse other rows.

        Raises:
            InputError: if the rows are not the task's.
        """
        if self.task.sha256() != task.sha256():
            raise InputError(
                f"given '{name}' must be of the same rows as what is measured; it is of "
                f"{len(self.task)} rows of '{self.task.name}', they of {len(task)} of "
                f"'{task.name}'."
            )


@dataclass(frozen=True)
class Gaps:
    """How pieces are measured; see `mi_probe.parts.Work`."""

    task: Task = field(repr=False)
    asked: Asked
    told: Mapping[str, Any] = field(repr=False)
    """What else `measure_piece` is told: subject, token set, the run's hash."""
    beside: Mapping[str, str]
    """The site of each that is given by ``site:NAME``."""
    known: Mapping[str, Given] = field(default_factory=dict, repr=False)
    """All else that is given."""

    def is_finished(self, folder: Path, job: Piece) -> bool:
        """Whether it is there as it was written."""
        return is_finished(folder, "gaps", job.id)

    def make(self, states: Any, jobs: Sequence[Piece], folder: Path) -> Iterator[Piece]:
        """Measure and write the pieces of one site."""
        sites = {name: states.pooled(site, "mean") for name, site in self.beside.items()}
        given, z = {**self.known, **sites}, states.states(jobs[0].site, None)
        for job in jobs:
            rows = measure_piece(job, z, self.task, self.asked, given=given, **self.told)
            write_finished(folder, rows, job.key)
            yield job


def gap_part(
    model: Measurable | MadeStates,
    token_set: str,
    asked: Asked,
    settings: Settings,
    others: Mapping[str, Other],
    config_sha: str,
) -> Part:
    """The gaps of one token set of a model.

    Args:
        model: what is measured.
        token_set: which of its states.
        asked: what is measured at every site.
        settings: of the command.
        others: the checkpoints that are given, by name.
        config_sha: the hash of the run's settings.

    Raises:
        InputError: for a checkpoint of other rows, and answers of a model that gives none.
    """
    named = [model.deepest] if settings.sites is None else chosen_sites(settings.sites)
    wanted = model.chosen(token_set, named)
    beside = {
        name: model.chosen(token_set, [name.removeprefix(SITE)])[0]
        for name in asked.given
        if name.startswith(SITE)
    }
    capture = Capture.of(
        *(model, token_set),
        sites=list(dict.fromkeys([*wanted, *beside.values()])),
        views=["full"],
        folder=Path(settings.out),
    )
    if settings.draws is None:
        # As many as a p-value needs that is corrected for all gaps of a family.
        tests = len(wanted) * max(len(asked.poolings), len(asked.given))
        asked = replace(asked, n_draws=max(asked.n_draws, 40 * tests - 1))
    told: dict[str, Any] = {"subject": model.subject, "token_set": token_set}
    todo = pieces(
        *(capture.fingerprint, model.task, asked),
        sites=[site for site in capture.sites if site in wanted],
        given=what_defines(asked.given, model, others),
        **told,
    )
    told["config_sha"] = config_sha

    def ready(part: Part) -> Part:
        names = {one.poolings[0] for one in part.missing if one.given} - {*beside}
        known = {n: others[n].states if n in others else given_by(n, model) for n in names}
        return replace(part, work=replace(work, known=known))

    work = Gaps(model.task, asked, told, beside)
    return Part(work, todo, capture, ready=ready)


def what_defines(
    names: Sequence[str], model: Measurable | MadeStates, others: Mapping[str, Other]
) -> dict[str, object]:
    """What each that is given depends on beside the rows and the model's prompts.

    Raises:
        InputError: for a checkpoint of other rows, and answers of a model that gives none.
    """
    found: dict[str, object] = {}
    for name, other in others.items():
        other.check(name, model.task)
        found[name] = of_states(other.fingerprint)
    if "answer" in names:
        check_answers(model)
        assert model.own is not None
        found["answer"] = dict(model.own.key)
    return found
