"""A task's rows as token ids: a prompt, and the answer that should follow it.

The answer ends with the token that ends a text, so that a trained model knows where to
stop; the loss is on it alone. Padding is masked everywhere, so a pad token that is also
the end of a text does no harm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from mi_probe.backbones import Backbone
from mi_probe.capture.sequences import as_sequences, token_limit
from mi_probe.errors import InputError
from mi_probe.tasks import Task


@dataclass(frozen=True)
class Encoded:
    """One row."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    """With the end-of-text token last, unless that was left out; () for an encoder. A
    Predictor does not read it, but its prompt leaves it room, and its batches are those of
    who does."""
    label: float


@dataclass(frozen=True, eq=False)
class Rows:
    """Encoded rows, which a Trainer takes as its data set."""

    rows: tuple[Encoded, ...]
    notes: tuple[str, ...] = ()
    """How many prompts were cut."""
    limit: int | None = None
    """Tokens that a prompt has at most."""

    @property
    def longest(self) -> int:
        """Tokens of the longest answer."""
        return max((len(row.answer) for row in self.rows), default=0)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Encoded:
        return self.rows[index]


def end_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """The id that ends an answer: eos, or where there is none, sep.

    Raises:
        InputError: if the tokenizer has neither.
    """
    for found in (tokenizer.eos_token_id, tokenizer.sep_token_id):
        if found is not None:
            return int(found)  # type: ignore[arg-type]
    raise InputError(
        "tokenizer must have an eos or a sep token to end an answer with; it has neither. "
        "Set tokenizer.eos_token."
    )


def can_end(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether there is a token that ends an answer."""
    return (tokenizer.eos_token_id, tokenizer.sep_token_id) != (None, None)


def encode(
    backbone: Backbone,
    task: Task,
    *,
    max_tokens: int = 512,
    answers: bool = True,
    ends: bool = True,
) -> Rows:
    """The rows of a task as a model is trained on them; see `encode_parts`."""
    parts = {"": task}
    options: dict[str, Any] = {"answers": answers, "ends": ends}
    return encode_parts(backbone, parts, max_tokens=max_tokens, **options)[""]


def encode_parts(
    backbone: Backbone,
    parts: Mapping[str, Task],
    *,
    max_tokens: int = 512,
    answers: bool = True,
    ends: bool = True,
) -> dict[str, Rows]:
    """The rows of a task's parts, whose prompts are cut alike.

    Args:
        backbone: whose tokenizer and limits apply.
        parts: the rows, by name.
        max_tokens: longer prompts lose their middle, and are counted in the notes. So do
            those that leave the model no room for the longest answer of any part.
        answers: whether the answers are to be read or written. A Predictor reads the prompt
            alone, but the same one as the other systems.
        ends: end each answer with `end_token`. Without, a model never learns to stop.

    Raises:
        InputError: if an answer has no tokens, or leaves no room for a prompt.
    """
    written = {
        name: _answers(backbone, task, ends, answers) for name, task in parts.items()
    }
    longest = max((len(ids) for rows in written.values() for ids in rows), default=0)
    room = token_limit(backbone, max_tokens + longest)
    if backbone.kind != "encoder-decoder" and room is not None:
        max_tokens = min(max_tokens, room - longest)
    if max_tokens < 1:
        raise InputError(
            f"max_tokens must leave a prompt at least one token beside an answer of "
            f"{longest}; the model reads {room}. Use shorter answers or another model."
        )
    return {
        name: _rows(backbone, task, written[name], max_tokens)
        for name, task in parts.items()
    }


def _rows(
    backbone: Backbone,
    task: Task,
    written: Sequence[tuple[int, ...]],
    limit: int,
) -> Rows:
    prompts = as_sequences(backbone, task, max_tokens=limit)
    read = [[*map(int, ids)] for ids in prompts.input_ids]
    if backbone.kind == "decoder":
        read = [_open(ids, backbone.tokenizer) for ids in read]
    rows = tuple(
        Encoded(prompt=tuple(p), answer=tuple(a), label=float(y))
        for p, a, y in zip(read, written, task.labels.tolist(), strict=True)
    )
    return Rows(rows, prompts.notes, limit)


def collate(
    rows: Sequence[Encoded], *, pad: int, left: bool, classes: bool
) -> dict[str, torch.Tensor]:
    """Rows as tensors: prompts padded left or right, answers right.

    With prompts on the left side's pads, all answers of a batch begin in one column, which
    is where generation goes on.

    Args:
        rows: of one batch.
        pad: the id at pads; masked, so it may be any.
        left: pad prompts on the left.
        classes: labels are classes, int64; else scores, float32.

    Returns:
        ``prompt_ids``, ``prompt_mask``, ``labels``, and, where rows have answers,
        ``answer_ids`` and ``answer_mask``.
    """
    prompts, mask = _padded([row.prompt for row in rows], pad, left)
    kind = torch.int64 if classes else torch.float32
    batch = {
        "prompt_ids": prompts,
        "prompt_mask": mask,
        "labels": torch.tensor([row.label for row in rows]).to(kind),
    }
    if any(row.answer for row in rows):
        answers, answer_mask = _padded([row.answer for row in rows], pad, left=False)
        batch |= {"answer_ids": answers, "answer_mask": answer_mask}
    return batch


def _padded(
    rows: Sequence[Sequence[int]], pad: int, left: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for i, row in enumerate(rows):
        where = slice(width - len(row), width) if left else slice(0, len(row))
        ids[i, where] = torch.tensor(row, dtype=torch.int64)
        mask[i, where] = True
    return ids, mask


def _open(ids: list[int], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The prompt without the end that some tokenizers set: the text goes on."""
    end = end_token(tokenizer) if can_end(tokenizer) else None
    # Where the first token is the same one, as in OPT or GPT-2, it begins the text.
    while len(ids) > 1 and ids[-1] == end:
        ids = ids[:-1]
    return ids


def _answers(
    backbone: Backbone, task: Task, ends: bool, wanted: bool
) -> list[tuple[int, ...]]:
    if backbone.kind == "encoder":  # which nothing but a Predictor is made of
        return [()] * len(task)
    tokenizer = backbone.tokenizer
    end = (end_token(tokenizer),) if ends and (wanted or can_end(tokenizer)) else ()
    options: dict[str, Any] = {"add_special_tokens": False, "verbose": False}
    if backbone.kind == "encoder-decoder":
        # The decoder begins a text of its own, where a blank in front means nothing.
        texts = [answer.strip() for answer in task.answers]
        found = [tuple(ids) for ids in tokenizer(texts, **options)["input_ids"]]
    else:
        answers = task.answers
        if backbone.chat_template:  # the assistant's turn begins a line
            answers = [answer.strip() for answer in answers]
        found = _continued(tokenizer, backbone.prompt_texts(task.prompts), answers, options)
    empty = [i for i, ids in zip(task.ids, found, strict=True) if not ids]
    if empty and wanted:
        raise InputError(
            f"answers must have at least one token; {len(empty)} of {len(task)} have "
            f"none, the first in row '{empty[0]}'."
        )
    return [ids + end for ids in found]


def _continued(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[str],
    options: dict[str, Any],
) -> list[tuple[int, ...]]:
    """Answers as they are tokenised right after their prompt.

    Alone, a sentencepiece tokenizer would put a blank of its own in front. Where prompt
    and answer melt into one token, which a model that goes on after the prompt could not
    write, the answer is tokenised alone after all.
    """
    alone = tokenizer(list(prompts), **options)["input_ids"]
    joined = [p + a for p, a in zip(prompts, answers, strict=True)]
    together = tokenizer(joined, **options)["input_ids"]
    single = tokenizer(list(answers), **options)["input_ids"]
    found = []
    for prompt, whole, own in zip(alone, together, single, strict=True):
        fits = whole[: len(prompt)] == prompt
        found.append(tuple(whole[len(prompt) :] if fits else own))
    return found
