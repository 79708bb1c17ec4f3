"""X as the estimators see it: checked once, float32, with a view for each pooling."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.core.base import States
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS

_CHUNK_BYTES = 128 * 2**20
"""Float32 states read at a time, so that nothing doubles the memory of Z."""


def as_states(x: States | Sequence[Any], n: int) -> Float[np.ndarray, "n d"] | HiddenStates:
    """Read X: vectors become a float64 array, `HiddenStates` stay as they are.

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
        values = np.asarray(x)
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
    values = values.astype(np.float64)
    _check_finite(~np.isfinite(values).all(1), "x")
    return values


def chunks(z: HiddenStates) -> list[slice]:
    """Slices that cover all examples, each of few enough to be held twice."""
    _, t, d = z.values.shape
    size = max(1, _CHUNK_BYTES // max(1, 4 * t * d))
    return [slice(start, start + size) for start in range(0, len(z), size)]


def standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
    """Columns of mean 0 and spread 1, without those that do not vary but for rounding.

    The map is the same for all rows and knows no Y, so held-out terms stay held out.
    """
    centre, spread = x.mean(0), x.std(0)
    varies = spread > 1e-7 * np.abs(x).max(0, initial=1e-30)
    return (x[:, varies] - centre[varies]) / spread[varies]


def mean_vectors(x: HiddenStates) -> Float[np.ndarray, "n d"]:
    """The mean of each example's tokens."""
    pool = POOLINGS["mean"]
    parts = [pool(x[rows].values, x[rows].mask) for rows in chunks(x)]
    return torch.cat(parts).double().cpu().numpy()


def views_of(
    x: Float[np.ndarray, "n d"] | HiddenStates,
) -> dict[str, Float[np.ndarray, "n d"]]:
    """The vectors that a critic may start from: x itself, or each pooling of a sequence."""
    if isinstance(x, np.ndarray):
        return {"x": x}
    pooled = {name: [] for name in POOLINGS}
    for rows in chunks(x):
        part = x[rows]
        # Widened once for all poolings; float64 states keep their digits.
        wide = part.values.dtype == torch.float64
        values = part.values if wide else part.values.float()
        for name, pooling in POOLINGS.items():
            pooled[name].append(pooling(values, part.mask))
    return {name: torch.cat(parts).double().cpu().numpy() for name, parts in pooled.items()}


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
    broken = [
        ~(part.values.isfinite().all(-1) | ~part.mask).all(1)
        for part in (x[rows] for rows in chunks(x))
    ]
    _check_finite(torch.cat(broken).cpu().numpy(), f"x{f' at {x.site}' * bool(x.site)}")
