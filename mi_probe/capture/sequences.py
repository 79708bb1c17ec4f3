"""Token sequences with roles: what a task becomes before a model reads it."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerBase

from mi_probe.backbones import Backbone
from mi_probe.backbones.chat import has_chat_template
from mi_probe.errors import InputError
from mi_probe.hidden import Role
from mi_probe.tasks import Task, as_task

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True, eq=False)
class Sequences:
    """Examples as token ids, without padding, and what each token is.

    A task's prompts become these by themselves; whoever holds more than a prompt (the
    tokens that a model generated after it, a gold answer) builds them directly.
    """

    ids: tuple[str, ...]
    """A unique name an example."""
    input_ids: Ids
    roles: Ids | None = None
    """A `Role` a token; None: all are prompt tokens."""
    decoder_ids: Ids | None = None
    """What an encoder-decoder's decoder reads; None: its start token alone."""
    decoder_roles: Ids | None = None
    kept: tuple[Role, ...] | None = None
    """Whose states are captured, of all that is read: ``(Role.GENERATED,)`` leaves the
    prompt's out. None: all."""
    notes: tuple[str, ...] = ()
    """What was done to the rows ('3 of 40 texts cut to 512 tokens')."""

    def __post_init__(self) -> None:
        doubled = [name for name, n in Counter(self.ids).items() if n > 1]
        if doubled:
            raise InputError(
                f"ids must be unique, since activations are kept by them; "
                f"{len(doubled)} occur more than once, for instance '{doubled[0]}'."
            )
        for ids, roles, name in (
            (self.input_ids, self.roles, "input_ids"),
            (self.decoder_ids, self.decoder_roles, "decoder_ids"),
        ):
            if ids is None:
                continue
            if len(ids) != len(self.ids):
                raise InputError(
                    f"{name} must hold one sequence an id, {len(self.ids)}; got {len(ids)}."
                )
            empty = [row for row, seq in zip(self.ids, ids, strict=True) if not len(seq)]
            if empty:
                raise InputError(
                    f"{name} must hold at least one token a row; {len(empty)} rows are "
                    f"empty: {listed(empty)}. Drop them, or give them a text."
                )
            if roles is not None and [*map(len, roles)] != [*map(len, ids)]:
                raise InputError(f"the roles of {name} must be one a token.")

    def __len__(self) -> int:
        return len(self.ids)

    def sha256(self) -> dict[str, str]:
        """Hashes of the row ids and of everything that the model reads."""

        def digest(content: object) -> str:
            return hashlib.sha256(json.dumps(content).encode()).hexdigest()

        def plain(table: Ids | None) -> list[list[int]] | None:
            return None if table is None else [[int(x) for x in row] for row in table]

        hashes = {
            "data.ids": digest(self.ids),
            "data.tokens": digest([plain(self.input_ids), plain(self.decoder_ids)]),
            "data.roles": digest([plain(self.roles), plain(self.decoder_roles)]),
        }
        if self.kept is not None:
            hashes["data.kept"] = digest(sorted(int(role) for role in self.kept))
        return hashes

    def kept_lengths(self, stack: str) -> list[int]:
        """How many positions of each row are captured in a stack (``text, enc, dec``)."""
        decoder = stack == "dec"
        ids = self.decoder_ids if decoder else self.input_ids
        if ids is None:  # the start token alone
            ids = [[0]] * len(self)
        roles = self.decoder_roles if decoder else self.roles
        if self.kept is None:
            return [*map(len, ids)]
        if roles is None:
            return [len(row) if Role.PROMPT in self.kept else 0 for row in ids]
        wanted = {int(role) for role in self.kept}
        return [sum(int(role) in wanted for role in row) for row in roles]


def as_sequences(
    backbone: Backbone,
    source: Task | Sequences | Any,
    *,
    max_tokens: int,
    shift_into_decoder: bool = False,
) -> Sequences:
    """The token sequences of a task, of plain prompts, or those given.

    Args:
        backbone: whose tokenizer and limits apply.
        source: what `as_task` takes; texts alone, whose ids are '0', '1', ...; or
            `Sequences`, which are taken as they are.
        max_tokens: longer prompts lose their middle, and are counted in the notes: their
            first and their last tokens stay, which ask for the answer. The model's own
            limit holds as well.
        shift_into_decoder: let an encoder-decoder's decoder read the prompt shifted
            right by one, as its classification head does.

    Raises:
        InputError: on no rows, a row without tokens, or doubled ids.
    """
    if isinstance(source, Sequences):
        found = source
        limit = token_limit(backbone, None)
        long = [
            row
            for row, ids in zip(found.ids, found.input_ids, strict=True)
            if limit is not None and len(ids) > limit
        ]
        if long:
            raise InputError(
                f"input_ids must be at most {limit} tokens long for this model; "
                f"{len(long)} rows are longer: {listed(long)}."
            )
    else:
        found = _tokenised(backbone, _texts_or_task(source), max_tokens)
    if not len(found):
        raise InputError("the data must hold at least one row; got none.")
    if shift_into_decoder and backbone.kind == "encoder-decoder":
        found = _shifted(backbone, found)
    return found


def token_limit(backbone: Backbone, max_tokens: int | None) -> int | None:
    """The longest text in tokens: the smallest of all limits, None without one."""
    config = backbone.base.config
    limits = [] if max_tokens is None else [max_tokens]
    own = getattr(backbone.tokenizer, "model_max_length", None)
    if own is not None and own < 10**9:  # transformers writes "no limit" as 10**30
        limits.append(own)
    if not hasattr(config, "max_position_embeddings"):
        config = config.get_text_config(encoder=True)
    table = getattr(config, "max_position_embeddings", None)
    if isinstance(table, int) and table > 0:
        # RoBERTa counts its positions from padding_idx + 1.
        pad = getattr(config, "pad_token_id", None)
        offset = 1 + (pad or 0) if counts_from_padding(backbone) else 0
        limits.append(table - offset - backbone.n_virtual_tokens)
    return min(limits) if limits else None


def counts_from_padding(backbone: Backbone) -> bool:
    """True for RoBERTa and its kin, whose positions start at padding_idx + 1."""
    return any(
        hasattr(module, "create_position_ids_from_input_ids")
        for module in backbone.base.modules()
    )


def _texts_or_task(source: Any) -> Task | list[str]:
    """Texts alone, a list or a column of them; of anything else, the task that it is."""
    several = isinstance(source, list | tuple | np.ndarray | pd.Series)
    if several and all(isinstance(text, str) for text in source):
        return list(source)
    some = several and any(isinstance(text, str) for text in source)
    if isinstance(source, pd.Series) or some:
        place = next(i for i, text in enumerate(source) if not isinstance(text, str))
        raise InputError(
            f"texts must be text in every row; row {place + 1} of {len(source)} is "
            f"{type(list(source)[place]).__name__}. Fill it or leave it out."
        )
    return as_task(source)


def _tokenised(backbone: Backbone, source: Task | list[str], max_tokens: int) -> Sequences:
    if isinstance(source, Task):
        ids, prompts = source.ids, list(source.prompts)
    else:
        ids, prompts = tuple(map(str, range(len(source)))), source
    limit = token_limit(backbone, max_tokens)
    if limit is None or limit < 1:
        raise InputError(f"max_tokens must be at least 1; got {limit}.")
    if not prompts:
        return Sequences(ids=ids, input_ids=[])
    whole = backbone.tokenise(prompts)
    long = sum(len(row) > limit for row in whole)
    # Not by the tokenizer's truncation, which takes a prompt's end away: the question,
    # and the words after which the answer comes.
    input_ids = [without_middle(row, limit) for row in whole]
    said = f"{long} of {len(ids)} texts cut to {limit} tokens: their middle is left out"
    notes = (*((said,) if long else ()), *_remarks(backbone.tokenizer, whole))
    if has_chat_template(backbone.tokenizer) and not backbone.chat_template:
        # An instruct model that is not spoken to as it was taught to be.
        notes = (
            *notes,
            "the tokenizer brings a chat template, and the prompts were read as plain "
            "texts without it; --chat-template puts them into it",
        )
    return Sequences(ids=ids, input_ids=input_ids, notes=notes)


def _remarks(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]]
) -> list[str]:
    """What is odd in how the texts became tokens, and changes what the states know."""
    begin: Any = tokenizer.bos_token_id
    unknown: Any = tokenizer.unk_token_id
    doubled = sum(len(row) > 1 and row[0] == row[1] == begin for row in rows)
    around = {*tokenizer.all_special_ids} - {unknown}
    texts = [[token for token in row if token not in around] for row in rows]
    lost = sum(2 * text.count(unknown) >= max(len(text), 1) for text in texts)
    n, said = len(rows), []
    if doubled:
        said.append(
            f"{doubled} of {n} texts begin with two {tokenizer.bos_token}: one of their "
            "own, and the tokenizer's"
        )
    if lost:
        said.append(
            f"{lost} of {n} texts are at least half unknown tokens "
            f"({tokenizer.unk_token}), which say nothing of the words that they stand for"
        )
    return said


def without_middle(ids: Sequence[int], limit: int) -> list[int]:
    """At most so many tokens: as many of the beginning as of the end, or one fewer.

    What a tokenizer puts around a text stays in its place. Of long reviews, head and tail
    also tell a class better than the head alone (Sun et al. 2019, arXiv 1905.05583).
    """
    if len(ids) <= limit:
        return [*ids]
    head = limit // 2
    return [*ids[:head], *ids[len(ids) - (limit - head) :]]


def _shifted(backbone: Backbone, given: Sequences) -> Sequences:
    if given.decoder_ids is not None:
        raise InputError(
            "view 'head' must read a decoder that was fed the prompt; these sequences "
            "come with decoder_ids of their own. Leave 'head' out."
        )
    start = decoder_start(backbone)
    return Sequences(
        ids=given.ids,
        input_ids=given.input_ids,
        roles=given.roles,
        decoder_ids=[[start, *ids[:-1]] for ids in given.input_ids],
        decoder_roles=None
        if given.roles is None
        else [[int(Role.PROMPT), *roles[:-1]] for roles in given.roles],
        kept=given.kept,
        notes=(
            *given.notes,
            "the decoder read the prompt shifted right by one, as the architecture's "
            "classification head does",
        ),
    )


def decoder_start(backbone: Backbone) -> int:
    """The token with which an encoder-decoder begins to write."""
    start = getattr(backbone.base.config, "decoder_start_token_id", None)
    if start is None:
        raise InputError(
            "decoder_start_token_id must be set in the model's config; got None."
        )
    return int(start)


def listed(names: Sequence[str], most: int = 5) -> str:
    """'a, b, c and 7 more', for messages."""
    more = len(names) - most
    return ", ".join(map(repr, names[:most])) + (f" and {more} more" if more > 0 else "")
