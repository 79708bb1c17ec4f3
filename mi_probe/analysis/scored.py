"""Held-out terms of estimates, row by row, as comparing them needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isclose
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mi_probe.errors import InputError
from mi_probe.estimators import Estimate
from mi_probe.estimators.core.split import TOP, Split, codes_of
from mi_probe.results import read_kept


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """What one estimate says of each row, as comparing it needs; `scored` makes one."""

    name: str
    """What messages call it."""
    nats: float
    stderr: float
    ci: tuple[float, float]
    terms: Float[np.ndarray, " n"] = field(repr=False)
    """i(y; x) of each row in nats; their mean is ``nats``."""
    influence: Float[np.ndarray, " n"] = field(repr=False)
    """Derivative of ``nats`` by each row's weight, n times, but for a constant: its spread
    gives the error. It is ``terms`` where ``nats`` is a plain mean of them."""
    split: Split = field(repr=False)
    entropy_y: float | None = None
    labels: Shaped[np.ndarray, " n"] | None = field(repr=False, default=None)
    """Y, where it is known."""
    y_digest: str | None = None
    """Of Y; see `Estimate.y_digest`."""
    ids: Int[np.ndarray, " n"] | None = field(repr=False, default=None)
    """A number for the id of each row, where they have some."""
    draw: tuple[object, ...] = ()
    """Seeds of the training and the critic; what has equal ones is paired."""


def placed(estimate: Any, place: str) -> Scored:
    """An estimate as `compare` takes it, called by its place among the arguments.

    Raises:
        InputError: for what is neither an estimate nor what `scored` made of one.
    """
    if isinstance(estimate, Scored):
        return estimate
    if not isinstance(estimate, Estimate):
        raise InputError(
            "estimates must be what an estimator's estimate gives; "
            f"{place} is of type {type(estimate).__name__}."
        )
    return scored(estimate, f"{place} ({estimate.estimator.name})")


def scored(estimate: Estimate, name: str = "") -> Scored:
    """An estimate as `compare` takes it.

    Args:
        estimate: of some rows.
        name: what messages call it; the estimator's by default.
    """
    terms, kept = np.asarray(estimate.pointwise, dtype=np.float64), None
    split = estimate.split or rows_alone(len(terms), estimate.seed)
    if split.kept is not None:
        kept = split.kept
    return Scored(
        name=name or estimate.estimator.name,
        nats=estimate.nats,
        stderr=estimate.stderr,
        ci=estimate.ci,
        terms=terms,
        influence=terms if estimate.influence is None else estimate.influence,
        split=split,
        entropy_y=estimate.entropy_y,
        y_digest=estimate.y_digest,
        ids=kept,
        draw=(estimate.seed,),
    )


def rows_alone(
    n: int,
    seed: int,
    *,
    fold: Int[np.ndarray, " n"] | None = None,
    group: Int[np.ndarray, " n"] | None = None,
) -> Split:
    """The split of terms that are there already, which nothing is learned from again."""
    fold = np.zeros(n, dtype=np.int64) if fold is None else fold
    return Split(fold, np.full(n, TOP), seed, group)


def shared_split(of: Sequence[Scored]) -> Split:
    """The split of rows that all of these are of; groups that share a row are one.

    Folds are those that all have in common; where they differ there is one.

    Raises:
        InputError: with the names of two that are of other rows, or another Y.
    """
    first = of[0]
    for other in of[1:]:
        check_same_rows(first, other)
    n = len(first.terms)
    group: np.ndarray | None = None
    for one in of:
        found = one.split.group
        if found is not None and group is None:
            group = codes_of(found)
        elif found is not None and group is not None:
            group = _joined(group, found)
    folds = [one.split.fold for one in of]
    same = all(np.array_equal(fold, folds[0]) for fold in folds)
    return rows_alone(n, first.split.seed, fold=folds[0] if same else None, group=group)


def are_of_the_same_rows(of: Sequence[Scored]) -> bool:
    """Whether these can be compared; see `check_same_rows`."""
    try:
        for other in of[1:]:
            check_same_rows(of[0], other)
    except InputError:
        return False
    return True


def check_same_rows(a: Scored, b: Scored) -> None:
    """Refuse to compare estimates of other rows, or of another Y.

    Raises:
        InputError: with both names, and where they differ.
    """
    said = ""
    if len(a.terms) != len(b.terms):
        said = f"{len(a.terms)} rows and {len(b.terms)}"
    elif a.ids is not None and b.ids is not None and (a.ids != b.ids).any():
        said = f"{_rows(a.ids != b.ids)} of other texts"
    elif (a.ids is None) != (b.ids is None):
        said = "rows left out of one alone"
    elif a.labels is not None and b.labels is not None and (a.labels != b.labels).any():
        said = f"{_rows(a.labels != b.labels)} of another Y"
    elif (a.entropy_y is None) != (b.entropy_y is None) or not isclose(
        a.entropy_y or 0.0, b.entropy_y or 0.0, abs_tol=1e-9
    ):
        said = "another H(Y)"
    elif None not in (a.y_digest, b.y_digest) and a.y_digest != b.y_digest:
        said = "another Y, or rows in another order"
    if said:
        raise InputError(
            f"estimates must be of the same rows and Y to be compared; {a.name} and "
            f"{b.name} have {said}. Measure both on the same rows."
        )


def _rows(differ: np.ndarray) -> str:
    return f"{int(differ.sum())} of {len(differ)} rows (row {int(differ.argmax())} first)"


def _joined(one: np.ndarray, two: np.ndarray) -> Int[np.ndarray, " n"]:
    """Groups of rows that share a group of either."""
    two = codes_of(two) + one.max() + 1
    size = int(two.max()) + 1
    links = coo_array((np.ones(len(one)), (one, two)), shape=(size, size))
    return codes_of(connected_components(links, directed=False)[1][one])


class Stored:
    """The held-out terms of estimates by their ``row_id``; each is read when it is asked.

    Args:
        folders: of results. Where only a table is, there are no terms.
        known: terms that are in memory, by row id.
    """

    def __init__(
        self,
        folders: Iterable[str | Path] = (),
        known: Mapping[str, Scored] = MappingProxyType({}),
    ):
        self._folders = [Path(folder) for folder in folders]
        self._read: dict[str, Scored | None] = {**known}

    def get(self, row_id: str, name: str = "") -> Scored | None:
        """The terms of one result row; None where they are not kept here.

        Args:
            row_id: of the row.
            name: what messages call it.

        Raises:
            InputError: if a file is not what was written.
        """
        if row_id not in self._read:
            self._read[row_id] = self._of(row_id, name or row_id)
        return self._read[row_id]

    def _of(self, row_id: str, name: str) -> Scored | None:
        for folder in self._folders:
            if (folder / "rows" / f"{row_id}.json").is_file():
                row, kept = read_kept(folder, row_id)
                known = "ids" in kept and row["stderr"] is not None
                return _of_row(row, kept, name) if known else None
        return None

    def all_of(self, row_ids: str, name: str) -> list[Scored]:
        """The terms of several rows, ids with blanks between; none unless all are known."""
        found = [self.get(row_id, name) for row_id in row_ids.split()]
        known = [one for one in found if one is not None and np.isfinite(one.nats)]
        return known if len(known) == len(found) else []


def _of_row(row: Mapping[str, Any], kept: Mapping[str, np.ndarray], name: str) -> Scored:
    terms = kept["pointwise"]
    seed = int(row["seed"])
    return Scored(
        name=name,
        nats=float(row["value_nats"]),
        stderr=float(row["stderr"]),
        ci=(float(row["ci_low"]), float(row["ci_high"])),
        terms=terms,
        influence=kept.get("influence", terms),
        split=rows_alone(len(terms), seed, fold=kept.get("fold"), group=kept.get("group")),
        entropy_y=_known(row.get("H_Y_nats")),
        labels=kept.get("labels"),
        ids=kept["ids"],
        draw=(_known(row.get("training_seed")), seed),
    )


def _known(value: Any) -> float | None:
    return None if value is None or value != value else float(value)


def averaged(several: Sequence[Scored], *, ci: tuple[float, float] | None = None) -> Scored:
    """Estimates of the same rows by several seeds as one: the means of all.

    Args:
        several: one a seed.
        ci: the interval of their mean, where it is known.

    Raises:
        InputError: if they are of other rows.
    """
    first = several[0]
    if len(several) == 1 and ci is None:
        return first
    split = shared_split(several)
    low, high = ci or (min(o.ci[0] for o in several), max(o.ci[1] for o in several))
    error = (high - low) / (2 * split.reach(1.0)) if len(several) > 1 else first.stderr
    return replace(
        first,
        nats=float(np.mean([one.nats for one in several])),
        stderr=error,
        ci=(low, high),
        terms=np.mean([one.terms for one in several], axis=0),
        influence=np.mean([one.influence for one in several], axis=0),
        split=split,
        draw=first.draw[:1],
    )
