"""Rows whose entries stand one behind another, without padding."""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from mi_probe.capture.shards import MemoryShard


def unpacked(
    rows: Int[Tensor, " n"], lengths: Int[Tensor, " n"]
) -> tuple[Int[Tensor, " k"], Int[Tensor, " k"]]:
    """Row and column of each packed position."""
    starts = lengths.cumsum(0) - lengths
    column = torch.arange(int(lengths.sum())) - starts.repeat_interleave(lengths)
    return rows.repeat_interleave(lengths), column


def lengths_of(name: str, stacks: Mapping[str, str]) -> str | None:
    """The tensor with each row's number of entries; None where a row has one.

    Args:
        name: of a tensor.
        stacks: the stack of each site.
    """
    kind, _, site = name.partition("/")
    if kind == "full":
        return f"lengths/{stacks[site]}"
    return f"lengths/{site}" if kind in ("tokens", "roles") else None


def bounded(
    shard: MemoryShard, stacks: Mapping[str, str], most: int
) -> Iterator[MemoryShard]:
    """The same rows in shards of so many bytes at most, or of one row."""
    counts = {
        name: torch.ones(len(shard.ids), dtype=torch.long)
        if (of := lengths_of(name, stacks)) is None
        else shard.tensors[of].long()
        for name in shard.tensors
    }
    sizes = sum(n * shard.tensors[name][:1].nbytes for name, n in counts.items())
    cuts, held = [0], 0
    for row, size in enumerate(torch.as_tensor(sizes).tolist()):
        if held and held + size > most:
            cuts.append(row)
            held = 0
        held += size
    ends = {name: [0, *n.cumsum(0).tolist()] for name, n in counts.items()}
    for first, last in zip(cuts, [*cuts[1:], len(shard.ids)], strict=True):
        part = {
            name: values[ends[name][first] : ends[name][last]]
            for name, values in shard.tensors.items()
        }
        yield MemoryShard(shard.ids[first:last], part)
