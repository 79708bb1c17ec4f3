"""A declared task by its name: from its wheel, its original files, or the hub."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mi_probe.errors import InputError, check_known
from mi_probe.tasks.answers import AnswerForm, OptionText
from mi_probe.tasks.catalogue import TASKS
from mi_probe.tasks.cut import SHARES, cut
from mi_probe.tasks.decoded import sha256_of
from mi_probe.tasks.entry import Entry, Table
from mi_probe.tasks.files import read_table
from mi_probe.tasks.frames import HUB
from mi_probe.tasks.hub import has_datasets, read_hub
from mi_probe.tasks.near_copies import tied
from mi_probe.tasks.originals import LACKING, find_files, split_of, splits_there
from mi_probe.tasks.prompts import fill
from mi_probe.tasks.task import Task
from mi_probe.tasks.ties import levelled
from mi_probe.tasks.wheels import locate


@dataclass(frozen=True)
class Copy:
    """A split as it was read, with what is known of this copy."""

    table: Table
    split: str
    source: str
    template: str | None = None
    notes: tuple[str, ...] = ()


def load_task(
    name: str,
    *,
    rows: int | None = None,
    seed: int = 0,
    template: str | None = None,
    split: str | None = None,
    data_folder: str | Path | None = None,
    answer: Literal["label", "text"] = "label",
) -> Task:
    """A declared data set, by name.

    With a folder, its original files are read. Without, the embedded copy, where there is
    one with this split; else the hub's, if the `datasets` library is installed. Rows are
    the same prompts whichever copy they come from, unless a note says otherwise.

    Args:
        name: one of `TASKS`.
        rows: how many rows to draw, without replacement; None takes all.
        seed: of that draw.
        template: the prompt, with the data set's own columns as ``{column}``; None is
            the task's own, which ends where the answer would come.
        split: an official one; ``train``, ``validation`` or ``test`` are cut, always in
            the same way, out of data without official splits. None is the reported one,
            or all rows where there is none.
        data_folder: the data set's folder as it is downloaded, the one above it, or one of
            its files, which stands for its split.
        answer: ``text`` writes a question's option in full where the label is the place of
            an option.

    Raises:
        InputError: if the name or split is unknown, no copy is there, a file is not what
            it should be, there are fewer rows than asked for, or the template names a
            column that is not there.

    Examples:
        >>> from mi_probe.tasks import load_task
        >>> task = load_task("rotten_tomatoes", rows=200)
        >>> task
        Task('rotten_tomatoes', 200 rows, ... groups, Y: critic's verdict ..., 2 classes)
        >>> task.label_names
        ('negative', 'positive')
    """
    entry = _entry(name)
    form = _form(name, entry, answer)
    copy = _read(name, entry, split, data_folder)
    task = _built(name, entry, copy, template, form).grouped()
    if split is not None and copy.split != split:
        task = cut(task, SHARES, groups=task.groups)[split]
    return task if rows is None else task.sample(rows, seed=seed)


def as_task(data: Task | Any) -> Task:
    """What may be measured, as a task.

    Args:
        data: a task; the name of a declared one; or any table that `read_table` takes,
            whose columns are called ``text`` and ``label``. Others are named to
            `read_table` itself.

    Raises:
        InputError: as `load_task` or `read_table` do.
    """
    if isinstance(data, Task):
        return data
    named = isinstance(data, str) and not data.startswith(HUB)
    if named and (data in TASKS or not ("." in data or Path(data).exists())):
        return load_task(data)
    return read_table(data)


def _entry(name: str) -> Entry:
    own = "Your own file is a task too: --data FILE, or read_table(...)."
    check_known("task", name, TASKS, own)
    return TASKS[name]


def _form(name: str, entry: Entry, answer: str) -> AnswerForm:
    if answer == "label":
        return entry.form
    if answer != "text" or entry.alternative is None:
        forms = "'label'" if entry.alternative is None else "'label' or 'text'"
        raise InputError(f"answer of task '{name}' must be {forms}; got '{answer}'.")
    return entry.alternative


def _read(name: str, entry: Entry, split: str | None, folder: str | Path | None) -> Copy:
    if folder is not None:
        return _from_files(name, entry, split, Path(folder))
    wheel, hub = entry.wheel, entry.hub
    if wheel is not None and (split in (None, wheel.split) or _is_cut(wheel.split, split)):
        path, package = locate(name, wheel)
        source = f"{package}, {wheel.path}, sha256 {sha256_of(path)[:16]}"
        return Copy(wheel.read(path), wheel.split, source)
    known = list(original.splits) if (original := entry.original) else []
    known += [s for s in (hub.splits if hub else ()) if s not in known]
    known += [wheel.split] if wheel and wheel.split not in known else []
    wanted = split or "test"
    if (
        split is not None
        and split not in known
        and not any(_is_cut(k, split) for k in known)
    ):
        check_known(f"split of task '{name}'", split, known, LACKING.get(split, ""))
    if hub is not None and wanted in hub.splits and has_datasets():
        table, source = read_hub(name, hub, wanted)
        return Copy(table, wanted, source)
    embedded = f"only '{wheel.split}' of it is embedded" if wheel else "none is embedded"
    online = f", or run `pip install datasets` to read {hub.id}" if hub else ""
    raise InputError(
        f"split '{wanted}' of task '{name}' needs its data, {embedded}; give the folder "
        f"with the original files, --data-folder PATH{online}."
    )


def _from_files(name: str, entry: Entry, split: str | None, place: Path) -> Copy:
    if entry.original is None:
        raise InputError(
            f"task '{name}' is embedded and has no reader of original files; leave "
            "--data-folder out."
        )
    official = entry.original.splits
    if place.is_file():
        named = split_of(name, entry.original, place)
        if split not in (None, named) and not _is_cut(named, split):
            raise InputError(
                f"split must be that of the file, '{named}' for {place.name}; got "
                f"'{split}'."
            )
        wanted = named
    elif split is None:
        there = splits_there(entry.original, place) if place.exists() else []
        wanted = "test" if "test" in there or not there else there[0]
        wanted = wanted if wanted in official else next(iter(official))
    else:
        wanted = "all" if _is_cut(next(iter(official)), split) else split
    originals = {n: e.original for n, e in TASKS.items() if e.original is not None}
    files, found = find_files(name, entry.original, place, wanted, others=originals)
    table = files.read(found)
    source = ", ".join(
        f"{path.name}, sha256 {sha256_of(path)[:16]}" for path in found.values()
    )
    notes = [files.note] if files.note else []
    if files.rows is not None and len(table.rows) != files.rows:
        notes.append(f"{len(table.rows):,} rows, where {files.rows:,} are published")
    return Copy(table, wanted, source, files.template, tuple(notes))


def _is_cut(whole: str, split: str | None) -> bool:
    """Whether a split is cut out of data that has no official ones."""
    return whole == "all" and split in SHARES


def _built(
    name: str, entry: Entry, copy: Copy, template: str | None, form: AnswerForm
) -> Task:
    rows = copy.table.rows
    if not rows:
        raise InputError(
            f"task '{name}' must have rows with labels; {copy.source} has none "
            f"({'; '.join(copy.table.notes) or 'it is empty'})."
        )
    records = [{k: v for k, v in row.items() if k != "options"} for row in rows]
    frame = template or copy.template or entry.template
    prompts = fill(frame, records, hidden=("label",))
    options = tuple(row["options"] for row in rows) if "options" in rows[0] else ()
    labels = _labels(name, entry, rows)
    ids = _ids(name, copy)
    each = zip(labels.tolist(), options or ((),) * len(rows), strict=True)
    return Task(
        name=name,
        prompts=prompts,
        answers=tuple(form.write(y, o) for y, o in each),
        labels=labels,
        label_names=entry.label_names,
        target=entry.target,
        ids=ids,
        split=copy.split,
        source=copy.source,
        notes=_notes(entry, copy, options if isinstance(form, OptionText) else ()),
        form=form,
        options=options,
        groups=_groups(entry, rows, ids),
        template=frame,
        metrics=entry.metrics,
        columns={
            column: tuple(record.get(column) for record in records)
            for column in records[0]
            if column != "label"
        },
    )


def _labels(name: str, entry: Entry, rows: list[dict[str, Any]]) -> np.ndarray:
    if entry.label_names is not None:
        labels = np.array([row["label"] for row in rows], dtype=np.int64)
    else:
        labels = np.round([row["label"] for row in rows], entry.rounding) + 0.0
    low, high = entry.label_range or (-np.inf, np.inf)
    wrong = np.flatnonzero((labels < low) | (labels > high))
    if len(wrong):
        raise InputError(
            f"labels of task '{name}' must lie in {low:g} ... {high:g}; {len(wrong)} of "
            f"{len(labels)} do not, the first {labels[wrong[0]]:g} in data row "
            f"{wrong[0] + 1}. Is it the right file?"
        )
    return labels


def _ids(name: str, copy: Copy) -> tuple[str, ...]:
    """The data set's own ids, or the split's rows numbered: unique over its splits."""
    rows = copy.table.rows
    if "id" not in rows[0]:
        return tuple(f"{copy.split}-{i}" for i in range(len(rows)))
    ids = tuple(str(row["id"]) for row in rows)
    if len(set(ids)) < len(ids):
        twice = Counter(ids).most_common(1)[0][0]
        raise InputError(
            f"ids of task '{name}' must be unique; '{twice}' comes more than once. Is the "
            "file joined to itself?"
        )
    return ids


def _groups(
    entry: Entry, rows: list[dict[str, Any]], ids: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Named by the text that ties their first row, hashed: one name in every split."""
    columns = [
        [None if row.get(c) is None else levelled(str(row[c])) for row in rows]
        for c in entry.together
    ]
    texts = list(zip(*columns, strict=True))
    if not any(text is not None for row in texts for text in row):
        return None
    groups = tied(*columns)
    names: list[str] = []
    for i in np.unique(groups, return_index=True)[1]:
        text = "\n".join(text for text in texts[i] if text is not None)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        names.append(digest if text else ids[i])
    return tuple(names[group] for group in groups)


def _notes(
    entry: Entry, copy: Copy, options: tuple[tuple[str, ...], ...]
) -> tuple[str, ...]:
    same = sum(len(set(row)) < len(row) for row in options)
    notes = (
        *copy.table.notes,
        *copy.notes,
        *([entry.notes[copy.split]] if copy.split in entry.notes else ()),
        f"{same} rows have two options of one text, which cannot be told apart",
    )
    return tuple(note for note in notes if not note.startswith("0 "))
