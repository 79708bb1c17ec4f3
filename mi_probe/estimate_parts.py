"""Which estimates one checkpoint is asked for: of its states, and of their controls."""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import Cell, anchor_of, cells
from mi_probe.analysis.control_parts import (
    TextControl,
    captured_controls,
    text_controls,
)
from mi_probe.analysis.measurables import Measurable
from mi_probe.estimate_settings import Choice
from mi_probe.runs import Capture
from mi_probe.tasks import Task


@dataclass(frozen=True)
class Part:
    """The estimates of one token set of a model, or of a control of it."""

    capture: Capture
    wanted: dict[str, Any]
    """What `cells` and `measure` are told."""
    task: Task
    """The rows, with the labels that are asked for."""
    todo: list[Cell] = field(repr=False)
    missing: list[Cell] = field(repr=False)
    twin: Callable[[], Measurable] | None = field(default=None, repr=False)
    """Makes the network that is captured; None: the model itself."""

    @property
    def control(self) -> str:
        """Its name; empty for the states."""
        return self.wanted["subject"].control

    @property
    def finished(self) -> set[str]:
        """Row ids that are not missing."""
        return {cell.row_id for cell in self.todo} - {c.row_id for c in self.missing}

    @property
    def order(self) -> list[str]:
        """Sites as the network has them."""
        return self.capture.sites


@dataclass(frozen=True)
class TextPart:
    """The estimates of a control that no capture makes."""

    made: TextControl = field(repr=False)
    wanted: dict[str, Any]
    todo: list[Cell] = field(repr=False)
    missing: list[Cell] = field(repr=False)

    @property
    def finished(self) -> set[str]:
        """Row ids that are not missing."""
        return {cell.row_id for cell in self.todo} - {c.row_id for c in self.missing}

    @property
    def order(self) -> list[str]:
        """Its one site."""
        return [self.made.site]


class Parts:
    """Makes the parts of one model: what is to be done, and what is finished."""

    def __init__(
        self,
        model: Measurable,
        choice: Choice,
        *,
        n_permutations: int,
        folder: Path,
        finished: Container[str],
    ) -> None:
        """Of a model, for a results folder in which some rows are finished."""
        self._model, self._choice = model, choice
        self._permutations, self._folder = n_permutations, folder
        self._finished = finished

    def states(self) -> list[Part]:
        """A part a token set."""
        model, choice = self._model, self._choice
        wanted = {
            "estimators": choice.estimators,
            "seeds": choice.seeds,
            "n_permutations": self._permutations,
            "subject": model.subject,
        }
        return [
            self._part(
                *(model, token_set, choice.sites, choice.views_of(token_set)),
                {**wanted, "token_set": token_set},
            )
            for token_set in model.sources
        ]

    def captured(self) -> Iterator[Part]:
        """The controls that are states, without permutations: they are the null's kin."""
        choice = self._choice
        for one in captured_controls(
            *(self._model, choice.controls),
            sites=choice.sites,
            views=choice.views_of,
            seeds=choice.seeds,
        ):
            wanted = {
                "estimators": choice.estimators,
                "seeds": one.seeds,
                "subject": one.subject,
                "token_set": one.token_set,
            }
            read = self._model if one.twin is None else one.twin()
            part = self._part(read, one.token_set, one.sites, [*one.views], wanted)
            todo = self._todo(part.capture.fingerprint, one.task, part.wanted)
            yield replace(part, task=one.task, twin=one.twin, **todo)

    def texts(self) -> list[TextPart]:
        """The controls that read no states."""
        choice, found = self._choice, []
        for made in text_controls(self._model, choice.controls, choice.estimators):
            wanted = made.wanted(choice.seeds)
            where = {"sites": [made.site], "views": [made.view]}
            told = made.fingerprint, self._model.task, {**wanted, **where}
            found.append(TextPart(made, wanted, **self._todo(*told)))
        return found

    def _part(
        self,
        read: Measurable,
        token_set: str,
        sites: Any,
        views: list[str],
        wanted: dict[str, Any],
    ) -> Part:
        subject = wanted["subject"]
        capture = Capture.of(
            *(read, token_set),
            sites=sites,
            views=[*dict.fromkeys(map(subject.captured, views))],
            folder=self._folder,
        )
        anchor = anchor_of(capture.sites, self._choice.estimators)
        wanted = {**wanted, "sites": capture.sites, "views": views, "anchor": anchor}
        todo = self._todo(capture.fingerprint, self._model.task, wanted)
        return Part(capture, wanted, self._model.task, **todo)

    def _todo(self, fingerprint: Any, task: Task, wanted: dict[str, Any]) -> dict[str, Any]:
        todo = cells(fingerprint, task, **wanted)
        missing = [cell for cell in todo if cell.row_id not in self._finished]
        return {"todo": todo, "missing": missing}
