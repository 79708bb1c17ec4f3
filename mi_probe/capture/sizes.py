"""How much disk a capture needs, and whether there is that much."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from mi_probe.capture.plan import Plan
from mi_probe.errors import InputError

HEADER_BYTES = 200
"""About what a tensor's entry in a safetensors header takes."""
_MARGIN = 1.02

Pieces = Mapping[str, Tensor]


def bytes_on_disk(todo: Plan, pieces: Pieces, rows: Sequence[int], n_shards: int) -> int:
    """Bytes that a store of these rows takes; exact but for the headers of its files.

    Args:
        todo: what is captured.
        pieces: what one batch of it gave.
        rows: which of the plan's rows.
        n_shards: the store's files.
    """
    total = n_shards * HEADER_BYTES * len(pieces)
    for name, piece in pieces.items():
        kind, _, site = name.partition("/")
        per_token = kind in ("full", "tokens", "roles")
        lengths = todo.data.kept_lengths(todo.stacks.get(site, site)) if per_token else []
        count = sum(lengths[row] for row in rows) if per_token else len(rows)
        total += count * piece[:1].nbytes
    return total


def free_bytes(folder: str | Path) -> int:
    """What may still be written where the folder is, or will be."""
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def check_room(folder: str | Path, needed: int) -> None:
    """Refuse what cannot end well, before hours are spent on it.

    Raises:
        InputError: if clearly more is needed than is free.
    """
    free = free_bytes(folder)
    if needed > _MARGIN * free:
        raise InputError(
            f"the disk of '{os.fspath(folder)}' must have room for the hidden states, "
            f"{needed / 1e9:.2f} GB; {free / 1e9:.2f} GB are free. Choose another disk, "
            "fewer sites or rows, or leave out the view 'full', which is most of it."
        )


def roomy(
    batches: Iterator[tuple[tuple[str, ...], dict[str, Tensor]]],
    todo: Plan,
    rows: Sequence[int],
    folder: Path,
    n_shards: int,
) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """The same batches; after the first, `check_room` for all of these rows.

    Raises:
        InputError: as `check_room`.
    """
    for i, (ids, pieces) in enumerate(batches):
        if i == 0:
            check_room(folder, bytes_on_disk(todo, pieces, rows, n_shards))
        yield ids, pieces
