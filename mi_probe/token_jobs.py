"""Which token tables one checkpoint is asked for, and how those of a site are made."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import Job, states_key
from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.tokens.files import is_finished, write_token_tables
from mi_probe.analysis.tokens.measuring import measure_tokens
from mi_probe.capture import Sequences
from mi_probe.command_line import say
from mi_probe.errors import InputError
from mi_probe.opening import open_measurable
from mi_probe.parts import Capture, Part
from mi_probe.provenance import now
from mi_probe.runner import Run
from mi_probe.tasks import Task
from mi_probe.token_settings import TokenSettings

UNREAD = "(unread)"
"""Stands for an answer that names no class."""


@dataclass
class TokenMaps:
    """How a site's tables are made; see `mi_probe.parts.Work`.

    Gradients and attention need the model itself. It does not go to other processes: each
    opens it anew.
    """

    model: Measurable | None = field(repr=False)
    settings: TokenSettings
    opened_as: tuple[str, Task | None] = field(repr=False)
    """The checkpoint's name, and the rows that it was told."""
    data: Sequences = field(repr=False)
    """What the model reads of each row."""
    about: dict[str, Any] = field(repr=False)
    """What the tables' JSON file says of the model and the run."""

    def __getstate__(self) -> dict[str, Any]:
        """All but the model."""
        return {**vars(self), "model": None}

    def is_finished(self, folder: Path, job: Job) -> bool:
        """Whether its tables are there as they were written."""
        return is_finished(folder, job.key, lambda _: None)

    def make(self, states: Any, jobs: Sequence[Job], folder: Path) -> Iterator[Job]:
        """Measure and write the tables of sites."""
        if self.model is None:
            opened = open_measurable(self.settings, *self.opened_as)
            assert isinstance(opened, Measurable)
            self.model = opened
        model, settings = self.model, self.settings
        for job in jobs:
            tables = measure_tokens(
                model.backbone,
                model.task,
                self.data,
                states.states(job.site, None),
                answers=predicted_words(model),
                compare=settings.compare,
                controls=settings.chosen_controls(),
                spans=settings.chosen_spans(),
                batch_size=settings.batch_size,
                seed=settings.seed,
            )
            subject = model.subject
            where = {
                "site": job.site,
                "layer": subject.layers[job.site],
                "n_layers": subject.depths[job.site],
                "created": now(),
            }
            write_token_tables(folder, job.key, {**self.about, **where}, tables)
            yield job


def token_part(
    model: Measurable | MadeStates,
    settings: TokenSettings,
    sites: str | list[str],
    run: Run,
) -> Part:
    """The token tables of a model, a job a site.

    Raises:
        InputError: for states without their model.
    """
    if isinstance(model, MadeStates):
        raise InputError(
            "checkpoints of this command must be models, whose tokenizer names the tokens; "
            f"'{model.name}' holds states alone. Name the model, or measure them with "
            "mi-probe estimate or gap."
        )
    subject, task = model.subject, model.task
    token_set = "all" if "all" in model.sources else "prompt"
    folder = Path(settings.out)
    capture = Capture.of(model, token_set, sites=sites, views=["full"], folder=folder)
    common = {
        **states_key(capture.fingerprint, task, subject, token_set),
        "subject": subject.model,
        "compare": settings.compare,
        "controls": list(settings.chosen_controls()),
        "spans": settings.spans,
        "seed": settings.seed,
    }
    about = {
        **subject.named(task),
        "adapter_sha": subject.adapter_sha,
        "token_set": token_set,
        "notes": [*task.notes, *model.notes, *capture.notes],
        "scores": dict(model.scores),
        "settings": run.record.told["config"],
        "versions": run.record.told["environment"],
    }
    todo = [
        Job(site=site, words=site, key={**common, "site": site}) for site in capture.sites
    ]
    for job in todo:
        is_finished(folder, job.key, say)  # names those that are damaged
    assert capture.data is not None
    work = TokenMaps(model, settings, (run.name, run.task), capture.data, about)
    return Part(work, todo, capture)


def predicted_words(model: Measurable) -> list[str] | None:
    """The class that the model answered, by name; None where it was not asked."""
    names = model.task.label_names
    if model.answers is None or names is None:
        return None
    return [UNREAD if math.isnan(v) else names[int(v)] for v in model.answers.values]
