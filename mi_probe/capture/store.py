"""The store: a folder of activations that a killed run can take up again.

    fingerprint.json    what the states are of, the rows in order, sites and views; and
                        the sha256 of itself
    manifest.jsonl      one line a finished shard: file, bytes, ids, checksums
    shard-<...>.safetensors

A shard is done if and only if the manifest has a line for it whose checksums and ids the
file still has. Shards are named by the rows that they hold, so the number of processes or
the batch size may change between two runs. No shard is ever rewritten; one without a
line is debris of a kill and may be deleted.

All sites of some rows share a file: a file a site is 33 times the files of 33 sites, each
with its own wait for the disk, and older stores would have to be written again.
"""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from mi_probe.atomic import write_atomically, written_by_library
from mi_probe.capture.activations import Activations, sha256_of
from mi_probe.capture.packed import bounded
from mi_probe.capture.sequences import listed
from mi_probe.capture.shards import FileShard, MemoryShard, Sums, metadata_of
from mi_probe.contents import parse_json, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.locks import locked
from mi_probe.memory import DEFAULT, size_of

SCHEMA = "mi_probe.activations/2"
"""What tensors a store holds; part of every fingerprint."""
LAYOUT = "mi_probe.activations/3"
"""How they are kept: since 3, with checksums a tensor."""
SHARD_BYTES = 256 * 2**20
"""Of a shard, at most, but for rows that are larger."""
_SHARD = re.compile(r"shard-[0-9a-f]{16}(-\d+)?\.safetensors")


def fingerprint_id(fingerprint: Mapping[str, object]) -> str:
    """16 hexadecimal digits that stand for a fingerprint; a store's folder name."""
    return hashlib.sha256(_canonical(fingerprint).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Store:
    """An opened store; `open_store` makes it."""

    folder: Path
    header: Mapping[str, Any]

    @property
    def _fingerprint(self) -> str:
        return fingerprint_id(self.header["fingerprint"])

    def shards(self) -> tuple[FileShard, ...]:
        """The shards of the manifest, the newest line for each file; not verified."""
        found: dict[str, FileShard] = {}
        for ids, name, entry in self._lines():
            try:
                sums = Sums.read(entry)
            except (ValueError, KeyError, TypeError):
                continue
            found.pop(name, None)
            found[name] = FileShard(ids, self.folder / name, sums, self._fingerprint)
        return tuple(found.values())

    def _lines(self) -> Iterator[tuple[tuple[str, ...], str, Mapping[str, Any]]]:
        """Ids, file and whole of each line; those of other rows or places are left out."""
        manifest, known = self.folder / "manifest.jsonl", set(self.header["ids"])
        for line in manifest.read_bytes().split(b"\n") if manifest.exists() else []:
            try:
                entry = parse_json(line)
                ids, name = tuple(entry["ids"]), entry["file"]
                if known.issuperset(ids) and _SHARD.fullmatch(name):
                    yield ids, name, entry
            # A line torn by a kill, or damaged: its shard counts as not done.
            except (ValueError, KeyError, TypeError):
                continue

    def append(self, ids: Sequence[str], tensors: dict[str, Tensor]) -> None:
        """Write rows, then a line a shard in the manifest; several processes may.

        What is larger than `SHARD_BYTES` becomes several shards.
        """
        whole = MemoryShard(tuple(ids), tensors)
        with locked(self.folder / ".lock", lambda _: None):
            for part in bounded(whole, self.header["stacks"], SHARD_BYTES):
                self._append(part.ids, part.tensors)

    def _append(self, ids: Sequence[str], tensors: Mapping[str, Tensor]) -> None:
        key = hashlib.sha256(json.dumps([*ids]).encode()).hexdigest()[:16]
        path = self.folder / f"shard-{key}.safetensors"
        # A damaged shard, or one that a kill left without its line, stays as it is: a
        # reader may have it open.
        for again in itertools.count(1):
            if not path.exists():
                break
            path = self.folder / f"shard-{key}-{again}.safetensors"
        metadata = {
            "schema": LAYOUT,
            "fingerprint": self._fingerprint,
            "ids": json.dumps([*ids]),
        }
        kept = {name: values.contiguous() for name, values in tensors.items()}
        # safetensors >= 0.8 writes beside the old file and renames.
        with written_by_library(path):
            save_file(kept, path, metadata)
        _sync(path)
        _sync(self.folder)
        self._tell(path, ids, Sums.of(path, kept))

    def _tell(self, path: Path, ids: Sequence[str], sums: Sums) -> None:
        """Add a shard's line to the manifest."""
        size = path.stat().st_size
        line = {"file": path.name, "bytes": size, "ids": [*ids], **sums.told}
        manifest = self.folder / "manifest.jsonl"
        with manifest.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # After a torn line, begin a new one.
                torn = b"" if file.read(1) == b"\n" else b"\n"
            else:
                torn = b""
            file.write(torn + json.dumps(line).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def converted(self) -> "Store":
        """The store as it is kept now, where it was written with a checksum a file.

        Each shard is verified once as a whole, and its line written again with checksums a
        tensor; files stay as they are. A damaged one counts as not done.

        Raises:
            InputError: if the folder may not be written to.
        """
        if self.header["schema"] == LAYOUT:
            return self
        header = {**self.header, "schema": LAYOUT}
        try:
            with locked(self.folder / ".lock", lambda _: None):
                for ids, name, entry in [*self._lines()]:
                    path = self.folder / name
                    if path.is_file() and sha256_of(path) == entry.get("sha256"):
                        self._tell(path, ids, Sums.of(path, load_file(path)))
                write_atomically(self.folder / "fingerprint.json", sealed(header))
        except OSError as error:
            raise InputError(
                f"store '{self.folder.name}' is of an older layout, {SCHEMA}, and must be "
                f"written to once, to be brought to {LAYOUT}; {error.strerror or error}. "
                "Make the folder writable, or capture into another."
            ) from None
        return Store(self.folder, header)

    def activations(self) -> Activations:
        """All rows, read lazily.

        Raises:
            InputError: if rows are missing.
        """
        header = self.header
        done: set[str] = set()
        shards: list[FileShard] = []
        # The newest first: rows that were captured again leave an older, damaged shard
        # without any that are its own.
        for shard in reversed(self.shards()):
            if not done.issuperset(shard.ids):
                shards.append(shard)
                done.update(shard.ids)
        missing = [name for name in header["ids"] if name not in done]
        if missing:
            raise InputError(
                f"store '{self.folder.name}' must hold every row; {len(missing)} of "
                f"{len(header['ids'])} are missing: {listed(missing)}. "
                "Capture into it again to finish it."
            )
        return Activations(
            sites=tuple(header["sites"]),
            views=tuple(header["views"]),
            ids=tuple(header["ids"]),
            notes=tuple(header["notes"]),
            fingerprint=header["fingerprint"],
            stacks=header["stacks"],
            shards=tuple(shards),
        )


def load_activations(folder: str | Path, *, memory: str | int = DEFAULT) -> Activations:
    """The activations of a finished store; what is read is verified when it first is.

    Args:
        folder: of the store.
        memory: a size such as ``4GB`` that an estimate at one site may take, above the
            imports: states for which it is too little stay on the disk.

    Raises:
        InputError: if the folder is no store, or an unfinished one, or a size is none.
    """
    most = size_of(memory)
    path = Path(folder) / "fingerprint.json"
    if not path.is_file():
        raise InputError(f"'{folder}' must hold a fingerprint.json; it has none.")
    try:
        header = _read_header(path)
    except _NO_HEADER as error:
        raise InputError(
            f"'{path}' must be a store's header as it was written; it is damaged "
            f"({error}). Capture into the folder again: intact shards are kept."
        ) from None
    found = Store(Path(folder), header).converted().activations()
    return replace(found, memory=most)


def open_store(folder: str | Path, header: Mapping[str, Any]) -> Store:
    """A new store, or an existing one with the same fingerprint, to go on with.

    Args:
        folder: where; made if missing.
        header: ``fingerprint``, ``ids``, ``sites``, ``views``, ``stacks``, ``notes``.

    Raises:
        InputError: if the folder holds activations of something else; the keys that
            differ are named.
    """
    folder = Path(folder)
    path = folder / "fingerprint.json"
    wanted = plain(header)
    try:
        kept = _read_header(path)
    except FileNotFoundError:
        kept = _new_header(folder, wanted, "it has none")
    except _NO_HEADER as error:
        if isinstance(error, InputError):
            raise
        kept = _new_header(folder, wanted, f"it is damaged ({error})")
    there, now = kept["fingerprint"], wanted["fingerprint"]
    differing = sorted(k for k in {*there, *now} if there.get(k) != now.get(k))
    if differing:
        changes = "; ".join(
            f"{k}: there {_short(there.get(k))}, now {_short(now.get(k))}"
            for k in differing
        )
        raise InputError(
            f"store '{folder.name}' must have this run's fingerprint; it differs "
            f"in {changes}. Choose another folder."
        )
    return Store(folder, kept).converted()


_NO_HEADER = (ValueError, KeyError, TypeError, AttributeError)
"""What reading a file of other content may raise."""


def _new_header(folder: Path, header: dict[str, Any], why: str) -> dict[str, Any]:
    """Write it: into a new folder, or where shards say that they are of this store."""
    own = fingerprint_id(header["fingerprint"])
    shards = sorted(folder.glob("shard-*.safetensors")) if folder.is_dir() else []
    if shards and not any(metadata_of(p).get("fingerprint") == own for p in shards):
        raise InputError(
            f"store '{folder.name}' must have a store's header, fingerprint.json, beside "
            f"its shards; {why}. Choose another folder."
        )
    write_atomically(folder / "fingerprint.json", sealed({"schema": LAYOUT, **header}))
    _sync(folder)
    return {"schema": LAYOUT, **header}


def _read_header(path: Path) -> dict[str, Any]:
    header = read_json(path)
    schema = header["schema"]
    if schema in (SCHEMA, LAYOUT):
        header = unsealed(header)
        _check_header(header)
        return header
    raise InputError(f"schema of a store must be {LAYOUT}; got {schema}.")


def _check_header(header: Mapping[str, Any]) -> None:
    """Raise a ValueError where it could not have been written."""
    for name in ("ids", "sites", "views", "notes"):
        if not all(isinstance(one, str) for one in [*header[name]]):
            raise ValueError(f"{name} must be texts")
    stacks = header["stacks"]
    if any(stacks.get(site) not in ("text", "enc", "dec") for site in header["sites"]):
        raise ValueError("stacks must say the stack of each site")
    if not isinstance(header["fingerprint"], dict):
        raise ValueError("fingerprint must be an object")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, indent=1)


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
