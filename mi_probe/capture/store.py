"""The store: a folder of activations that a killed run can take up again.

    fingerprint.json    what the states are of, the rows in order, sites and views; and
                        the sha256 of itself
    manifest.jsonl      one line a finished shard: file, sha256, bytes, ids
    shard-<...>.safetensors

A shard is done if and only if the manifest has a line for it whose sha256 and ids the
file still has. Shards are named by the rows that they hold, so the number of processes or
the batch size may change between two runs. No shard is ever rewritten; one without a
line is debris of a kill and may be deleted.
"""

import hashlib
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from mi_probe.atomic import write_atomically, written_by_library
from mi_probe.capture.activations import Activations, FileShard, metadata_of, sha256_of
from mi_probe.capture.sequences import listed
from mi_probe.contents import parse_json, plain, read_json, sealed, unsealed
from mi_probe.errors import InputError
from mi_probe.locks import locked

SCHEMA = "mi_probe.activations/2"
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
        manifest = self.folder / "manifest.jsonl"
        found: dict[str, FileShard] = {}
        known, fingerprint = set(self.header["ids"]), self._fingerprint
        for line in manifest.read_bytes().split(b"\n") if manifest.exists() else []:
            try:
                entry = parse_json(line)
                ids, name = tuple(entry["ids"]), entry["file"]
                if not known.issuperset(ids) or not _SHARD.fullmatch(name):
                    continue
                path = self.folder / name
                shard = FileShard(ids, path, entry["sha256"], fingerprint)
            # A line torn by a kill, or damaged: its shard counts as not done.
            except (ValueError, KeyError, TypeError):
                continue
            found.pop(shard.path.name, None)
            found[shard.path.name] = shard
        return tuple(found.values())

    def append(self, ids: Sequence[str], tensors: dict[str, Tensor]) -> None:
        """Write one shard, then its line in the manifest; several processes may."""
        with locked(self.folder / ".lock", lambda _: None):
            self._append(ids, tensors)

    def _append(self, ids: Sequence[str], tensors: dict[str, Tensor]) -> None:
        key = hashlib.sha256(json.dumps([*ids]).encode()).hexdigest()[:16]
        path = self.folder / f"shard-{key}.safetensors"
        # A damaged shard, or one that a kill left without its line, stays as it is: a
        # reader may have it open.
        for again in itertools.count(1):
            if not path.exists():
                break
            path = self.folder / f"shard-{key}-{again}.safetensors"
        metadata = {
            "schema": SCHEMA,
            "fingerprint": self._fingerprint,
            "ids": json.dumps([*ids]),
        }
        # safetensors >= 0.8 writes beside the old file and renames.
        with written_by_library(path):
            save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata)
        _sync(path)
        _sync(self.folder)
        line = {
            "file": path.name,
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
            "ids": [*ids],
        }
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


def load_activations(folder: str | Path) -> Activations:
    """The activations of a finished store; each shard is verified when first read.

    Raises:
        InputError: if the folder is no store, or an unfinished one.
    """
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
    return Store(Path(folder), header).activations()


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
    return Store(folder, kept)


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
    write_atomically(folder / "fingerprint.json", sealed({"schema": SCHEMA, **header}))
    _sync(folder)
    return {"schema": SCHEMA, **header}


def _read_header(path: Path) -> dict[str, Any]:
    header = read_json(path)
    schema = header["schema"]
    if schema == SCHEMA:
        header = unsealed(header)
        _check_header(header)
        return header
    raise InputError(f"schema of a store must be {SCHEMA}; got {schema}.")


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
