"""What a capture will take, before it is started."""

import time
from collections.abc import Sequence
from typing import Any

from mi_probe.backbones import Backbone
from mi_probe.backbones.trial import evaluating
from mi_probe.capture.batches import cut, rows_per_piece
from mi_probe.capture.extract import capture_batch
from mi_probe.capture.forward import make_batch
from mi_probe.capture.plan import StoreDtype, plan
from mi_probe.capture.sequences import Sequences
from mi_probe.capture.sizes import bytes_on_disk
from mi_probe.tasks.task import Task


def forecast(
    backbone: Backbone,
    source: Task | Sequences | Any,
    *,
    sites: str | int | Sequence[int | str] = "all",
    views: str | Sequence[str] = ("full",),
    batch_size: int = 16,
    max_tokens: int = 512,
    store_dtype: StoreDtype = "captured",
    rows_per_shard: int = 512,
) -> dict[str, object]:
    """Rows, tokens, shapes, bytes and time of an `extract` with the same arguments.

    One real batch of middling length is run, twice, and the second is timed. Bytes are
    exact but for file headers; time is proportional to the padded tokens, so it is too
    low where attention's quadratic part counts, and leaves the disk out.

    Returns:
        ``rows``; ``tokens`` (real ones, of the input); ``padded_tokens``;
        ``longest``; ``shapes`` (for each site and view, ``full`` padded);
        ``bytes_on_disk``; ``seconds``; ``notes``.

    Raises:
        InputError: as `extract` does.
    """
    todo = plan(
        backbone,
        source,
        sites=sites,
        views=views,
        max_tokens=max_tokens,
        store_dtype=store_dtype,
    )
    data, n = todo.data, len(todo.data)
    cuts = cut(
        data, batch_size=batch_size, rows_per_piece=rows_per_piece(n, rows_per_shard)
    )
    batches = [[alike[0] for alike in batch] for piece in cuts for batch in piece]
    batch = make_batch(backbone, data, batches[len(batches) // 2])
    with evaluating(backbone.model):
        capture_batch(todo, batch)  # the first forward pays for warming up
        start = time.perf_counter()
        pieces = capture_batch(todo, batch)
        seconds = time.perf_counter() - start
    padded = sum(len(part) * len(data.input_ids[part[0]]) for part in batches)
    main = batch.streams.get("") or batch.streams["enc"]
    shapes: dict[str, tuple[int, ...]] = {}
    for name, piece in pieces.items():
        kind, _, site = name.partition("/")
        if kind == "full":
            longest = max(data.kept_lengths(todo.stacks[site]))
            shapes[name] = (n, longest, piece.shape[1])
        elif site in todo.stacks:
            shapes[name] = (n, piece.shape[1])
    return {
        "rows": n,
        "tokens": sum(map(len, data.input_ids)),
        "padded_tokens": padded,
        "longest": len(data.input_ids[batches[0][0]]),
        "shapes": shapes,
        "bytes_on_disk": bytes_on_disk(todo, pieces, range(n), len(cuts)),
        "seconds": seconds * padded / main.token_ids.numel(),
        "notes": todo.notes,
    }
