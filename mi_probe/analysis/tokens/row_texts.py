"""The text that a row's tokens were read from, and where in it each of them stands."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from mi_probe.analysis.tokens.words import WordReader
from mi_probe.backbones import Backbone
from mi_probe.errors import InputError
from mi_probe.hidden import Role
from mi_probe.tasks import Task
from mi_probe.tasks.prompts import filled_ranges

NOWHERE = (-1, -1)
"""The range of a token that stands for no characters of the text."""
Range = tuple[int, int]


@dataclass(frozen=True)
class RowText:
    """One row as a text: the prompt as it was tokenised, then what the model wrote."""

    text: str
    """The prompt, in its chat template where one is used, and the answer after it."""
    prompt: Range
    """Characters ``start`` to ``end`` of the task's own prompt."""
    own: tuple[Range, ...]
    """Characters of the prompt that differ by row: without the template's words."""
    read: int
    """Number of characters that were given to the model; those after it, it wrote."""
    tokens: tuple[Range, ...]
    """Characters of each real token; `NOWHERE` for special ones that a tokenizer adds."""
    chat: bool = False
    """Whether the prompt is the user's turn in a chat template."""


def row_texts(
    backbone: Backbone,
    task: Task,
    token_ids: Int[np.ndarray, "n t"],
    roles: Int[np.ndarray, "n t"],
    mask: Bool[np.ndarray, "n t"],
) -> list[RowText]:
    """The texts of rows whose states were captured.

    Args:
        backbone: that read them.
        task: the rows; of one whose template is not known, or is a column alone, the
            words with which all prompts begin and end are the template's.
        token_ids: of the states' positions.
        roles: a `Role` for each.
        mask: true where a token is real.

    Raises:
        InputError: if the tokenizer cannot say where its tokens stand.
    """
    if not backbone.tokenizer.is_fast:
        raise InputError(
            "tokenizer must say where its tokens stand in a text, as the fast ones do "
            f"(tokenizer.json); {type(backbone.tokenizer).__name__} does not."
        )
    texts = backbone.prompt_texts(task.prompts)
    told = backbone.tokenizer(
        texts,
        add_special_tokens=not backbone.chat_template,
        return_offsets_mapping=True,
        verbose=False,
    )
    reader = WordReader(backbone.tokenizer)
    framed = bool(re.sub(r"\{[^{}]*\}", "", task.template))
    around = (0, 0) if framed else _common_ends(task.prompts)
    found = []
    for i, (prompt, text) in enumerate(zip(task.prompts, texts, strict=True)):
        ids, own = token_ids[i, mask[i]].tolist(), roles[i, mask[i]]
        read = [n for n, role in zip(ids, own, strict=True) if role == Role.PROMPT]
        places = _aligned(read, told["input_ids"][i], told["offset_mapping"][i])
        whole, tokens = _with_written(reader, text, ids, own, places)
        # A template may trim the prompt.
        start = max(text.find(prompt.strip()) - _blanks(prompt), 0)
        filled = filled_ranges(task.template, prompt) if framed else None
        filled = filled or [(around[0], len(prompt) - around[1])]
        found.append(
            RowText(
                text=whole,
                prompt=(start, min(start + len(prompt), len(text))),
                own=tuple((start + a, start + b) for a, b in filled),
                read=len(text),
                tokens=tokens,
                chat=backbone.chat_template,
            )
        )
    return found


def _aligned(
    read: Sequence[int], whole: Sequence[int], offsets: Sequence[Range]
) -> list[Range]:
    """Where the tokens that were read stand: all, or a beginning and an end of them."""
    places: list[Range] = [NOWHERE] * len(read)
    real = [(int(a), int(b)) if b > a else NOWHERE for a, b in offsets]
    # A decoder that is fed the prompt begins with a token of its own.
    first = int(bool(read) and bool(whole) and read[0] != whole[0])
    i = 0
    while first + i < len(read) and i < len(whole) and read[first + i] == whole[i]:
        places[first + i] = real[i]
        i += 1
    j = 1
    while j <= len(read) - first - i and j <= len(whole) - i and read[-j] == whole[-j]:
        places[-j] = real[-j]
        j += 1
    return places


def _with_written(
    reader: WordReader,
    text: str,
    ids: Sequence[int],
    roles: Int[np.ndarray, " t"],
    places: Sequence[Range],
) -> tuple[str, tuple[Range, ...]]:
    """The text with what the model wrote after the prompt, and where all tokens stand."""
    told, tokens = iter(places), []
    for piece, role in zip(reader(ids).tokens, roles, strict=True):
        if role == Role.PROMPT:
            tokens.append(next(told))
            continue
        tokens.append((len(text), len(text) + len(piece)))
        text += piece
    return text, tuple(tokens)


def template_mask(
    texts: Sequence[RowText], mask: Bool[np.ndarray, "n t"]
) -> Bool[np.ndarray, "n t"]:
    """True for the tokens that every prompt has: of its template, and of the chat's.

    Args:
        texts: of `row_texts`.
        mask: true where a token is real.
    """
    found = np.zeros(mask.shape, dtype=bool)
    for i, row in enumerate(texts):
        found[i, mask[i]] = [
            place != NOWHERE
            and place[0] < row.read
            and not any(place[0] < end and place[1] > start for start, end in row.own)
            for place in row.tokens
        ]
    return found


def _common_ends(prompts: Sequence[str]) -> Range:
    """Characters with which all prompts begin and end, whole words of them."""
    if len(set(prompts)) < 2:
        return 0, 0
    first = os.path.commonprefix(list(prompts))
    last = os.path.commonprefix([prompt[::-1] for prompt in prompts])[::-1]
    # The values may have their first letters in common.
    begins = max(first.rfind(" "), first.rfind("\n")) + 1
    ends = re.search(r"\s", last)
    behind = len(last) - ends.start() if ends else 0
    fits = begins + behind <= min(map(len, prompts))
    return (begins, behind) if fits else (0, 0)


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip())
