"""Rows that a model reads alike are read once, so that their states are equal to the bit.

A state depends on its batch mates in its last digits: copies of one text that fall into
different batches would hardly differ, and no longer be known as copies.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mi_probe.backbones import Site
from mi_probe.capture.sequences import Sequences


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
    """A batch's tensors, as `capture_batch` packs them, with each row so many times."""
    if max(counts) == 1:
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
