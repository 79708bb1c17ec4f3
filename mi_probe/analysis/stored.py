"""What results folders keep of each row of an estimate, read as a comparison takes it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mi_probe.analysis.paired import Scored, rows_alone, shared_split
from mi_probe.results import read_kept


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
                return _scored(row, kept, name) if known else None
        return None

    def all_of(self, row_ids: str, name: str) -> list[Scored]:
        """The terms of several rows, ids with blanks between; none unless all are known."""
        found = [self.get(row_id, name) for row_id in row_ids.split()]
        known = [one for one in found if one is not None and np.isfinite(one.nats)]
        return known if len(known) == len(found) else []


def _scored(row: Mapping[str, Any], kept: Mapping[str, np.ndarray], name: str) -> Scored:
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
