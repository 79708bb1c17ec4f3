"""Run a task through a backbone and keep its hidden states, pooled or whole."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from mi_probe.backbones import Backbone, Site, as_backbone, load_backbone
from mi_probe.backbones.trial import evaluating
from mi_probe.capture.activations import READ_BY_POOLING, Activations
from mi_probe.capture.batches import Batch as Alike
from mi_probe.capture.batches import cut, repeated, rows_per_piece
from mi_probe.capture.forward import Batch, Stream, make_batch, run
from mi_probe.capture.padding import check_padding
from mi_probe.capture.plan import Plan, StoreDtype, plan
from mi_probe.capture.sequences import Sequences, listed, token_limit
from mi_probe.capture.shards import MemoryShard
from mi_probe.capture.sizes import roomy
from mi_probe.capture.store import SHARD_BYTES, open_store
from mi_probe.division import in_turn, launched, shard_of
from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates, Role
from mi_probe.pooling import POOLINGS, pool
from mi_probe.tasks.task import Task


def extract(
    backbone: Backbone | str | Path | tuple[Any, Any],
    source: Task | Sequences | Any,
    *,
    sites: str | int | Sequence[int | str] = "all",
    views: str | Sequence[str] = ("full",),
    batch_size: int = 16,
    max_tokens: int = 512,
    store: str | Path | None = None,
    progress: bool = True,
    padding_check: bool = True,
    store_dtype: StoreDtype = "captured",
    rows_per_shard: int = 512,
    shard: tuple[int, int] | None = None,
) -> Activations:
    """Hidden states of every row at the chosen sites, whole or pooled.

    The backbone runs without its LM head, in evaluation mode, no further up than the
    deepest site. Rows are sorted by length, padded on the right, and given a mask and
    positions. Only what the views need outlives a batch: without ``full`` that is one
    vector a row, site and view; with ``store``, nothing.

    Args:
        backbone: the model: from ``load_backbone``, what that takes, or ``(model,
            tokenizer)``.
        source: a task, or what `profile` takes for one; plain prompts, a list or a column
            of texts; or `Sequences` with tokens and roles.
        sites: what ``Backbone.select`` takes.
        views: any of ``full``, ``mean``, ``last``, ``first``, ``max``, ``head``. With
            ``head``, an encoder-decoder's decoder reads the prompt shifted right by
            one, as its classifier does, and not its start token alone.
        batch_size: rows a forward pass.
        max_tokens: longer prompts lose their middle, and are counted in
            ``Activations.notes``.
        store: a folder to write to and to read from; a killed run is taken up again.
        progress: show a bar where stderr is a terminal.
        padding_check: first compare some rows alone with a padded batch. Off, wrong
            states of a model that cannot be padded pass without a word.
        store_dtype: ``bfloat16`` halves float32 ``full`` states, at 3 digits.
        rows_per_shard: at most so many rows are lost when a stored run is killed.
        shard: (2, 4) begins with the second of every four pieces of the store, beside
            other processes that capture into it, goes on with what none of them has
            begun, and returns when all is there; None is what torchrun or ``accelerate
            launch`` set. States are the same to the bit, however it is divided.

    Raises:
        InputError: on wrong settings, rows without tokens, states that change with
            padding, NaN or infinite states, a store of something else, or a disk that
            clearly has no room for it.

    Examples:
        A folder of a model (``my-model``), and texts:

        >>> from mi_probe import extract
        >>> states = extract("my-model", ["a good film", "bad"], sites=[0, 3])
        >>> states
        Activations(2 rows, 2 sites: embed, final_norm; views: full)
        >>> states.hidden("final_norm")
        HiddenStates(n=2, t=..., d=..., float32, final_norm)
        >>> states.pooled("final_norm", "mean").shape[0]
        2
    """
    named = isinstance(backbone, str | Path)
    backbone = load_backbone(backbone) if named else as_backbone(backbone)
    if batch_size < 1 or rows_per_shard < 1:
        raise InputError(
            "batch_size and rows_per_shard must be at least 1; "
            f"got {batch_size} and {rows_per_shard}."
        )
    todo = plan(
        backbone,
        source,
        sites=sites,
        views=views,
        max_tokens=max_tokens,
        store_dtype=store_dtype,
    )
    data = todo.data
    folder, damaged = None, set()
    done: set[str] = set()
    shards: list[MemoryShard] = []
    if store is not None:
        folder = open_store(
            store,
            {
                "fingerprint": todo.fingerprint,
                "ids": list(data.ids),
                "sites": [site.name for site in todo.sites],
                "views": list(todo.views),
                "stacks": todo.stacks,
                "notes": list(todo.notes),
            },
        )
        shard = shard_of("{}/{}".format(*shard)) if shard else launched()
        damaged = {s.path for s in folder.shards() if not s.intact}
        done = {n for s in folder.shards() if s.path not in damaged for n in s.ids}
    rows = [row for row in range(len(data)) if data.ids[row] not in done]
    size = rows_per_shard if folder is None else rows_per_piece(len(data), rows_per_shard)
    pieces = cut(data, batch_size=batch_size, rows_per_piece=size)
    tokens_too = "full" in todo.views or store is not None
    with evaluating(backbone.model):
        if padding_check and rows:
            limit = token_limit(backbone, None)
            check_padding(backbone, data, todo.sites, limit=limit, batch_size=batch_size)
        bar = tqdm(
            total=len(data),
            initial=len(data) - len(rows),
            unit="row",
            desc="capture",
            disable=None if progress else True,
        )

        def left(piece: list[Alike]) -> list[Alike]:
            if folder is not None and shard is not None:  # others write too
                there = (s for s in folder.shards() if s.path not in damaged)
                done.update(name for s in there for name in s.ids)
                bar.n = len(done)
            return [one for one in piece if not done.issuperset(_names(data, one))]

        turns = (some for piece in pieces if (some := left(piece)))
        if folder is not None and shard is not None:
            turns = in_turn(pieces, shard, folder.folder, left)
        # Closed, so that an interrupted one lets go of its piece.
        with bar, closing(turns):
            for i, piece in enumerate(turns):
                batches = _captured(todo, piece, done, tokens_too, bar.update)
                if folder is not None and i == 0:
                    batches = roomy(batches, todo, rows, folder.folder, len(pieces))
                for ids, tensors in _joined(batches):
                    if folder is None:
                        shards.append(MemoryShard(ids, tensors))
                    else:
                        folder.append(ids, tensors)
    if folder is not None:
        return folder.activations()
    return Activations(
        sites=tuple(site.name for site in todo.sites),
        views=todo.views,
        ids=data.ids,
        notes=todo.notes,
        fingerprint=todo.fingerprint,
        stacks=todo.stacks,
        shards=tuple(shards),
    )


Piece = tuple[tuple[str, ...], dict[str, Tensor]]


def _names(data: Sequences, batch: Alike) -> Iterable[str]:
    return (data.ids[row] for row in chain(*batch))


def _captured(
    todo: Plan,
    batches: Sequence[Alike],
    done: Collection[str],
    tokens_too: bool,
    advance: Callable[[int], object],
) -> Iterator[Piece]:
    data = todo.data
    for part in batches:
        batch = make_batch(todo.backbone, data, [alike[0] for alike in part])
        tensors = capture_batch(todo, batch, tokens_too=tokens_too)
        # One of which some rows are there is run whole: its states stay the same.
        missing = [[row for row in one if data.ids[row] not in done] for one in part]
        ids = tuple(_names(data, missing))
        yield ids, repeated(tensors, [*map(len, missing)], todo.sites)
        advance(len(ids))


def capture_batch(
    todo: Plan, batch: Batch, *, tokens_too: bool = True
) -> dict[str, Tensor]:
    """One batch's tensors, named and packed as in a `Shard`, on the CPU.

    Raises:
        InputError: if a state at a real token is NaN or infinite.
    """
    half = todo.store_dtype == "bfloat16"
    kept = todo.data.kept
    own_masks = {
        key: s.mask if kept is None else s.mask & _of(s, kept)
        for key, s in batch.streams.items()
    }
    pooled_masks = {
        key: own_masks[key] & _of(s, READ_BY_POOLING) for key, s in batch.streams.items()
    }

    # A model may be over several devices: each site's states are read where they are.
    @cache
    def masks_at(stack: str, device: torch.device) -> tuple[Tensor, Tensor]:
        return own_masks[stack].to(device), pooled_masks[stack].to(device)

    if todo.views != ("full",):
        for stack in {site.stack for site in todo.sites}:
            _check_poolable(batch.ids, pooled_masks[stack])
    pieces: dict[str, Tensor] = {}
    sums: list[Tensor] = []

    def receive(site: Site, values: Tensor) -> None:
        stream = batch.streams[site.stack]
        mask, pooled_mask = masks_at(site.stack, values.device)
        # One number a site instead of a flag a state, and no waiting for the device.
        sums.append(values.sum(dtype=torch.float32))
        for view in todo.views:
            if view == "full":
                part = values[mask].bfloat16() if half else values[mask]
            elif view == "head":
                z = HiddenStates(values=values, mask=mask)
                part = pool(z, "head", positions=stream.head)
            else:
                part = POOLINGS[view](values, pooled_mask)
            pieces[f"{view}/{site.name}"] = part.cpu()

    run(todo.backbone, batch, todo.sites, receive)
    if not bool(torch.stack([one.to(sums[0].device) for one in sums]).isfinite().all()):
        _name_non_finite(todo, batch)
    for key, stream in batch.streams.items():
        stack = key or "text"
        pieces[f"lengths/{stack}"] = own_masks[key].sum(1).int()
        pieces[f"position/{stack}"] = stream.head.int()
        if tokens_too:
            pieces[f"tokens/{stack}"] = stream.token_ids[own_masks[key]].int()
            pieces[f"roles/{stack}"] = stream.roles[own_masks[key]]
    return pieces


def _of(stream: Stream, roles: Sequence[Role]) -> Tensor:
    return torch.isin(stream.roles, torch.tensor([int(r) for r in roles], dtype=torch.int8))


def _check_poolable(ids: Sequence[str], mask: Tensor) -> None:
    empty = (~mask.any(1)).nonzero().flatten()
    if len(empty):
        raise InputError(
            "pooled views must find a prompt or generated token; these rows have only "
            f"gold ones: {listed([ids[int(i)] for i in empty])}. Ask for 'full' alone."
        )


def _name_non_finite(todo: Plan, batch: Batch) -> None:
    """Run the batch again to say where; a pad's NaN or a large sum is no error."""
    found: dict[str, list[str]] = {}

    def look(site: Site, values: Tensor) -> None:
        real = batch.streams[site.stack].mask.to(values.device)
        bad = (~values.isfinite().all(-1) & real).any(1)
        if bool(bad.any()):
            found[site.name] = [batch.ids[int(i)] for i in bad.nonzero().flatten()]

    run(todo.backbone, batch, todo.sites, look)
    if found:
        site, ids = next(iter(found.items()))
        raise InputError(
            f"states must be finite; at site '{site}' they are NaN or infinite in rows "
            f"{listed(ids)} (and at {len(found) - 1} more sites). If half "
            "precision overflowed, load the model in float32; else its weights are broken."
        )


def _joined(batches: Iterator[Piece]) -> Iterator[Piece]:
    """A piece's batches as one shard, or as several of `SHARD_BYTES`."""
    names: list[str] = []
    parts: dict[str, list[Tensor]] = {}

    def joined() -> Piece:
        # cat copies, so that what was made in inference mode can be trained on.
        piece = tuple(names), {key: torch.cat(values) for key, values in parts.items()}
        names.clear()
        parts.clear()
        return piece

    n_bytes = 0
    for ids, tensors in batches:
        names.extend(ids)
        for key, value in tensors.items():
            parts.setdefault(key, []).append(value)
        n_bytes += sum(value.nbytes for value in tensors.values())
        if n_bytes >= SHARD_BYTES:
            n_bytes = 0
            yield joined()
    if names:
        yield joined()
