"""Task: texts X with what is to be predicted from them, Y, and what that Y *is*."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from mi_probe.errors import InputError
from mi_probe.tasks.answers import AnswerForm, Number, Parsed, Words, read_answers
from mi_probe.tasks.near_copies import text_groups


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """A data set as the toolkit sees it: one prompt, answer text and label a row."""

    name: str
    prompts: tuple[str, ...]
    """X: what the model reads."""
    answers: tuple[str, ...]
    """What a generator should write after the prompt."""
    labels: np.ndarray
    """Y: int64 classes 0 ... c-1 (n,), or float64 scores (n,)."""
    label_names: tuple[str, ...] | None
    """The classes' names, in the order of the labels; None for scores."""
    target: str
    """What Y is, in words: 'sentiment class', 'index of the right option', ..."""
    ids: tuple[str, ...]
    """A stable, unique name a row; activations and results refer to it."""
    split: str = ""
    source: str = ""
    """Where the rows come from, with a version or hash."""
    file_sha256: str | None = None
    """Of a user's file: in two files with one hash, equal ids are equal rows."""
    notes: tuple[str, ...] = ()
    """What was done to the rows on reading ('56 duplicate texts dropped')."""
    form: AnswerForm | None = None
    """How answers are written and read; None: the classes' names, or a number."""
    options: tuple[tuple[str, ...], ...] = ()
    """The texts of each row's options, where rows have some."""
    groups: tuple[str, ...] | None = None
    """Names of the groups of rows that depend on each other: of one document, speaker or
    context, or copies of one text. None: rows were not said to, and no text has a copy."""
    blocks: int | None = None
    """Number of blocks that ordered rows are cut into; None where order says nothing."""
    template: str = ""
    """The frame that the prompts were filled into, with ``{column}`` for what differs;
    empty where it is not known."""
    metrics: tuple[str, ...] = ()
    """What a declared data set is reported by, the first one before all; () of a user's
    file, whatever its name: those of its kind of labels."""

    columns: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, repr=False)
    """Other columns of the table by name, a value a row, where they were kept."""

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        y = f"{len(self.label_names)} classes" if self.label_names else "scores"
        groups = f", {len(set(self.groups))} groups" if self.groups else ""
        return f"Task('{self.name}', {len(self)} rows{groups}, Y: {self.target}, {y})"

    @property
    def kind(self) -> Literal["classes", "scores"]:
        """Whether Y is a class or a number."""
        return "scores" if self.label_names is None else "classes"

    def parse(self, texts: Sequence[str]) -> Parsed:
        """Y as a model wrote it after each prompt: NaN, and counted, where it did not.

        Raises:
            InputError: unless there is one text a row.
        """
        if len(texts) != len(self):
            raise InputError(
                f"texts must be one a row, {len(self)} for task '{self.name}'; got "
                f"{len(texts)}."
            )
        form = self.form or (Words(self.label_names) if self.label_names else Number())
        return read_answers(form, texts, self.options)

    def sha256(self) -> str:
        """Hash of what an estimate depends on: ids, prompts, labels and what Y is."""
        content = [
            self.ids,
            self.prompts,
            self.labels.tolist(),
            self.label_names,
            self.target,
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def rows(self, index: Sequence[int] | np.ndarray) -> "Task":
        """The chosen rows, in the order given."""
        index = np.asarray(index, dtype=int)
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in index),
            answers=tuple(self.answers[i] for i in index),
            ids=tuple(self.ids[i] for i in index),
            options=tuple(self.options[i] for i in index) if self.options else (),
            labels=self.labels[index],
            groups=tuple(self.groups[i] for i in index) if self.groups else None,
            columns={
                name: tuple(values[i] for i in index)
                for name, values in self.columns.items()
            },
        )

    def grouped(self) -> "Task":
        """The task with equal and nearly equal prompts in one group, and a note of them.

        A group goes by the name that its first row had; a row without one by its id.
        """
        groups, copies = text_groups(self.prompts, self.groups)
        notes = [*self.notes, *copies.notes()]
        if self.groups is None and not copies.rows:
            return replace(self, notes=tuple(notes))
        first = np.unique(groups, return_index=True)[1]
        largest = int(np.bincount(groups).max())
        if self.groups is not None and largest > 1:
            notes.append(
                f"{len(self):,} rows in {len(first):,} groups of one context, source or "
                f"text, the largest of {largest:,}"
            )
        names = self.ids if self.groups is None else self.groups
        found = tuple(names[first[group]] for group in groups)
        return replace(self, groups=found, notes=tuple(notes))

    def sample(self, n: int, *, seed: int = 0) -> "Task":
        """Draw n rows without replacement, in the task's own order.

        Raises:
            InputError: if the task has fewer than n rows, or n is below 1.
        """
        if not 1 <= n <= len(self):
            raise InputError(
                f"rows must lie in 1 ... {len(self)} for task '{self.name}'; got {n}."
            )
        drawn = np.random.default_rng(seed).choice(len(self), size=n, replace=False)
        return self.rows(np.sort(drawn))
