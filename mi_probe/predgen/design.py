"""What a system is made of, in words and numbers: enough to build it again."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mi_probe.errors import InputError
from mi_probe.predgen.alignment import ALIGNMENTS
from mi_probe.tasks import Task

Objective = Literal["predictor", "generator", "predgen"]
OBJECTIVES: tuple[Objective, ...] = ("predictor", "generator", "predgen")
ADAPTERS = ("states", "logits")
HEADS = ("own", "linear", "network")
LossOn = Literal["answer", "all"]
_DIRECTORS = {"classes": ("cross_entropy", "bce"), "scores": ("mse", "mae", "huber")}


@dataclass(frozen=True)
class Design:
    """A system without its weights; JSON-able."""

    objective: Objective
    kind: Literal["classes", "scores"]
    n_outputs: int
    """Of the head: classes, or 1."""
    director: str
    """Of `DIRECTORS`."""
    pooling: str = "last"
    """The Predictor's."""
    adapter: str = "states"
    """What PredGen's task adapter reads."""
    head: str = "own"
    """``own``: the Predictor's is a linear map, PredGen's its task adapter, which has a
    hundred times the weights. ``linear`` or ``network``: one and the same map for both, on
    the Predictor's pooled state and on the mean state of PredGen's answer."""
    alignment: str = "balanced"
    """Of `ALIGNMENTS`."""
    mean: float = 0.0
    """Of the training rows' scores."""
    spread: float = 1.0
    """Their standard deviation."""
    loss_on: LossOn = "answer"
    """The writer's: of the answer's tokens, or of the prompt's too."""
    ends: bool = True
    """Answers end with the token that ends a text."""
    answer_tokens: int = 0
    """The most that an answer of the task has, in any split, its end included. So no right
    answer is too long to be written; what is written is not otherwise bounded by it."""

    def __post_init__(self) -> None:
        fitting = _DIRECTORS[self.kind]
        if self.director not in fitting:
            raise InputError(
                f"director of a task whose labels are {self.kind} must be one of "
                f"{', '.join(fitting)}; got '{self.director}'."
            )
        for name, known in (
            ("alignment", ALIGNMENTS),
            ("adapter", ADAPTERS),
            ("head", HEADS),
        ):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} must be one of {', '.join(known)}; got "
                    f"'{getattr(self, name)}'."
                )
        if self.adapter == "logits" and self.head != "own":
            raise InputError(
                "head must be 'own' where the task adapter reads logits, of which the "
                f"Predictor has none; got '{self.head}'. Leave out head or adapter."
            )


def design_for(
    task: Task,
    objective: Objective,
    *,
    director: str | None = None,
    **options: Any,
) -> Design:
    """The design that fits a task's training rows.

    Args:
        task: the training rows, whose scores give the scale.
        objective: of the system.
        director: None is cross-entropy for classes, and the mean squared error for scores.
        options: other fields of `Design`.

    Raises:
        InputError: if one of them does not fit.
    """
    director = director or _DIRECTORS[task.kind][0]
    if task.label_names is not None:
        return Design(objective, "classes", len(task.label_names), director, **options)
    spread = float(np.std(task.labels))
    if not spread > 0:
        raise InputError(
            f"scores of task '{task.name}' must differ; all {len(task)} training rows "
            f"have {task.labels[0]:g}."
        )
    scale = {"mean": float(np.mean(task.labels)), "spread": spread}
    return Design(objective, "scores", 1, director, **scale, **options)
