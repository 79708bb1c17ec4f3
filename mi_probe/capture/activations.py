"""What a capture gives: states by site and view, from memory or from a store."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.capture.packed import unpacked
from mi_probe.capture.shards import Shard
from mi_probe.capture.stored_states import SiteRows, StoredStates
from mi_probe.errors import check_known
from mi_probe.hidden import HiddenStates, Role
from mi_probe.memory import DEFAULT, held_bytes, size_of
from mi_probe.pooling import pool
from mi_probe.scratch import let_go, on_disk

VIEWS = ("full", "mean", "last", "first", "max", "head")
READ_BY_POOLING = (Role.PROMPT, Role.GENERATED)
"""A pooled view never reads a gold answer's states: in a vector their leak of Y could
not be seen any more."""


@dataclass(frozen=True, eq=False, repr=False)
class Activations:
    """Hidden states of one data set, by site and view, in the data's row order.

    Of a store nothing is held: ``hidden`` and ``pooled`` read a site afresh,
    ``read_by_rows`` leaves it on the disk, and ``states`` and ``vectors`` do what fits.
    """

    sites: tuple[str, ...]
    views: tuple[str, ...]
    ids: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader of the numbers must know: texts cut, positions dropped."""
    fingerprint: Mapping[str, object]
    """What the states are of: model, data and settings."""
    stacks: Mapping[str, str]
    """The stack (``text``, ``enc``, ``dec``) of each site."""
    shards: tuple[Shard, ...]
    memory: int = size_of(DEFAULT)
    """Bytes that the states of one site, and what is made of them, may take."""

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        first, more = ", ".join(self.sites[:4]), ", ..." * (len(self.sites) > 4)
        count = f"{len(self.sites)} site{'s' * (len(self.sites) > 1)}"
        sites = f"{count}: {first}{more}"
        return f"Activations({len(self)} rows, {sites}; views: {', '.join(self.views)})"

    def hidden(self, site: str) -> HiddenStates:
        """Z at a site, padded to the longest row, in the dtype that was kept.

        Raises:
            InputError: on a site or view that was not captured.
        """
        return self._stored(site)[:]

    def read_by_rows(self, site: str) -> StoredStates:
        """Z at a site in float32, which stays on the disk: see `StoredStates`.

        Raises:
            InputError: on a site or view that was not captured.
        """
        return self._stored(site, torch.float32)

    def states(self, site: str, dtype: torch.dtype | None = torch.float32) -> HiddenStates:
        """Z at a site: in memory if an estimate of it fits into ``memory``, else by rows.

        Raises:
            InputError: on a site or view that was not captured.
        """
        z = self._stored(site, dtype)
        return z[:] if held_bytes(z.shape) <= self.memory else z

    def vectors(self, site: str, view: str) -> Float[Tensor, "n d"] | np.ndarray:
        """Z_p in float32: as `pooled`, or an array on the disk, as `states`.

        Raises:
            InputError: as `pooled`.
        """
        parts = self._pooled(site, view)
        first = next(parts)
        shape = (len(self), first[1].shape[1])
        if held_bytes(shape) <= self.memory:
            return self.pooled(site, view).float()
        found = on_disk(shape)
        for rows, part in chain([first], parts):
            found[rows] = part.float().numpy()
            let_go([found])
        return found

    def _stored(self, site: str, dtype: torch.dtype | None = None) -> StoredStates:
        self._check(site, "full")
        order = {name: i for i, name in enumerate(self.ids)}
        placed = [self._rows(shard, order) for shard in self.shards]
        stack = self.stacks[site]
        lengths = torch.zeros(len(self.ids), dtype=torch.long)
        for rows, shard in zip(placed, self.shards, strict=True):
            lengths[rows] = shard.get(f"lengths/{stack}").long()
        shape = (len(self.ids), int(lengths.max()))
        tokens = torch.zeros(shape, dtype=torch.long)
        roles = torch.full(shape, int(Role.PAD), dtype=torch.int8)
        for rows, shard in zip(placed, self.shards, strict=True):
            row, column = unpacked(rows, lengths[rows])
            tokens[row, column] = shard.get(f"tokens/{stack}").long()
            roles[row, column] = shard.get(f"roles/{stack}")
        return StoredStates(
            SiteRows(site, self.shards, placed, lengths, dtype),
            roles != Role.PAD,
            tokens,
            roles,
            site,
        )

    def pooled(self, site: str, view: str) -> Float[Tensor, "n d"]:
        """Z_p at a site in float32, over prompt and generated positions.

        A view that was not captured is computed from ``full`` where that was.

        Raises:
            InputError: on a site or view that was not captured.
        """
        out = torch.zeros(0)
        for rows, part in self._pooled(site, view):
            if not len(out):
                out = torch.zeros(len(self.ids), part.shape[1], dtype=part.dtype)
            out[rows] = part
        return out

    def _pooled(self, site: str, view: str) -> Iterator[tuple[Tensor, Tensor]]:
        """Rows and their vectors, shard by shard."""
        check_known("view", view, VIEWS[1:])
        self._check(site, view if view in self.views else "full", asked=view)
        order = {name: i for i, name in enumerate(self.ids)}
        for shard in self.shards:
            yield (
                self._rows(shard, order),
                shard.get(f"{view}/{site}")
                if view in self.views
                else self._pool(shard, site, view),
            )

    def _pool(self, shard: Shard, site: str, view: str) -> Tensor:
        alone = Activations(
            sites=self.sites,
            views=self.views,
            ids=shard.ids,
            notes=(),
            fingerprint={},
            stacks=self.stacks,
            shards=(shard,),
        )
        positions = shard.get(f"position/{self.stacks[site]}").long()
        return pool(alone.hidden(site).keep(*READ_BY_POOLING), view, positions=positions)

    def _rows(self, shard: Shard, order: Mapping[str, int]) -> Tensor:
        return torch.tensor([order[name] for name in shard.ids])

    def _check(self, site: str, view: str, asked: str | None = None) -> None:
        again = "Only what was captured is here; capture again with it."
        check_known("site", site, self.sites, again)
        if view not in self.views:
            check_known("view", asked or view, self.views, again)


def sha256_of(path: Path) -> str:
    """The file's sha256, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()
