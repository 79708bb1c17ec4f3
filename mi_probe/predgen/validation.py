"""How well a system in training predicts rows that it is not trained on."""

import numpy as np
import torch
from torch import Tensor

from mi_probe.backbones.trial import evaluating
from mi_probe.predgen.encoding import Rows, end_token
from mi_probe.predgen.inference import Answers, answers_of, batches, most_tokens
from mi_probe.predgen.metrics import selection_score
from mi_probe.predgen.one_reading import ReadPrompt, can_read_once
from mi_probe.predgen.reader import Draw, Writing
from mi_probe.predgen.rollout import roll_out
from mi_probe.predgen.step_ahead import loss_of, sums_of
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
    answers, loss = answers_and_loss(system, task, rows, batch_size=batch_size)
    found = {"loss": loss, **answers.scores(task)}
    if selects:
        unread = system.design.mean
        found["selection"] = selection_score(task, answers.values, unread)
    return found


def answers_and_loss(
    system: System, task: Task, rows: Rows, *, batch_size: int = 16
) -> tuple[Answers, float]:
    """What a system predicts of the rows, as `answer`, and its loss, right answers read.

    The loss is of the rows together, whatever the batches that they are read in. Each
    prompt is read once, where a decoder's memory and its loss allow it.

    Args:
        system: in any mode, which stays.
        task: the rows, with how their answers are read.
        rows: the same, encoded.
        batch_size: rows a forward pass.
    """
    backbone, design = system.backbone, system.design
    writes, predgen = design.objective != "predictor", design.objective == "predgen"
    values, tokens = np.zeros(len(rows)), [()] * len(rows)
    sums: list[Tensor] = []
    with torch.no_grad(), evaluating(system):
        once = writes and design.loss_on == "answer"
        once = once and can_read_once(system.model, training=False)
        classes = design.kind == "classes"
        for index, batch in batches(
            backbone, rows, batch_size, left=writes, classes=classes
        ):
            read = batch["prompt_ids"], batch["prompt_mask"]
            prompt = ReadPrompt(system.model, *read) if once else None
            outputs = None
            if writes:
                written, there = _written(system, rows, read, prompt)
                for i, row, kept in zip(index, written.cpu(), there.cpu(), strict=True):
                    tokens[i] = tuple(row[kept].tolist())
                if predgen:
                    outputs = system.outputs(*read, written, there, prompt)
            found = system(**batch, prompt=prompt)
            sums.append(sums_of(found))
            outputs = found.get("outputs", outputs)
            if outputs is not None:
                values[index] = system.values(outputs).double().cpu().numpy()
    loss = loss_of(system, torch.stack(sums).sum(0))
    said = values if predgen or not writes else None
    return answers_of(system, task, said, tokens if writes else None), loss


def _written(
    system: System,
    rows: Rows,
    read: tuple[Tensor, Tensor],
    prompt: ReadPrompt | None,
) -> tuple[Tensor, Tensor]:
    tokenizer = system.backbone.tokenizer
    end = end_token(tokenizer) if system.design.ends else None
    most, pad = most_tokens(system, rows), pad_token(system.backbone)
    if prompt is not None:
        return prompt.write(Writing(most, end, pad, Draw(False, 1.0, None)))
    limits = {"max_new_tokens": most, "eos_id": end, "pad_id": pad}
    return roll_out(system.model, *read, **limits)
