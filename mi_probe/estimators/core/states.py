"""X as the estimators see it: checked once, with a view for each pooling."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.core.base import States
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS
from mi_probe.scratch import beside, column_blocks, is_on_disk, let_go, on_disk

_CHUNK_BYTES = 128 * 2**20
"""Float32 states read at a time, so that nothing doubles the memory of Z."""


def as_states(x: States | Sequence[Any], n: int) -> Float[np.ndarray, "n d"] | HiddenStates:
    """Read X: vectors become a float64 array; those on the disk and `HiddenStates` stay.

    Raises:
        InputError: for a wrong shape or number of examples, NaN or infinite states, an
            example without a position, or unacknowledged gold answer positions.
    """
    if isinstance(x, HiddenStates):
        _check_length(len(x), n)
        _check_sequences(x)
        return x
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        # NumPy has no bfloat16; float64 keeps its digits.
        narrow = x.is_floating_point() and x.dtype != torch.float64
        x = (x.float() if narrow else x).numpy()
    try:
        values: np.ndarray = x if is_on_disk(x) else np.asarray(x)
    except ValueError:
        raise InputError(
            "x must have rows of one length; got ragged ones. Wrap sequences in "
            "HiddenStates(values, mask)."
        ) from None
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        hint = " Wrap sequences in HiddenStates(values, mask)." * (values.ndim == 3)
        raise InputError(
            "x must be floats of shape (n, d) or HiddenStates; "
            f"got {values.dtype} of shape {values.shape}.{hint}"
        )
    _check_length(len(values), n)
    if not is_on_disk(values):
        values = values.astype(np.float64)
    _check_finite(~np.isfinite(values).all(1), "x")
    return values


def chunks(z: HiddenStates) -> list[slice]:
    """Slices that cover all examples, each of few enough to be held twice."""
    size = chunk_rows(z)
    return [slice(start, start + size) for start in range(0, len(z), size)]


def as_they_stand(z: HiddenStates) -> list[slice] | list[Int[np.ndarray, " _"]]:
    """Examples, as `chunks`; of states on the disk in their order there, each read once."""
    order = z.reading_order
    if order is None:
        return chunks(z)
    return [part.numpy() for part in order.split(chunk_rows(z))]


def chunk_rows(z: HiddenStates) -> int:
    """Examples that are few enough to be held twice."""
    _, t, d = z.shape
    return max(1, _CHUNK_BYTES // max(1, 4 * t * d))


def standardised(
    x: Float[np.ndarray, "n d"], kind: Any = np.float64
) -> Float[np.ndarray, "n m"]:
    """Columns of mean 0 and spread 1, without those that do not vary but for rounding.

    The map is the same for all rows and knows no Y, so held-out terms stay held out.
    """
    # Column by column in memory, as taking some columns of an array gives them.
    found, kept = beside(x, x.shape, kind, order="F"), 0
    for columns in column_blocks(x.shape[1]):
        part = x[:, columns].astype(np.float64) if is_on_disk(x) else x[:, columns]
        centre, spread = part.mean(0), part.std(0)
        varies = spread > 1e-7 * np.abs(part).max(0, initial=1e-30)
        width = np.count_nonzero(varies)
        found[:, kept : kept + width] = (part[:, varies] - centre[varies]) / spread[varies]
        kept += width
    let_go([x, found])
    return found[:, :kept]


def mean_vectors(x: HiddenStates) -> Float[np.ndarray, "n d"]:
    """The mean of each example's tokens."""
    return _pooled(x, ["mean"])["mean"]


def views_of(
    x: Float[np.ndarray, "n d"] | HiddenStates,
) -> dict[str, Float[np.ndarray, "n d"]]:
    """The vectors that a critic may start from: x itself, or each pooling of a sequence."""
    if isinstance(x, np.ndarray):
        return {"x": x}
    return _pooled(x, POOLINGS)


def room_for(z: HiddenStates, shape: Sequence[int]) -> np.ndarray | None:
    """Float32 zeros on the disk for what is made of states there; None for memory's."""
    return None if z.kept is None else on_disk(shape)


def _pooled(z: HiddenStates, names: Iterable[str]) -> dict[str, Float[np.ndarray, "n d"]]:
    n, _, d = z.shape
    if z.kept is None:
        found = {name: np.empty((n, d)) for name in names}
    elif z.kept:
        return {name: z.kept[name] for name in names}
    else:  # all of them at once, so that states on the disk are read once
        found = {name: on_disk((n, d)) for name in POOLINGS}
    for rows in as_they_stand(z):
        part = z[rows]
        # Widened once for all poolings; float64 states keep their digits.
        wide = part.values.dtype == torch.float64
        values = part.values if wide else part.values.float()
        for name, pooled in found.items():
            pooled[rows] = POOLINGS[name](values, part.mask).double().cpu().numpy()
        let_go(found.values())
    if z.kept is not None:
        z.kept.update(found)
    return {name: found[name] for name in names}


def _check_length(n_x: int, n_y: int) -> None:
    if n_x != n_y:
        raise InputError(f"x has {n_x} examples but y has {n_y}.")


def _check_finite(broken: Any, name: str) -> None:
    if broken.any():
        raise InputError(
            f"{name} must be finite; {int(broken.sum())} of {len(broken)} examples hold "
            f"NaN or infinite states (first: row {int(np.argmax(broken))})."
        )


def _check_sequences(x: HiddenStates) -> None:
    empty = ~x.mask.any(1)
    if empty.any():
        raise InputError(
            f"mask must leave each example a token; {int(empty.sum())} of {len(x)} have "
            f"none (first: row {int(empty.int().argmax())})."
        )
    if x.has_gold and not x.gold_acknowledged:
        raise InputError(
            "x must not hold states of gold answer tokens: they know Y by teacher forcing, "
            "so I(Y;Z) = H(Y). Drop them with x.keep(Role.PROMPT, Role.GENERATED), or "
            "insist with x.acknowledge_gold()."
        )
    broken = torch.zeros(len(x), dtype=torch.bool)
    suspects: Sequence[Any] = chunks(x)
    if x.kept is not None:  # what is broken breaks the mean, which is needed anyway
        mean = mean_vectors(x)
        rows = np.flatnonzero(~np.isfinite(mean).all(1))
        suspects = np.split(rows, range(chunk_rows(x), len(rows), chunk_rows(x)))
    for rows in suspects:
        part = x[rows]
        broken[rows] = ~(part.values.isfinite().all(-1) | ~part.mask).all(1).cpu()
    _check_finite(broken.numpy(), f"x{f' at {x.site}' * bool(x.site)}")
