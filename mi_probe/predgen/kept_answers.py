"""Answers in a folder, a training's or of results: written once, and read by people.

    answers/ID.json    ids, tokens, texts, predictions; which could not be read

``ID`` is a hash of what was asked of what: model, head, rows, limits.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mi_probe.atomic import write_atomically
from mi_probe.backbones.fingerprint import sha256_file
from mi_probe.contents import digest, plain, read_json, sealed, unsealed
from mi_probe.locks import locked
from mi_probe.predgen.checkpoints import HEAD, Checkpoint
from mi_probe.predgen.encoding import Rows
from mi_probe.predgen.inference import Answers
from mi_probe.tasks import Task
from mi_probe.tasks.answers import Parsed

SCHEMA = 2


def kept_answers(
    folder: Path | None,
    task: Task,
    key: Mapping[str, Any],
    make: Callable[[], Answers] | None,
) -> Answers | None:
    """The answers of a key: those kept in a folder, or new ones, which are kept.

    Args:
        folder: a training's or a results folder; None keeps nothing.
        task: the rows that are answered.
        key: what the answers depend on.
        make: how they are made; None makes none, and gives None where none are kept.

    A file that is not what was written counts as not there.
    """
    if folder is None:
        return make and make()
    path = folder / "answers" / f"{digest({'schema': SCHEMA, **key})}.json"
    # One that is not what was written is written again.
    if path.is_file() and (kept := _read(path, task, key)) is not None:
        return kept
    if make is None:
        return None
    # Processes that begin together wait for one's answers: theirs might differ in a token.
    with locked(path.with_suffix(".lock"), lambda _: None):
        if path.is_file() and (kept := _read(path, task, key)) is not None:
            return kept
        found = make()
        write_atomically(path, sealed(_content(found, task, key)))
    return found


def _content(found: Answers, task: Task, key: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "key": key,
        "task": task.name,
        "ids": task.ids,
        "values": found.values,
        "by_head": found.by_head,
        "token_ids": found.token_ids,
        "texts": found.texts,
        "of_text": None if found.parsed is None else found.parsed.values,
        "outside": None if found.parsed is None else found.parsed.outside,
    }


def answers_key(found: Checkpoint, task: Task, encoded: Rows) -> dict[str, Any]:
    """What the answers of a trained system depend on."""
    return {
        "model": found.backbone.fingerprint,
        "head": sha256_file(found.folder / HEAD),
        "design": asdict(found.system.design),
        "rows": task.sha256(),
        "prompts": [row.prompt for row in encoded.rows],
    }


def _read(path: Path, task: Task, key: Mapping[str, Any]) -> Answers | None:
    """The answers of a file; None where it is not what was written."""
    try:
        content = unsealed(read_json(path))
        if content["ids"] != list(task.ids) or content["key"] != plain(key):
            return None
        parsed = None
        if content["of_text"] is not None:
            said = _numbers(content["of_text"])
            outside = np.array(content["outside"], dtype=bool)
            parsed = Parsed(said, np.isnan(said), outside)
        written = content["token_ids"]
        texts = content["texts"]
        return Answers(
            values=_numbers(content["values"]),
            token_ids=None if written is None else tuple(map(tuple, written)),
            texts=None if texts is None else tuple(texts),
            parsed=parsed,
            by_head=content["by_head"],
        )
    except (ValueError, KeyError, TypeError):
        return None


def _numbers(values: list[float | None]) -> np.ndarray:
    # JSON knows no NaN; null is an answer that could not be read.
    return np.array([math.nan if v is None else v for v in values], dtype=np.float64)
