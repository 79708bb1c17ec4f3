"""Which estimates one checkpoint is asked for, of its states and of their controls."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import Cell, Subject, anchor_of, cells
from mi_probe.analysis.control_parts import (
    TextControl,
    captured_controls,
    text_controls,
)
from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.measuring import anchored, keep, measure_cells
from mi_probe.estimate_settings import Choice
from mi_probe.parts import Capture, Part
from mi_probe.row_files import is_finished
from mi_probe.runner import Run
from mi_probe.tasks import Task


@dataclass(frozen=True)
class Estimates:
    """How cells are estimated; see `mi_probe.parts.Work`."""

    task: Task = field(repr=False)
    """The rows, with the labels that are asked for."""
    told: dict[str, Any] = field(repr=False)
    """What `measure_cells` is told beside."""

    def is_finished(self, folder: Path, job: Cell) -> bool:
        """Whether its row is there as it was written."""
        return is_finished(folder, "rows", job.id)

    def make(self, states: Any, jobs: Sequence[Cell], folder: Path) -> Iterator[Cell]:
        """Estimate and write, one after the other."""
        known = anchored(folder, jobs)
        made = measure_cells(states, self.task, jobs, histories=known, **self.told)
        for job, measured in zip(jobs, made, strict=True):
            keep(folder, measured, self.task)
            yield job


def estimate_parts(
    choice: Choice, n_permutations: int, model: Measurable | MadeStates, run: Run
) -> list[Part]:
    """The parts of a model: a token set each, then its controls.

    Controls have no permutations: they are the null's kin.
    """
    sha = run.record.config_sha
    of = partial(_part, choice=choice, folder=run.results.folder, config_sha=sha)
    found = [
        of(
            *(model, model.task, token_set, model.subject, choice.sites),
            views=choice.views_of(token_set),
            seeds=choice.seeds,
            n_permutations=n_permutations,
        )
        for token_set in model.sources
    ]
    for text in text_controls(model, choice.controls, choice.estimators):
        found.append(_text_part(text, model.task, choice, sha))
    if isinstance(model, MadeStates):
        return found
    for one in captured_controls(
        *(model, choice.controls),
        sites=choice.sites,
        views=choice.views_of,
        seeds=choice.seeds,
    ):
        read = model if one.twin is None else one.twin()
        told = one.task, one.token_set, one.subject, one.sites
        part = of(read, *told, views=one.views, seeds=one.seeds)
        found.append(replace(part, twin=one.twin))
    return found


def _part(
    read: Measurable | MadeStates,
    task: Task,
    token_set: str,
    subject: Subject,
    sites: Any,
    *,
    views: Sequence[str],
    seeds: Sequence[int],
    choice: Choice,
    folder: Path,
    config_sha: str,
    n_permutations: int = 0,
) -> Part:
    capture = Capture.of(
        *(read, token_set),
        sites=sites,
        views=[*dict.fromkeys(map(subject.captured, views))],
        folder=folder,
    )
    told = {
        "subject": subject,
        "estimators": choice.estimators,
        "n_permutations": n_permutations,
        "token_set": token_set,
    }
    where = {
        "sites": capture.sites,
        "views": views,
        "seeds": seeds,
        "anchor": anchor_of(capture.sites, choice.estimators),
    }
    todo = cells(capture.fingerprint, task, **told, **where)
    work = Estimates(task, {**told, "config_sha": config_sha})
    return Part(work, todo, capture, control=subject.control)


def _text_part(text: TextControl, task: Task, choice: Choice, config_sha: str) -> Part:
    where = {"sites": [text.site], "views": [text.view], "seeds": choice.seeds}
    told = {"subject": text.subject, "estimators": text.estimators}
    todo = cells(text.fingerprint, task, **told, **where)
    return Part(
        Estimates(task, {**told, "config_sha": config_sha}),
        todo,
        ready=lambda part: replace(part, values=text.read()),
        control=text.subject.control,
    )
