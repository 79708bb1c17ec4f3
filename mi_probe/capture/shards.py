"""Some rows' tensors: in memory, or in a file that is read and verified piece by piece.

A shard's file is plain safetensors, and anybody's tool reads it. The store's manifest has a
checksum of its header, which says whose rows and which tensors it holds, and one of every
`BLOCK` of each tensor. So one site of many, or some rows of a site, are verified as they
are read, and no other site's bytes are touched.

Checksums are of XXH3 with 128 bits: they tell damage and exchanged files, at several times
the speed of a cryptographic hash, and no forgery.

References:
    xxHash, https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

import json
import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import torch
import xxhash
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mi_probe.contents import LARGEST_JSON, parse_json
from mi_probe.errors import InputError

BLOCK = 1 << 20
"""Bytes of a tensor that have one checksum."""
_KINDS = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, eq=False)
class MemoryShard:
    """Some rows' tensors by name; those with an entry a token are packed.

    - ``lengths/STACK`` (n,), ``position/STACK`` (n,): the head's, -1 where none;
    - ``tokens/STACK`` (sum t,), ``roles/STACK`` (sum t,);
    - ``full/SITE`` (sum t, d), ``VIEW/SITE`` (n, d).
    """

    ids: tuple[str, ...]
    tensors: Mapping[str, Tensor]

    def get(self, name: str, entries: slice | None = None) -> Tensor:
        """The tensor of that name, or a slice of its first axis."""
        return self.tensors[name][entries or slice(None)]

    def like(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        """Shape and kind of a tensor."""
        return tuple(self.tensors[name].shape), self.tensors[name].dtype


@dataclass(frozen=True)
class Sums:
    """The checksums of a shard's file."""

    header: str
    tensors: Mapping[str, tuple[str, ...]]
    """One a `BLOCK` of each."""

    @classmethod
    def of(cls, path: Path, tensors: Mapping[str, Tensor]) -> "Sums":
        """Of a file as it was written: of its header, and of what it was written from."""
        with path.open("rb") as file:
            header = xxhash.xxh3_128_hexdigest(_header_of(file))
        return cls(
            header, {name: _sums(_bytes(t.contiguous())) for name, t in tensors.items()}
        )

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Sums":
        """As a line of the manifest tells them.

        Raises:
            ValueError, KeyError, TypeError: for what is none.
        """
        tensors = {name: tuple(sums) for name, sums in dict(told["tensors"]).items()}
        texts = [told["header"], *(one for sums in tensors.values() for one in sums)]
        if not all(isinstance(one, str) for one in texts) or told["block"] != BLOCK:
            raise ValueError("checksums must be texts, one a block")
        return cls(told["header"], tensors)

    @property
    def told(self) -> dict[str, Any]:
        """As a line of the manifest tells them."""
        return {"header": self.header, "block": BLOCK, "tensors": self.tensors}


class _DamagedError(Exception):
    """A file is not what was written."""


@dataclass(frozen=True)
class _Entry:
    """Where a tensor is in its file."""

    kind: torch.dtype
    shape: tuple[int, ...]
    start: int
    n_bytes: int


@dataclass(frozen=True, eq=False)
class FileShard:
    """The same on disk; bytes are verified when they are first read."""

    ids: tuple[str, ...]
    path: Path
    sums: Sums
    fingerprint: str
    """Of the store; the file says of which it is, and which rows it holds."""
    _verified: set[tuple[str, int]] = field(default_factory=set, repr=False)

    @property
    def intact(self) -> bool:
        """True if the whole file is as it was written, and of these rows; reads it all."""
        try:
            for name in self.sums.tensors:
                self._read(name, slice(None))
        except (OSError, ValueError, _DamagedError):
            return False
        return True

    def get(self, name: str, entries: slice | None = None) -> Tensor:
        """The tensor of that name, or a slice of its first axis; no other is touched.

        Raises:
            InputError: if what is read is not what was written.
        """
        return self._told(lambda: self._read(name, entries or slice(None)))

    def like(self, name: str) -> tuple[tuple[int, ...], torch.dtype]:
        """Shape and kind of a tensor.

        Raises:
            InputError: as `get`.
        """
        entry = self._told(lambda: self._entry(name))
        return entry.shape, entry.kind

    def _told(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (OSError, ValueError, _DamagedError):  # an empty file cannot be mapped
            raise InputError(
                f"shard '{self.path.name}' must have the rows and checksums of its "
                "manifest line; it is missing, damaged or another's. Capture into the "
                "folder again: intact shards are kept."
            ) from None

    @cached_property
    def _entries(self) -> dict[str, _Entry]:
        with self.path.open("rb") as file:
            header = _header_of(file)
        if xxhash.xxh3_128_hexdigest(header) != self.sums.header:
            raise _DamagedError
        try:
            told = parse_json(header)
            said = told.pop("__metadata__")
            whose = said["ids"], said["fingerprint"]
            if whose != (json.dumps([*self.ids]), self.fingerprint):
                raise _DamagedError
            found = {name: _entry(one, 8 + len(header)) for name, one in told.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _DamagedError from None
        for name, entry in found.items():
            if len(self.sums.tensors.get(name, ())) != -(-entry.n_bytes // BLOCK):
                raise _DamagedError
        return found

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise _DamagedError
        return self._entries[name]

    def _read(self, name: str, entries: slice) -> Tensor:
        entry = self._entry(name)
        start, stop, _ = entries.indices(entry.shape[0])
        shape = (max(0, stop - start), *entry.shape[1:])
        count = math.prod(shape)
        if not count:
            return torch.empty(shape, dtype=entry.kind)
        first = start * (count // shape[0]) * entry.kind.itemsize
        last = first + count * entry.kind.itemsize
        mapped = _mapped(self.path)
        if len(mapped) < entry.start + entry.n_bytes:
            raise _DamagedError
        blocks = range(first // BLOCK, -(-last // BLOCK))
        unknown = [one for one in blocks if (name, one) not in self._verified]
        edges = {one: _edges(one, entry.n_bytes) for one in unknown}
        low = min(first, *(one for one, _ in edges.values()), entry.n_bytes)
        high = max(last, *(one for _, one in edges.values()), 0)
        _announce(mapped, entry.start + low, entry.start + high)
        for block, (low, high) in edges.items():
            with memoryview(mapped)[entry.start + low : entry.start + high] as part:
                found = xxhash.xxh3_128_hexdigest(part)
            if found != self.sums.tensors[name][block]:
                raise _DamagedError
            self._verified.add((name, block))
        told = {"dtype": entry.kind, "count": count, "offset": entry.start + first}
        return torch.frombuffer(mapped, **told).reshape(shape)


Shard = MemoryShard | FileShard


def metadata_of(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing where it is none."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):
        return {}


def _header_of(file: BinaryIO) -> bytes:
    """The JSON of a safetensors file.

    Raises:
        _DamagedError: if there is none.
    """
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= LARGEST_JSON:
        raise _DamagedError
    header = file.read(length)
    if len(header) != length:
        raise _DamagedError
    return header


def _entry(told: Mapping[str, Any], behind: int) -> _Entry:
    kind, shape = _KINDS[told["dtype"]], tuple(map(int, told["shape"]))
    start, stop = map(int, told["data_offsets"])
    if not shape or math.prod(shape) * kind.itemsize != stop - start:
        raise ValueError("a tensor must be as long as its shape says")
    return _Entry(kind, shape, behind + start, stop - start)


def _mapped(path: Path) -> mmap.mmap:
    """The file's bytes, read from the disk where they are touched.

    What is written to them reaches no file; they are let go of with the tensors on them.
    """
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def _edges(block: int, n_bytes: int) -> tuple[int, int]:
    """Where a block of a tensor of so many bytes begins and ends."""
    return block * BLOCK, min((block + 1) * BLOCK, n_bytes)


def _announce(mapped: mmap.mmap, start: int, stop: int) -> None:
    """Have these bytes fetched, and none of the next site's, as reading ahead would."""
    if hasattr(mmap, "MADV_WILLNEED"):  # not on Windows
        mapped.madvise(mmap.MADV_RANDOM)
        start -= start % mmap.PAGESIZE
        mapped.madvise(mmap.MADV_WILLNEED, start, stop - start)


def _bytes(values: Tensor) -> memoryview:
    """The memory of a tensor, not copied."""
    return values.reshape(-1).view(torch.uint8).numpy().data


def _sums(content: memoryview) -> tuple[str, ...]:
    starts = range(0, len(content), BLOCK)
    return tuple(xxhash.xxh3_128_hexdigest(content[i : i + BLOCK]) for i in starts)
