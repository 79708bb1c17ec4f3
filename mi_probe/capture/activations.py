"""What a capture gives: states by site and view, from memory or from a store."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mi_probe.errors import InputError, check_known
from mi_probe.hidden import HiddenStates, Role
from mi_probe.pooling import pool

VIEWS = ("full", "mean", "last", "first", "max", "head")
READ_BY_POOLING = (Role.PROMPT, Role.GENERATED)
"""A pooled view never reads a gold answer's states: in a vector their leak of Y could
not be seen any more."""


@dataclass(frozen=True, eq=False)
class MemoryShard:
    """Some rows' tensors by name; those with an entry a token are packed.

    - ``lengths/STACK`` (n,), ``position/STACK`` (n,): the head's, -1 where none;
    - ``tokens/STACK`` (sum t,), ``roles/STACK`` (sum t,);
    - ``full/SITE`` (sum t, d), ``VIEW/SITE`` (n, d).
    """

    ids: tuple[str, ...]
    tensors: Mapping[str, Tensor]

    def get(self, name: str) -> Tensor:
        """The tensor of that name."""
        return self.tensors[name]


@dataclass(frozen=True, eq=False)
class FileShard:
    """The same on disk, opened for one tensor at a time."""

    ids: tuple[str, ...]
    path: Path
    sha256: str
    fingerprint: str
    """Of the store; the file says of which it is, and which rows it holds."""

    @cached_property
    def intact(self) -> bool:
        """True if the file is there, as it was written, and of these rows."""
        if not self.path.is_file() or sha256_of(self.path) != self.sha256:
            return False
        said = metadata_of(self.path)
        ids = said.get("ids") == json.dumps([*self.ids])
        return ids and said.get("fingerprint") == self.fingerprint

    def get(self, name: str) -> Tensor:
        """The tensor of that name.

        Raises:
            InputError: if the file is not what was written.
        """
        if not self.intact:
            raise InputError(
                f"shard '{self.path.name}' must have the sha256 and the row ids of its "
                "manifest line; it is missing, damaged or another's. Capture into the "
                "folder again: intact shards are kept."
            )
        try:
            with safe_open(self.path, framework="pt") as file:
                return file.get_tensor(name)
        except SafetensorError as error:
            raise InputError(
                f"shard '{self.path.name}' must hold '{name}'; reading gave {error}. "
                "Capture into another folder."
            ) from None


Shard = MemoryShard | FileShard


@dataclass(frozen=True, eq=False, repr=False)
class Activations:
    """Hidden states of one data set, by site and view, in the data's row order.

    Of a store, one site is in memory at a time: ``hidden`` and ``pooled`` read afresh.
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
        self._check(site, "full")
        order = {name: i for i, name in enumerate(self.ids)}
        parts = [(self._rows(shard, order), shard) for shard in self.shards]
        stack = self.stacks[site]
        longest = max(int(s.get(f"lengths/{stack}").max()) for _, s in parts)
        shape = (len(self.ids), longest)
        values = torch.zeros(0)
        tokens = torch.zeros(shape, dtype=torch.long)
        roles = torch.full(shape, int(Role.PAD), dtype=torch.int8)
        for rows, shard in parts:
            packed = shard.get(f"full/{site}")
            if not len(values):
                values = torch.zeros(*shape, packed.shape[1], dtype=packed.dtype)
            lengths = shard.get(f"lengths/{stack}").long()
            row, column = _unpacked(rows, lengths)
            values[row, column] = packed
            tokens[row, column] = shard.get(f"tokens/{stack}").long()
            roles[row, column] = shard.get(f"roles/{stack}")
        return HiddenStates(
            values=values,
            mask=roles != Role.PAD,
            token_ids=tokens,
            roles=roles,
            site=site,
        )

    def pooled(self, site: str, view: str) -> Float[Tensor, "n d"]:
        """Z_p at a site in float32, over prompt and generated positions.

        A view that was not captured is computed from ``full`` where that was.

        Raises:
            InputError: on a site or view that was not captured.
        """
        check_known("view", view, VIEWS[1:])
        self._check(site, view if view in self.views else "full", asked=view)
        order = {name: i for i, name in enumerate(self.ids)}
        out = torch.zeros(0)
        for shard in self.shards:
            rows = self._rows(shard, order)
            part = (
                shard.get(f"{view}/{site}")
                if view in self.views
                else self._pool(shard, site, view)
            )
            if not len(out):
                out = torch.zeros(len(self.ids), part.shape[1], dtype=part.dtype)
            out[rows] = part
        return out

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


def metadata_of(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing where it is none."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def sha256_of(path: Path) -> str:
    """The file's sha256, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.hexdigest()


def _unpacked(rows: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each packed position."""
    starts = lengths.cumsum(0) - lengths
    column = torch.arange(int(lengths.sum())) - starts.repeat_interleave(lengths)
    return rows.repeat_interleave(lengths), column
