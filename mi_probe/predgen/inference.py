"""What a model answers, and the token sequences in which its own answers are measured.

Answers are written greedily, in batches, with the key-value cache, until the token that
ends a text. The states of written tokens are not those of the writing, where the last
token has none: prompt and answer are read once more, through `mi_probe.capture`. The
states are the same (tests/predgen/test_inference.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from mi_probe.backbones import Backbone
from mi_probe.backbones.trial import evaluating
from mi_probe.capture import Sequences
from mi_probe.capture.sequences import decoder_start
from mi_probe.errors import InputError, check_known
from mi_probe.hidden import Role
from mi_probe.predgen.encoding import Rows, collate, end_token
from mi_probe.predgen.metrics import score
from mi_probe.predgen.rollout import roll_out
from mi_probe.predgen.systems import System, pad_token
from mi_probe.tasks import Task
from mi_probe.tasks.answers import Parsed

TOKEN_SETS = ("prompt", "generated", "all")
_KEPT = {
    "prompt": (Role.PROMPT,),
    "generated": (Role.GENERATED, Role.GOLD),
    "all": (Role.PROMPT, Role.GENERATED, Role.GOLD),
}


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of each row of a task."""

    values: Float64[np.ndarray, " n"]
    """Its prediction, a class or a score: the head's of a Predictor, the task adapter's
    of PredGen, else what the text says; NaN where that could not be read."""
    token_ids: tuple[tuple[int, ...], ...] | None = None
    """What it wrote, the end included; None for a Predictor."""
    texts: tuple[str, ...] | None = None
    """The same without special tokens."""
    parsed: Parsed | None = None
    """What the texts say, whatever the adapter says."""
    by_head: bool = False
    """The values are a head's or an adapter's, and not the texts'."""

    def __len__(self) -> int:
        return len(self.values)

    def scores(self, task: Task) -> dict[str, float]:
        """The task's metrics of the predictions.

        With ``parse_failure_rate`` where text was written; and, of PredGen, which predicts
        by its adapter, the metrics of its text as ``text_...``.
        """
        if self.parsed is None:
            return score(task, self.values)
        found = score(task, self.values, self.parsed.failed)
        if not self.by_head:
            return found
        of_text = score(task, self.parsed.values)
        return found | {f"text_{name}": value for name, value in of_text.items()}


def answer(system: System, task: Task, rows: Rows, *, batch_size: int = 16) -> Answers:
    """The answers of a trained system.

    Args:
        system: in any mode, which stays.
        task: the rows, with how their answers are read.
        rows: the same, encoded; of the right answers in them, the length of the longest
            is read, if a user's other rows have a longer one than the training's.
        batch_size: rows a forward pass; the answers do not depend on it, but for ties
            that rounding breaks.

    Raises:
        InputError: as the model's architecture has it.
    """
    if system.objective == "predictor":
        values = _of_head(system, rows, None, batch_size)
        return answers_of(system, task, values, None)
    design = system.design
    tokens = write(
        system.backbone,
        rows,
        max_new_tokens=most_tokens(system, rows),
        eos_id=end_token(system.backbone.tokenizer) if design.ends else None,
        batch_size=batch_size,
    )
    values = None
    if system.objective == "predgen":
        values = _of_head(system, rows, tokens, batch_size)
    return answers_of(system, task, values, tokens)


def answers_of(
    system: System,
    task: Task,
    values: Float64[np.ndarray, " n"] | None,
    token_ids: Sequence[Sequence[int]] | None,
) -> Answers:
    """What a system says: by its head, where it has one, or by what it wrote.

    Args:
        system: whose design may cut scores to a range.
        task: how answers are read.
        values: the head's; None without one.
        token_ids: what was written; None of a Predictor.
    """
    if token_ids is None:
        assert values is not None
        found = Answers(values, by_head=True)
    else:
        found = read(system.backbone, task, token_ids, values)
    if system.design.limits is None:
        return found
    return replace(found, values=np.clip(found.values, *system.design.limits))


def most_tokens(system: System, rows: Rows) -> int:
    """Tokens of an answer at most: as many as the longest right one has."""
    return max(1, system.design.answer_tokens, rows.longest)


def write(
    backbone: Backbone,
    rows: Rows,
    *,
    max_new_tokens: int,
    eos_id: int | None,
    batch_size: int = 16,
) -> tuple[tuple[int, ...], ...]:
    """The likeliest tokens after each prompt, the end included.

    Args:
        backbone: loaded with its language model's head.
        rows: the prompts.
        max_new_tokens: the most that are written.
        eos_id: what ends an answer; None writes on.
        batch_size: rows a forward pass.

    Raises:
        InputError: if the model has no head that writes, or learned a prompt.
    """
    check_writes(backbone)
    found: list[tuple[int, ...]] = [()] * len(rows)
    for index, batch in batches(backbone, rows, batch_size):
        tokens, there = roll_out(
            backbone.model,
            batch["prompt_ids"],
            batch["prompt_mask"],
            max_new_tokens=max_new_tokens,
            eos_id=eos_id,
            pad_id=pad_token(backbone),
        )
        for i, written, kept in zip(index, tokens.cpu(), there.cpu(), strict=True):
            found[i] = tuple(written[kept].tolist())
    return tuple(found)


def read(
    backbone: Backbone,
    task: Task,
    token_ids: Sequence[Sequence[int]],
    values: Float64[np.ndarray, " n"] | None = None,
) -> Answers:
    """Written tokens as texts, and what those say of Y.

    Args:
        backbone: whose tokenizer turns them into texts.
        task: how answers are read.
        token_ids: what was written, a row each.
        values: the predictions, where they are not the texts'.
    """
    lists = [list(ids) for ids in token_ids]
    texts = backbone.tokenizer.batch_decode(lists, skip_special_tokens=True)
    parsed = task.parse(texts)
    return Answers(
        values=parsed.values if values is None else values,
        token_ids=tuple(map(tuple, lists)),
        texts=tuple(texts),
        parsed=parsed,
        by_head=values is not None,
    )


def answered(
    backbone: Backbone,
    task: Task,
    rows: Rows,
    answers: Sequence[Sequence[int]] | None,
    *,
    token_set: str = "all",
    gold: bool = False,
) -> Sequences:
    """Prompts with the answers after them, each position with its role, for `extract`.

    Of an encoder-decoder, the encoder reads the prompt, and the decoder its start token
    (which counts as prompt) and the answer.

    Args:
        backbone: which reads them.
        task: whose ids the rows have.
        rows: the prompts.
        answers: the tokens after each; not needed for the prompt alone.
        token_set: whose states are kept: ``prompt``, ``generated`` or ``all``.
        gold: the answers are the right ones, whose states leak Y; estimators then refuse
            them unless that is acknowledged.

    Raises:
        InputError: on another token set.
    """
    check_known("token_set", token_set, TOKEN_SETS)
    prompts = [row.prompt for row in rows.rows]
    if token_set == "prompt":
        # What follows changes no state of a prompt that is read left to right.
        return Sequences(ids=task.ids, input_ids=prompts, notes=rows.notes)
    assert answers is not None
    role, prompt = int(Role.GOLD if gold else Role.GENERATED), int(Role.PROMPT)
    after = [[role] * len(tokens) for tokens in answers]
    kept = None if token_set == "all" else _KEPT[token_set]
    if backbone.kind == "encoder-decoder":
        start = decoder_start(backbone)
        return Sequences(
            ids=task.ids,
            input_ids=prompts,
            decoder_ids=[[start, *tokens] for tokens in answers],
            decoder_roles=[[prompt, *roles] for roles in after],
            kept=kept,
            notes=rows.notes,
        )
    return Sequences(
        ids=task.ids,
        input_ids=[[*p, *tokens] for p, tokens in zip(prompts, answers, strict=True)],
        roles=[[prompt] * len(p) + r for p, r in zip(prompts, after, strict=True)],
        kept=kept,
        notes=rows.notes,
    )


def _of_head(
    system: System,
    rows: Rows,
    answers: Sequence[Sequence[int]] | None,
    batch_size: int,
) -> Float64[np.ndarray, " n"]:
    """The predictions of a Predictor's head, or of PredGen's adapter on its answers."""
    outputs = head_outputs(system, rows, answers, batch_size)
    return system.values(torch.from_numpy(outputs)).double().numpy()


def head_outputs(
    system: System,
    rows: Rows,
    answers: Sequence[Sequence[int]] | None,
    batch_size: int,
) -> Float64[np.ndarray, "n k"]:
    """What a Predictor's head says of each row, or PredGen's adapter of its answers.

    Args:
        system: with a head.
        rows: the prompts.
        answers: the tokens that were written; None of a Predictor.
        batch_size: rows a forward pass.

    Returns:
        Logits of the classes, or a score as it is before it is scaled back.
    """
    found = np.zeros((len(rows), system.design.n_outputs))
    with torch.no_grad(), evaluating(system):
        left = system.objective != "predictor"
        for index, batch in batches(system.backbone, rows, batch_size, left=left):
            fed = None, None
            if answers is not None:
                fed = padded_right(system.backbone, [answers[i] for i in index])
            outputs = system.outputs(batch["prompt_ids"], batch["prompt_mask"], *fed)
            found[index] = outputs.double().cpu().numpy()
    return found


def batches(
    backbone: Backbone, rows: Rows, size: int, *, left: bool = True, classes: bool = False
) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
    """Rows' places and what `collate` makes of them, batched by length, longest first."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i].prompt))
    for start in range(0, len(order), size):
        index = order[start : start + size]
        batch = collate(
            [rows[i] for i in index],
            pad=pad_token(backbone),
            left=left and backbone.kind == "decoder",
            classes=classes,
        )
        yield index, {name: t.to(backbone.device) for name, t in batch.items()}


def padded_right(
    backbone: Backbone, rows: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Answers side by side, padded on the right, and where they are real."""
    shape = (len(rows), max(map(len, rows)))
    ids = torch.full(shape, pad_token(backbone))
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
    lengths = torch.tensor([[len(row)] for row in rows])
    mask = torch.arange(shape[1])[None] < lengths
    return ids.to(backbone.device), mask.to(backbone.device)


def check_writes(backbone: Backbone) -> None:
    """Raise unless the model can write an answer.

    Raises:
        InputError: without a head that writes, or with a learned prompt.
    """
    if backbone.n_virtual_tokens:
        raise InputError(
            f"model must be one without a learned prompt to write answers; "
            f"'{backbone.name}' puts {backbone.n_virtual_tokens} virtual tokens in front. "
            "Measure its prompt's states alone (--token-sets prompt)."
        )
    head = getattr(backbone.model, "get_output_embeddings", lambda: None)()
    if head is None or backbone.kind == "encoder":
        raise InputError(
            f"model must have a language model's head to write answers; "
            f"'{backbone.name}' was loaded without one. Load it with lm_head=True."
        )
