"""How well a system in training predicts rows that it is not trained on."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mi_probe.backbones.trial import evaluating
from mi_probe.predgen.encoding import Rows, collate
from mi_probe.predgen.inference import answer
from mi_probe.predgen.metrics import selection_score
from mi_probe.predgen.systems import System, pad_token
from mi_probe.tasks import Task


def validate(
    system: System,
    rows: Rows,
    task: Task,
    *,
    batch_size: int = 16,
    selects: bool = False,
) -> dict[str, float]:
    """The loss with right answers read, and the task's metrics of what is predicted.

    The Predictor predicts by its head, the Generator by what it writes, and PredGen by its
    adapter on what it writes. No right answer is read for a metric.

    Args:
        system: in any mode, which stays.
        rows: the task's rows, encoded.
        task: the rows, with how their answers are read.
        batch_size: rows a forward pass.
        selects: give ``selection`` too, see `selection_score`.

    Returns:
        ``loss``, the metrics, and, where text was written, ``parse_failure_rate`` and
        (PredGen) the metrics of the text as ``text_...``.
    """
    answers = answer(system, task, rows, batch_size=batch_size)
    found = {"loss": mean_loss(system, rows, batch_size), **answers.scores(task)}
    if selects:
        unread = system.design.mean
        found["selection"] = selection_score(task, answers.values, unread)
    return found


def mean_loss(system: System, rows: Rows, batch_size: int = 16) -> float:
    """The system's loss a row, right answers read, in evaluation mode."""
    total = 0.0
    with torch.no_grad(), evaluating(system):
        for batch in _batches(system, rows, batch_size):
            total += float(system(**batch)["loss"]) * len(batch["labels"])
    return total / len(rows)


def _batches(system: System, rows: Rows, size: int) -> Iterator[dict[str, Tensor]]:
    backbone = system.backbone
    left = backbone.kind == "decoder" and system.objective != "predictor"
    for start in range(0, len(rows), size):
        part = rows.rows[start : start + size]
        batch = collate(
            part,
            pad=pad_token(backbone),
            left=left,
            classes=system.design.kind == "classes",
        )
        yield {name: tensor.to(backbone.device) for name, tensor in batch.items()}
