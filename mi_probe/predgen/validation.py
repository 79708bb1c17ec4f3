"""How well a system in training predicts rows that it is not trained on."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mi_probe.capture.forward import evaluating
from mi_probe.predgen.encoding import Rows, collate, end_token
from mi_probe.predgen.metrics import score
from mi_probe.predgen.rollout import roll_out
from mi_probe.predgen.systems import System, pad_token
from mi_probe.tasks import Task


def validate(
    system: System, rows: Rows, task: Task, *, batch_size: int = 16
) -> dict[str, float]:
    """The loss with right answers read, and the task's metrics of what is predicted.

    The Predictor predicts by its head, the Generator by what it writes, and PredGen by its
    adapter on what it writes. No right answer is read for a metric.

    Args:
        system: in any mode, which stays.
        rows: the task's rows, encoded.
        task: the rows, with how their answers are read.
        batch_size: rows a forward pass.

    Returns:
        ``loss``, the metrics, and, where text was written, ``parse_failure_rate`` and
        (PredGen) the metrics of the text as ``text_...``.
    """
    losses, values, texts = [], [], []
    with torch.no_grad(), evaluating(system):
        for batch in _batches(system, rows, batch_size):
            size = len(batch["labels"])
            losses.append(float(system(**batch)["loss"]) * size)
            prompts = batch["prompt_ids"], batch["prompt_mask"]
            if system.objective == "predictor":
                values += system.values(system.outputs(*prompts)).tolist()
                continue
            own, there = written(system, *prompts)
            texts += decoded(system, own, there)
            if system.objective == "predgen":
                values += system.values(system.outputs(*prompts, own, there)).tolist()
    found = {"loss": sum(losses) / len(rows)}
    if not texts:
        return found | score(task, np.array(values))
    parsed = task.parse(texts)
    of_text = score(task, parsed.values, parsed.failed)
    if not values:
        return found | of_text
    failures = {"parse_failure_rate": of_text.pop("parse_failure_rate")}
    named = {f"text_{name}": value for name, value in of_text.items()}
    return found | score(task, np.array(values)) | named | failures


def written(
    system: System, prompt_ids: Tensor, prompt_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """What the system writes after each prompt, likeliest tokens first, and where."""
    return roll_out(
        system.model,
        prompt_ids,
        prompt_mask,
        max_new_tokens=max(1, system.design.answer_tokens),
        eos_id=end_token(system.backbone.tokenizer) if system.design.ends else None,
        pad_id=pad_token(system.backbone),
    )


def decoded(system: System, tokens: Tensor, mask: Tensor) -> list[str]:
    """The texts of written tokens."""
    rows = [ids[kept].tolist() for ids, kept in zip(tokens, mask, strict=True)]
    return system.backbone.tokenizer.batch_decode(rows, skip_special_tokens=True)


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
