r"""Single vectors that are learned: attention-weighted means of the tokens.

A head weighs the tokens of an example by what they hold and where they stand, and Z_p is
the mean with these weights; several heads stand side by side:

.. math::
    Z_p = \sum_i a_i z_i, \qquad
    a_i = \mathrm{softmax}_i(q \cdot \tilde z_i + r \cdot \mathrm{place}_i)

with z~ the standardised token. q and r are trained with a small reader of Z_p behind them
to tell Y, start near 0 (the plain mean), and stop when rows that are only watched are told
no better: from few rows the mean is what is left.

Weights that have seen a row's Y would make Z_p of that row tell Y. So a third of the rows,
whole groups of them, teach the pooling, and *only the other two thirds are measured*: there
the pooling is a fixed function of Z, critics of Z and of Z_p read the same rows, and the
conditional test is as exact as that of the mean. A pooling a fold would keep all rows, but
its vectors are in other coordinates in every fold, and no one Z_p is left to test given it.

References:
    Lin et al. 2017, A Structured Self-attentive Sentence Embedding, arXiv 1703.03130.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mi_probe.analysis.redrawn_labels import normal_ranks
from mi_probe.errors import InputError
from mi_probe.estimators.bounds.training import Schedule
from mi_probe.estimators.conditional.early_stopping import (
    fit_until_watched_rises,
    weights_from,
)
from mi_probe.estimators.probes.attention import places, token_moments
from mi_probe.estimators.probes.mlp import zeroed
from mi_probe.estimators.protocol.copies import copies_of
from mi_probe.estimators.protocol.split import Blocks, Groups, codes_of, draw_split
from mi_probe.estimators.protocol.targets import Classes, Scores
from mi_probe.hidden import HiddenStates

LEARNED = {"attention": 1, "attention4": 4}
"""Heads of each learned pooling."""
PART = 3
"""One in so many rows teaches the poolings."""
_WATCHED = 0.25
_HIDDEN = 32
"""Units of the reader behind the pooling."""
_SPREAD = 0.1
"""Of the first scores of the tokens, so that heads differ."""
_STARTS = 3
_SCHEDULE = Schedule(
    max_epochs=60,
    patience=10,
    steps_per_epoch=32,
    batch_limits=(32, 128),
    learning_rate=1e-2,
    weight_decay=1e-2,
)
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Teaching:
    """Which rows teach the poolings, and which are measured."""

    rows: Int[np.ndarray, " l"]
    watched: Int[np.ndarray, " w"]
    """Rows that stop the training, and teach nothing else."""
    measured: Int[np.ndarray, " m"]
    groups: Groups | None
    """Of the measured rows, as the caller gave them."""


def teaching(
    z: HiddenStates,
    target: Classes | Scores,
    groups: Groups | None,
    seed: int,
) -> Teaching:
    """Draw the rows that teach: of each class about a third, in whole groups.

    Copies, where no groups are named, stay together. Of ordered rows (`Blocks`) the first
    third teaches, and the block behind it is left out.

    Raises:
        InputError: for groups too few to be parted.
    """
    n, rng = len(target), np.random.default_rng([seed, 11])
    if isinstance(groups, Blocks):
        block = np.arange(n) * groups.count // n
        first = groups.count // PART
        rows, behind = np.flatnonzero(block < first), np.flatnonzero(block > first)
        watched = block[rows] >= round(first * (1 - _WATCHED))
        left = Blocks(groups.count - first - 1)
        return Teaching(rows[~watched], rows[watched], behind, left)
    group = copies_of(z, target) if groups is None else codes_of(groups)
    if group is not None and int(group.max()) + 1 < 2 * PART:
        raise InputError(
            f"groups must number at least {2 * PART}, since a learned pooling is taught by "
            f"one in {PART} of them; got {int(group.max()) + 1}. Name finer groups."
        )
    split = draw_split(target, PART, seed, group)
    rows, measured = split.held_out(0), np.flatnonzero(split.fold != 0)
    watched = split.watched(rows, _WATCHED, rng)
    kept = None if groups is None else np.asarray(groups)[measured]
    return Teaching(rows[~watched], rows[watched], measured, kept)


@dataclass(frozen=True, eq=False)
class AttentionPooling:
    """A learned g: states to one vector an example."""

    network: "_Reader"

    @torch.no_grad()
    def __call__(self, z: HiddenStates) -> Float[Tensor, "n _hd"]:
        """The attention-weighted mean of each head, side by side."""
        starts = range(0, len(z), _CHUNK)
        parts = [self.network.pooled(z[start : start + _CHUNK]) for start in starts]
        return torch.cat(parts)


def learn_pooling(
    name: str, z: HiddenStates, target: Classes | Scores, rows: Teaching, *, seed: int
) -> AttentionPooling:
    """Train the heads of a learned pooling, and a reader behind them, to tell Y.

    Of several starts the one that tells most of the watched rows' Y is kept.

    Args:
        name: of `LEARNED`.
        z: the states of all rows.
        target: Y of all rows.
        rows: which of them teach and which are watched; no other is read.
        seed: of the weights and the batches.
    """
    y = _targets(target)
    train, other = z[rows.rows].to("cpu"), z[rows.watched].to("cpu")
    y_train, y_other = y[rows.rows], y[rows.watched]
    loss = _loss(target)
    rng = np.random.default_rng([seed, 12])
    centre, scale = token_moments(train)
    width = target.n_classes if isinstance(target, Classes) else y.shape[1]
    best, kept = np.inf, None
    with weights_from(rng):
        for _ in range(_STARTS):
            network = _Reader(centre, scale, LEARNED[name], width)
            fit_until_watched_rises(
                network,
                lambda batch, network=network: loss(network(train[batch]), y_train[batch]),
                len(train),
                lambda network=network: loss(network(other), y_other),
                _SCHEDULE,
            )
            with torch.no_grad():
                value = float(loss(network(other), y_other).mean())
            if kept is None or value < best:
                best, kept = value, network
    assert kept is not None
    return AttentionPooling(kept)


def _targets(target: Classes | Scores) -> Tensor:
    if isinstance(target, Classes):
        return torch.from_numpy(target.index)
    return torch.from_numpy(normal_ranks(target.values)).float()


def _loss(target: Classes | Scores):
    if isinstance(target, Classes):
        return nn.CrossEntropyLoss(reduction="none")
    return lambda said, y: (said - y).square().sum(1)


class _Reader(nn.Module):
    """Attention heads, and what reads their vectors: a linear map plus a hidden layer."""

    centre: Tensor
    scale: Tensor

    def __init__(
        self, centre: Float[Tensor, " d"], scale: Float[Tensor, " d"], heads: int, width: int
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        d = len(centre)
        where = places(torch.ones(1, 1, dtype=torch.bool)).shape[2] + 2
        self.query = nn.Linear(d + where, heads, bias=False)
        nn.init.normal_(self.query.weight, std=_SPREAD / (d + where) ** 0.5)
        self.linear = zeroed(nn.Linear(heads * d, width))
        self.hidden = nn.Linear(heads * d, _HIDDEN)
        self.head = nn.Linear(_HIDDEN, width)

    def weights(self, z: Tensor, mask: Tensor) -> Float[Tensor, "b t h"]:
        """How much each token counts, of standardised states."""
        place = mask.cumsum(1) - 1
        ends = torch.stack([place == 0, place == mask.sum(1, keepdim=True) - 1], dim=2)
        where = torch.cat([places(mask), ends.float()], dim=2)
        scores = self.query(torch.cat([z, where], dim=2))
        return scores.masked_fill(~mask[..., None], -torch.inf).softmax(1)

    def pooled(self, x: HiddenStates) -> Float[Tensor, "b _hd"]:
        """Z_p of states as they come."""
        z, mask = self._standardised(x)
        found = torch.einsum("bth,btd->bhd", self.weights(z, mask), z)
        return (found * self.scale + self.centre).flatten(1)

    def forward(self, x: HiddenStates) -> Float[Tensor, "b c"]:
        """What the pooled vectors say of Y."""
        z, mask = self._standardised(x)
        found = torch.einsum("bth,btd->bhd", self.weights(z, mask), z).flatten(1)
        return self.linear(found) + self.head(nn.functional.gelu(self.hidden(found)))

    def _standardised(self, x: HiddenStates) -> tuple[Tensor, Tensor]:
        mask = x.mask.cpu()
        # Padding may hold anything, and 0 times NaN is NaN.
        values = x.values.cpu().float().masked_fill(~mask[..., None], 0.0)
        return (values - self.centre) / self.scale * mask[..., None], mask
