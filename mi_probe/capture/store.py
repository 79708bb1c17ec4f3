"""The store: a folder of activations that a killed run can take up again.

    fingerprint.json    what the states are of, the rows in order, sites and views
    manifest.jsonl      one line a finished shard: file, sha256, bytes, ids
    shard-<...>.safetensors

A shard is done if and only if the manifest has a line for it whose sha256 the file
still has. Shards are named by the rows that they hold, so the number of processes or
the batch size may change between two runs. No shard is ever rewritten; one without a
line is debris of a kill and may be deleted.
"""

import hashlib
import itertools
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from mi_probe.capture.activations import Activations, FileShard, sha256_of
from mi_probe.capture.sequences import listed
from mi_probe.errors import InputError

SCHEMA = "mi_probe.activations/1"


def fingerprint_id(fingerprint: Mapping[str, object]) -> str:
    """16 hexadecimal digits that stand for a fingerprint; a store's folder name."""
    return hashlib.sha256(_canonical(fingerprint).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Store:
    """An opened store; `open_store` makes it."""

    folder: Path
    header: Mapping[str, Any]

    def shards(self) -> tuple[FileShard, ...]:
        """The shards of the manifest, the newest line for each file; not verified."""
        manifest = self.folder / "manifest.jsonl"
        found: dict[str, FileShard] = {}
        for line in manifest.read_bytes().split(b"\n") if manifest.exists() else []:
            try:
                entry = json.loads(line)
                shard = FileShard(
                    ids=tuple(entry["ids"]),
                    path=self.folder / entry["file"],
                    sha256=entry["sha256"],
                )
            # A line torn by a kill: its shard counts as not done.
            except (ValueError, KeyError, TypeError):
                continue
            found.pop(shard.path.name, None)
            found[shard.path.name] = shard
        return tuple(found.values())

    def append(self, ids: Sequence[str], tensors: dict[str, Tensor]) -> None:
        """Write one shard, then its line in the manifest."""
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
            "fingerprint": fingerprint_id(self.header["fingerprint"]),
            "ids": json.dumps([*ids]),
        }
        # safetensors >= 0.8 writes beside the old file and renames.
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
    return Store(Path(folder), _read_header(path)).activations()


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
    if path.is_file():
        kept = _read_header(path)["fingerprint"]
        now = json.loads(_canonical(header["fingerprint"]))
        differing = sorted(k for k in {*kept, *now} if kept.get(k) != now.get(k))
        if differing:
            changes = "; ".join(
                f"{k}: there {_short(kept.get(k))}, now {_short(now.get(k))}"
                for k in differing
            )
            raise InputError(
                f"store '{folder.name}' must have this run's fingerprint; it differs "
                f"in {changes}. Choose another folder."
            )
    else:
        if folder.is_dir() and any(folder.glob("shard-*.safetensors")):
            raise InputError(
                f"store '{folder.name}' must have a fingerprint.json beside its "
                "shards; it has none. Choose another folder."
            )
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(path, {"schema": SCHEMA, **header})
    return Store(folder, json.loads(path.read_text()))


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(path.read_text())
        schema = header["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path.name}' must be a store's header; {error}.") from error
    if schema != SCHEMA:
        raise InputError(f"schema of a store must be {SCHEMA}; got {schema}.")
    return header


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=path.name, suffix=".tmp", delete=False
    ) as file:
        file.write(_canonical(content))
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)
    _sync(path.parent)


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
