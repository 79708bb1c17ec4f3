"""The padding self-check: a row must have the states that the model gives it alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mi_probe.backbones import Backbone, Site
from mi_probe.capture.forward import Batch, make_batch, run
from mi_probe.capture.sequences import Sequences
from mi_probe.errors import InputError

TOLERANCES = {
    torch.float64: 1e-6,
    torch.float32: 1e-3,
    torch.float16: 3e-2,
    torch.bfloat16: 1e-1,
}
"""The largest relative difference, ||padded - alone|| / ||alone|| over a row's tokens.
Rounding gives about 1e-6 in float32 and 1e-2 in bfloat16; a missing mask or wrong
positions give 0.1 to 1."""
EXTRA = 3
"""Columns of padding beyond the longest row, so that equal lengths are tried too."""


def check_padding(
    backbone: Backbone,
    data: Sequences,
    sites: Sequence[Site],
    *,
    limit: int | None = None,
    batch_size: int = 16,
) -> dict[str, float]:
    """Compare the shortest, the median and the longest row alone with a padded batch.

    Alone, a row has no padding and the model numbers its positions itself, so this also
    checks the position ids that capture gives. With a batch size of 1 nothing is ever
    padded, and the positions are all that is checked.

    Args:
        backbone: the model, in evaluation mode.
        data: the rows.
        sites: where to compare.
        limit: the most columns that the model can take.
        batch_size: rows a forward pass of the capture.

    Returns:
        For each site the largest relative difference.

    Raises:
        InputError: if one is above the tolerance of the model's dtype, `TOLERANCES`.
    """
    by_length = sorted(range(len(data)), key=lambda row: len(data.input_ids[row]))
    rows = sorted({by_length[0], by_length[len(data) // 2], by_length[-1]})
    longest = len(data.input_ids[by_length[-1]])
    extra = EXTRA if limit is None else max(0, min(EXTRA, limit - longest))
    singles = [make_batch(backbone, data, [row]) for row in rows]
    own = [_states(backbone, one, sites, positions=False) for one in singles]

    def unpadded() -> dict[str, float]:
        return _worst([_states(backbone, one, sites) for one in singles], own)

    if batch_size == 1:
        worst = unpadded()
    else:
        together = _states(backbone, make_batch(backbone, data, rows, extra=extra), sites)
        parts = [
            {name: states[i : i + 1] for name, states in together.items()}
            for i in range(len(rows))
        ]
        worst = _worst(parts, own)
    dtype = own[0][sites[-1].name].dtype
    tolerance = TOLERANCES.get(dtype, 1e-1)
    bad = {name: value for name, value in worst.items() if value > tolerance}
    if bad:
        name, value = next(iter(bad.items()))
        how = "padded row" if batch_size > 1 else "row with the positions of capture"
        # Advice only where following it gives the model's own states.
        mended = batch_size > 1 and max(unpadded().values()) <= tolerance
        raise InputError(
            f"padding must not change hidden states by more than {tolerance:g} "
            f"relative ({dtype}); at site '{name}' a {how} differs by {value:.3g} "
            f"from the same row alone ({len(bad)} of {len(worst)} sites are affected). "
            + (
                "Capture with --batch-size 1 (batch_size=1), where nothing is padded."
                if mended
                else "Nor does it read a row alone as capture gives it: this model's "
                "states cannot be captured."
            )
        )
    return worst


def _worst(
    states: Sequence[dict[str, Tensor]],
    own: Sequence[dict[str, Tensor]],
) -> dict[str, float]:
    """For each site the largest relative difference of a row from its own states."""
    worst = dict.fromkeys(own[0], 0.0)
    for row, alone in zip(states, own, strict=True):
        for name, one in alone.items():
            one = one[0].double()
            difference = row[name][0, : len(one)].double() - one
            relative = float(difference.norm() / one.norm().clamp(min=1e-12))
            # max() would let a NaN pass; those are for the capture itself to name.
            if relative > worst[name]:
                worst[name] = relative
    return worst


def _states(
    backbone: Backbone, batch: Batch, sites: Sequence[Site], *, positions: bool = True
) -> dict[str, Tensor]:
    states: dict[str, Tensor] = {}

    def keep(site: Site, values: Tensor) -> None:
        states[site.name] = values.detach().clone()

    run(backbone, batch, sites, keep, positions=positions)
    return states
