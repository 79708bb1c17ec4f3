"""What a system is made of, in words and numbers: enough to build it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mi_probe.errors import InputError, check_known
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
    class_weights: tuple[float, ...] | None = None
    """Of the director's loss, one a class; their mean over the training rows is 1."""
    limits: tuple[float, float] | None = None
    """Scores that are predicted are cut to these; None: as they are predicted."""
    loss_on: LossOn = "answer"
    """The writer's: of the answer's tokens, or of the prompt's too."""
    ends: bool = True
    """Answers end with the token that ends a text."""
    answer_tokens: int = 0
    """The most that an answer of the task has, in any split, its end included. So no right
    answer is too long to be written; what is written is not otherwise bounded by it."""

    def __post_init__(self) -> None:
        of = f"director of a task whose labels are {self.kind}"
        check_known(of, self.director, _DIRECTORS[self.kind])
        for name, known in (
            ("alignment", ALIGNMENTS),
            ("adapter", ADAPTERS),
            ("head", HEADS),
        ):
            check_known(name, getattr(self, name), known)
        if self.class_weights is not None and self.director != "cross_entropy":
            raise InputError(
                "class_weights must be 'equal' but with the director cross_entropy; got "
                f"the director '{self.director}'."
            )
        if self.adapter == "logits" and self.head != "own":
            raise InputError(
                "head must be 'own' where the task adapter reads logits, of which the "
                f"Predictor has none; got '{self.head}'. Leave out head or adapter."
            )


def read_design(content: Mapping[str, Any]) -> Design:
    """A design as JSON has it, where a tuple is a list."""
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in content.items()
    }
    return Design(**found)


def design_for(
    task: Task,
    objective: Objective,
    *,
    director: str | None = None,
    class_weights: str = "equal",
    clamp: bool = False,
    **options: Any,
) -> Design:
    """The design that fits a task's training rows.

    Args:
        task: the training rows, whose scores give the scale.
        objective: of the system.
        director: None is cross-entropy for classes, and the mean squared error for scores.
        class_weights: ``balanced`` weighs a class by the rows that each class would have,
            were there as many of each, over those that it has.
        clamp: cut predicted scores to the range of the task's.
        options: other fields of `Design`.

    Raises:
        InputError: if one of them does not fit.
    """
    director = director or _DIRECTORS[task.kind][0]
    if clamp and task.label_names is not None:
        raise InputError(
            "clamp must be left out for classes, which have no range; got true."
        )
    if class_weights != "equal" and task.label_names is None:
        raise InputError(
            f"class_weights must be 'equal' for scores, which have no classes; got "
            f"'{class_weights}'."
        )
    if task.label_names is not None:
        n = len(task.label_names)
        if class_weights == "balanced":
            rows = np.bincount(task.labels, minlength=n)
            weights = len(task) / (np.count_nonzero(rows) * np.maximum(rows, 1))
            options["class_weights"] = tuple(weights.tolist())
        return Design(objective, "classes", n, director, **options)
    spread = float(np.std(task.labels))
    if not spread > 0:
        raise InputError(
            f"scores of task '{task.name}' must differ; all {len(task)} training rows "
            f"have {task.labels[0]:g}."
        )
    scale: dict[str, Any] = {"mean": float(np.mean(task.labels)), "spread": spread}
    if clamp:
        scale["limits"] = float(np.min(task.labels)), float(np.max(task.labels))
    return Design(objective, "scores", 1, director, **scale, **options)
