"""What ``--given`` of ``python -m mi_probe.gap`` names: what defines it, and its vectors.

Another site's states are captured with the model's own. All else is known before the model
is let go of: other checkpoints, what texts and columns say, and the model's own answers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mi_probe.analysis.cells import of_states
from mi_probe.analysis.conditional_information import Given
from mi_probe.analysis.given import CHECKPOINT, SITE, check_answers, given_by
from mi_probe.analysis.measurables import Measurable
from mi_probe.capture import load_activations
from mi_probe.command_line import say
from mi_probe.errors import InputError
from mi_probe.results import Results
from mi_probe.run_settings import RunSettings, open_measurable
from mi_probe.runs import Capture, alone_with
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
            sites=[model.backbone.sites[-1].name],
            views=["mean"],
            folder=results.folder,
        )
        with alone_with([capture.store], say):
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


def what_defines(
    names: Sequence[str], model: Measurable, others: Mapping[str, Other]
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


def known_of(
    names: Iterable[str], model: Measurable, others: Mapping[str, Other]
) -> dict[str, Given]:
    """The vectors of all that is given but other sites' states, which are captured."""
    return {
        name: others[name].states if name in others else given_by(name, model)
        for name in dict.fromkeys(names)
        if not name.startswith(SITE)
    }
