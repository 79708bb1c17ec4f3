"""Gaps and ladders in a results folder: one file a finished piece, tables rebuilt from all.

    gaps/PIECE_ID.json   one call of dpi_gap, conditional or capacity_ladder: the truth
    gaps.csv             I(Y;Z|Z_p) without noise, a row a pooling; I(Y;Z|C), one a C
    noise.csv            the same along a ladder of noise, the rung without noise included
    capacity.csv         the same along a ladder of critics

They stand beside the estimates of `mi_probe.results`, in the same folder. ``PIECE_ID`` is a
hash of what defines the piece, so one that exists is not computed again. A file holds the
sha256 of itself: one that is not what was written is named, and computed again.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pandas as pd

from mi_probe.atomic import write_atomically
from mi_probe.contents import digest, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.locks import locked

SCHEMA_VERSION = 5


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Columns that the rows of all tables share. Values are in nats; None is empty."""

    subject: str
    """The model, as the user named it."""
    objective: str
    step: int | None
    """Optimiser steps, of a ``checkpoint-<step>``."""
    revision: str | None
    adapter: str | None
    task: str
    split: str
    target: str
    """What Y is, in words."""
    site: str
    layer: int | None
    token_set: str
    pooling: str
    full_nats: float
    """I(Y;Z)."""
    pooled_nats: float
    """I(Y;Z_p)."""
    gap_nats: float
    """Their paired difference."""
    stderr_nats: float
    """Of the gap."""
    ci_low: float | None
    ci_high: float | None
    """The gap's 95 % interval."""
    full_low: float | None
    full_high: float | None
    pooled_low: float | None
    pooled_high: float | None
    """The 95 % intervals of the two values."""
    verdict: str
    n: int
    seed: int
    H_Y_nats: float | None
    piece_id: str
    code_version: str
    config_sha: str
    created: str


@dataclass(frozen=True, kw_only=True)
class GapRow(Compared):
    """A gap of one pooling, or of something else that is given, without or with noise."""

    given: str
    """Symbol of what is given: Z_mean for a pooling, or the name of C."""
    sigma: float
    p_value: float | None
    """Of Y independent of Z given Z_p or C, by conditional randomisation."""
    p_holm: float | None
    """The same, corrected for the sites and poolings measured together."""
    smallest_shown: float | None
    """Gap in nats that these rows would show in 80 % of draws; empty where not known."""
    learned_on: int
    """Rows of ``n`` that taught a learned pooling, and are not measured; else 0."""
    n_draws: int
    reading: str
    status: str
    estimator: str


@dataclass(frozen=True, kw_only=True)
class RungRow(Compared):
    """A gap of one pooling by one critic; the verdict is the whole ladder's."""

    rung: str
    capacity: int
    """The rung's place, from 0."""
    chosen: bool
    """Whether it is the one chosen on other rows than those it is reported on."""
    added_nats: float | None
    """What it adds to I(Y;Z) over the rung below."""
    added_low: float | None
    added_high: float | None
    saturated: bool


KINDS: dict[str, type[Compared]] = {"gap": GapRow, "capacity": RungRow}
_SAME = (
    *("subject", "revision", "step", "task", "split", "n", "site", "token_set"),
    *("pooling", "seed", "estimator", "n_draws"),
)


class GapResults:
    """The gaps and ladders of a results folder.

    Args:
        folder: where.
        say: is told of each file that is not what was written; it counts as not there.
        together: makes of the rows of all gaps what they are when read together: p-values
            corrected for their number, and verdicts by these.

    Raises:
        InputError: on a file of another version.
    """

    def __init__(
        self,
        folder: str | Path,
        say: Callable[[str], object] = warnings.warn,
        *,
        together: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list,
    ) -> None:
        self.folder = Path(folder)
        self._together = together
        self._pieces, damaged = _read_all(self.folder)
        for line in damaged:
            say(f"{line} It counts as not there: the run that made it makes it again.")

    def refresh(self) -> None:
        """Take in what other processes have finished meanwhile."""
        self._pieces, _ = _read_all(self.folder)

    def __contains__(self, piece_id: object) -> bool:
        return piece_id in self._pieces

    def add(
        self, piece_id: str, kind: str, key: Mapping[str, Any], rows: Iterable[Compared]
    ) -> None:
        """Keep one finished piece; ``digest(key)`` is its id."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "kind": kind,
            "key": plain(key),
            "rows": [plain(row) for row in rows],
        }
        assert piece_id == digest(key), "a piece's id is the digest of its key"
        write_atomically(self.folder / "gaps" / f"{piece_id}.json", sealed(content))
        self._pieces[piece_id] = content

    def rows(
        self, kind: str, piece_ids: Iterable[str] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a kind, of all pieces or of some, oldest first."""
        wanted = set(self._pieces if piece_ids is None else piece_ids)
        pieces = [piece for piece in self._pieces.values() if piece["kind"] == kind]
        rows = [row for piece in pieces for row in piece["rows"]]
        if kind == "gap":
            rows = self._together(rows)
        rows = [row for row in rows if row["piece_id"] in wanted]
        return sorted(rows, key=lambda row: row["created"])

    def write_tables(self) -> list[Path]:
        """Rebuild the CSVs that have rows; returns them."""
        with locked(self.folder / ".lock", lambda _: None):
            self.refresh()  # those of other runs too
            return self._write_tables()

    def _write_tables(self) -> list[Path]:
        gaps, rungs = self.rows("gap"), self.rows("capacity")
        noised = {_ladder(row) for row in gaps if row["sigma"] > 0}
        tables = {
            "gaps": (GapRow, [row for row in gaps if row["sigma"] == 0]),
            "noise": (GapRow, [row for row in gaps if _ladder(row) in noised]),
            "capacity": (RungRow, rungs),
        }
        paths = []
        for name, (kind, rows) in tables.items():
            if rows:
                columns = pd.Index([field.name for field in fields(kind)])
                table = pd.DataFrame(rows, columns=columns)
                table = table.astype({"step": "Int64", "layer": "Int64"})
                paths.append(self.folder / f"{name}.csv")
                write_atomically(paths[-1], table.to_csv(index=False).encode())
        return paths


def _ladder(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What rungs of one ladder of noise have in common."""
    return tuple(row[name] for name in _SAME)


def _read_all(folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The pieces of a folder by their ids, and a line for each that is damaged."""
    pieces, damaged = {}, []
    for path in sorted((folder / "gaps").glob("*.json")):
        try:
            pieces[path.stem] = _read(path)
        except InputError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            damaged.append(
                f"{path} must be a gap as it was written; it is damaged ({error})."
            )
    return pieces, damaged


def _read(path: Path) -> dict[str, Any]:
    """A piece's file.

    Raises:
        ValueError: if it is not what was written; or a KeyError or TypeError.
        InputError: if another version wrote it.
    """
    content = read_json(path)
    version = content["schema_version"]
    if version == SCHEMA_VERSION or "sha256" in content:
        content = unsealed(content)
    known = {field.name for field in fields(KINDS[content["kind"]])}
    if version != SCHEMA_VERSION or any(set(row) != known for row in content["rows"]):
        raise InputError(
            f"schema_version must be {SCHEMA_VERSION}, this program's; {path} has "
            f"{version} or other columns. Read it with the version that wrote it, or "
            "choose another folder."
        )
    if path.stem != digest(content["key"]):
        raise ValueError("its name and its key are of different pieces")
    return content
