"""Z at a site that is read from the shards when examples are asked for."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.capture.packed import unpacked
from mi_probe.capture.shards import Shard
from mi_probe.hidden import HiddenStates


class SiteRows:
    """The states of a site by example, padded to the longest."""

    def __init__(
        self,
        site: str,
        shards: Sequence[Shard],
        placed: Sequence[Int[Tensor, " _"]],
        lengths: Int[Tensor, " n"],
        dtype: torch.dtype | None = None,
    ) -> None:
        """Know where each example is, and read none.

        Args:
            site: whose states.
            shards: that hold them.
            placed: the examples of each shard, in its order; an example that several hold
                is read from the first.
            lengths: tokens of each example.
            dtype: of what is read; None as it is kept.
        """
        self._name, self._shards, self._lengths = f"full/{site}", shards, lengths
        self._shard = torch.zeros_like(lengths)
        self._start = torch.zeros_like(lengths)
        for number in reversed(range(len(shards))):
            rows = placed[number]
            self._shard[rows] = number
            self._start[rows] = lengths[rows].cumsum(0) - lengths[rows]
        (_, width), kept = shards[0].like(self._name)
        self.shape = (len(lengths), int(lengths.max()), width)
        self.dtype = dtype or kept

    def only(self, rows: Int[Tensor, " m"]) -> "SiteRows":
        """Some of the examples."""
        found = copy(self)
        for name in ("_lengths", "_shard", "_start"):
            setattr(found, name, getattr(self, name)[rows])
        found.shape = (len(rows), *self.shape[1:])
        return found

    @property
    def order(self) -> Int[Tensor, " n"]:
        """The examples shard by shard, as they stand in each."""
        by_start = self._start.argsort(stable=True)
        return by_start[self._shard[by_start].argsort(stable=True)]

    def __getitem__(self, rows: slice | Tensor) -> Float[Tensor, "m t d"]:
        """These examples, padded to the longest of all."""
        wanted = torch.arange(len(self._lengths))[rows]
        found = torch.zeros(len(wanted), *self.shape[1:], dtype=self.dtype)
        shard_of = self._shard[wanted]
        for number in shard_of.unique().tolist():
            places = (shard_of == number).nonzero().flatten()
            places = places[self._start[wanted[places]].argsort()]
            starts, lengths = self._start[wanted[places]], self._lengths[wanted[places]]
            first, last = int(starts[0]), int(starts[-1] + lengths[-1])
            packed = self._shards[number].get(self._name, slice(first, last))
            row, column = unpacked(places, lengths)
            # Others between them, or one more than once.
            if not torch.equal(starts[1:], (starts + lengths)[:-1]):
                packed = packed[(starts - first).repeat_interleave(lengths) + column]
            found[row, column] = packed.to(self.dtype)
        return found

    def at(
        self, rows: Int[Tensor, " k"], places: Int[Tensor, " k"]
    ) -> Float[Tensor, "k d"]:
        """The states at single positions."""
        found = torch.empty(len(rows), self.shape[2], dtype=self.dtype)
        shard_of, entries = self._shard[rows], self._start[rows] + places
        for number in shard_of.unique().tolist():
            own = (shard_of == number).nonzero().flatten()
            first, last = int(entries[own].min()), int(entries[own].max()) + 1
            packed = self._shards[number].get(self._name, slice(first, last))
            found[own] = packed[entries[own] - first].to(self.dtype)
        return found


class StoredStates(HiddenStates):
    """Z at a site on the disk: ``z[rows]`` reads those, and ``z.values`` all of them."""

    _rows: SiteRows
    _made: dict[str, np.ndarray]

    def __init__(
        self,
        values: SiteRows,
        mask: Tensor,
        token_ids: Tensor | None = None,
        roles: Tensor | None = None,
        site: str = "",
        gold_acknowledged: bool = False,
    ) -> None:
        """Hold what is known of each position, and a reader of the states."""
        held: Mapping[str, object] = {
            "_rows": values,
            "_made": {},
            "mask": mask,
            "token_ids": token_ids,
            "roles": roles,
            "site": site,
            "gold_acknowledged": gold_acknowledged,
        }
        for name, value in held.items():
            object.__setattr__(self, name, value)

    @property
    def values(self) -> Float[Tensor, "n t d"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All states, read afresh."""
        return self._rows[:]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Examples, tokens, units."""
        n, t, d = self._rows.shape
        return n, t, d

    @property
    def reading_order(self) -> Int[Tensor, " n"]:
        """The examples as they stand on the disk."""
        return self._rows.order

    @property
    def kept(self) -> dict[str, np.ndarray]:
        """Arrays on the disk, by what they are of these states and this mask."""
        return self._made

    def only(self, rows: Int[np.ndarray, " m"]) -> "StoredStates":
        """The chosen examples, on the disk."""
        chosen = torch.as_tensor(rows)
        return StoredStates(self._rows.only(chosen), **self._known(chosen))

    def at(self, rows: Int[Tensor, " k"], places: Int[Tensor, " k"]):
        """The states at single positions, (k, d), in memory."""
        return self._rows.at(rows, places)

    def _states(self, rows: slice | Tensor) -> Tensor:
        return self._rows[rows]

    def _with(self, **changes: Any) -> HiddenStates:
        return replace(self, **{"values": self._rows, **changes})
