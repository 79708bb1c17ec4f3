"""Which rows are read together: batches, cut over the whole data, whoever runs them.

A state depends on its batch mates in its last bits. So batches are the same whether one
process runs them all, several divide them, or an interrupted run is taken up again. And
rows that a model reads alike are read once: copies of one text that fall into different
batches would hardly differ, and no longer be known as copies.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mi_probe.backbones import Site
from mi_probe.capture.sequences import Sequences

Batch = list[list[int]]
"""Sets of rows that are read alike, of each of which the first is run."""
PIECES = 32
"""Pieces of a store, at least, where there are as many batches; processes divide them."""


def rows_per_piece(n: int, most: int) -> int:
    """Rows of a stored piece: as many whether one process makes all of them or several."""
    return min(most, -(-n // PIECES))


def cut(data: Sequences, *, batch_size: int, rows_per_piece: int) -> list[list[Batch]]:
    """All batches of the data, in pieces of so many rows at most, or of one batch.

    The longest rows come first: if memory does not suffice, it fails at once.
    """
    rows = sorted(range(len(data)), key=lambda row: -len(data.input_ids[row]))
    sets = equal_rows(data, rows)
    pieces: list[list[Batch]] = []
    room = 0
    for start in range(0, len(sets), batch_size):
        batch = sets[start : start + batch_size]
        size = sum(map(len, batch))
        if size > room:
            pieces.append([])
            room = rows_per_piece
        pieces[-1].append(batch)
        room -= size
    return pieces


def equal_rows(data: Sequences, rows: Sequence[int]) -> list[list[int]]:
    """The rows in sets of equal inputs, in the order of each set's first."""
    columns = (data.input_ids, data.roles, data.decoder_ids, data.decoder_roles)
    told = [column for column in columns if column is not None]
    found: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for row in rows:
        read = tuple(tuple(int(one) for one in column[row]) for column in told)
        found.setdefault(read, []).append(row)
    return list(found.values())


def repeated(
    tensors: Mapping[str, Tensor], counts: Sequence[int], sites: Sequence[Site]
) -> dict[str, Tensor]:
    """A batch's tensors, as `capture_batch` packs them, each row so often, or never."""
    if set(counts) == {1}:
        return dict(tensors)
    rows = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    stack_of = {site.name: site.stack or "text" for site in sites}
    found = {}
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        if kind not in ("full", "tokens", "roles"):
            found[key] = value[rows]
            continue
        stack = stack_of[name] if kind == "full" else name
        parts = value.split(tensors[f"lengths/{stack}"].tolist())
        found[key] = torch.cat([parts[row] for row in rows.tolist()])
    return found
