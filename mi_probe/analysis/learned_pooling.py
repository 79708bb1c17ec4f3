r"""Single vectors that are learned: attention-weighted means of the tokens.

A head weighs the tokens of an example by what they hold and where they stand, and Z_p is
the mean with these weights; several heads stand side by side:

.. math::
    Z_p = \sum_i a_i z_i, \qquad
    a_i = \mathrm{softmax}_i(s(\tilde z_i, \mathrm{place}_i))

with z~ the standardised token and s a linear map plus a hidden layer. s is trained with a
small reader of Z_p behind it to tell Y, starts near 0 (the plain mean), and stops when rows
that are only watched are told no better: from few rows the mean is what is left. Not to be
trusted as *the* best single vector: what it keeps is at least what one vector may keep.

Weights that have seen a row's Y would make Z_p of that row tell Y. So a third of the rows,
whole groups of them, teach the pooling, and *only the other two thirds are measured*: there
the pooling is a fixed function of Z, critics of Z and of Z_p read the same rows, and the
conditional test is as exact as that of the mean. A pooling a fold would keep all rows, but
its vectors are in other coordinates in every fold, and no one Z_p is left to test given it.

References:
    Lin et al. 2017, A Structured Self-attentive Sentence Embedding, arXiv 1703.03130.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.analysis.gap_inputs import pooled_views
from mi_probe.analysis.redrawn_labels import normal_ranks
from mi_probe.errors import InputError, check_known
from mi_probe.estimators.core.admission import split_rows
from mi_probe.estimators.core.split import Blocks, Groups
from mi_probe.estimators.core.states import as_states
from mi_probe.estimators.core.targets import Classes, Scores, Target, TokenSequences
from mi_probe.estimators.critic.training import Schedule, descend
from mi_probe.estimators.models.networks import places, token_moments, weights_from, zeroed
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS

LEARNED = {"attention": 1, "attention4": 4}
"""Heads of each learned pooling."""
_PART = 3
"""One in so many rows teaches the poolings."""
_WATCHED = 0.25
"""Share of them that stop the training."""
_SCORING, _READING = 16, 32
"""Units of what scores the tokens, and of the reader behind a pooling."""
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


def check_pooling(name: str) -> None:
    """Refuse what names no pooling.

    Raises:
        InputError: unless it is a name, or names joined by ``+``.
    """
    known = (*POOLINGS, *LEARNED)
    then = "Several are joined by '+'; dpi_gap takes a function of z for another."
    check_known("pooling", tuple(name.split("+")), known, then)


def is_learned(name: str) -> bool:
    """Whether a pooling, or a part of a concatenation, is learned."""
    return not set(name.split("+")).isdisjoint(LEARNED)


@dataclass(frozen=True, eq=False)
class AttentionPooling:
    """A learned g: states to the attention-weighted means of its heads, side by side."""

    network: "_Reader"

    @torch.no_grad()
    def __call__(self, z: HiddenStates) -> Float[Tensor, "n _hd"]:
        """Z_p, in float32."""
        starts = range(0, len(z), _CHUNK)
        return torch.cat([self.network.pooled(z[i : i + _CHUNK]) for i in starts])


@dataclass(frozen=True, eq=False)
class Taught:
    """Poolings that some rows have taught, and the other rows, which are measured."""

    z: HiddenStates
    y: Target
    groups: Groups | None
    poolings: Mapping[str, AttentionPooling] = field(repr=False)
    learned_on: int
    """Rows that taught the poolings."""

    def view(self, name: str) -> Float[np.ndarray, "n d"]:
        """Z_p of one name, or of several joined by ``+`` side by side, in float64."""
        parts = [
            self.poolings[part](self.z).double().numpy()
            if part in self.poolings
            else pooled_views(self.z, part)
            for part in name.split("+")
        ]
        return np.concatenate(parts, axis=1)


def taught(
    z: HiddenStates,
    target: Classes | Scores | TokenSequences,
    names: Sequence[str],
    *,
    groups: Groups | None,
    seed: int,
) -> Taught:
    """Learn the poolings of some names on a third of the rows; the others are measured.

    The rows that teach hold about a third of each class and whole groups, or copies where
    no groups are named; of ordered rows (`Blocks`) they are the first ones, and the block
    behind them is left out.

    Args:
        z: the states of all rows.
        target: Y of all rows.
        names: poolings, of which some or all parts are learned.
        groups: which rows depend on one another.
        seed: of which rows teach, of the weights and of the batches.

    Raises:
        InputError: for answers in tokens that are too many to be classes, groups that are
            too few, and for what estimators refuse of z.
    """
    if isinstance(target, TokenSequences):
        raise InputError(
            "a learned pooling takes classes, floats, or answers in tokens of which few "
            f"are distinct; these are too many. Leave out {', '.join(names)}."
        )
    states, told, split = split_rows(
        *(as_states(z, len(target)), target, groups),
        seed=seed,
        n_folds=_PART,
        fewest_folds=_PART,
    )
    assert isinstance(states, HiddenStates)
    assert not isinstance(told, TokenSequences)
    rows, measured = split.held_out(0), np.flatnonzero(split.fold != 0)
    stops = split.watched(rows, _WATCHED, np.random.default_rng([seed, 11]))
    poolings = {
        part: _learned(states, told, rows[~stops], rows[stops], LEARNED[part], seed)
        for part in dict.fromkeys(part for name in names for part in name.split("+"))
        if part in LEARNED
    }
    left = told[measured]
    assert not isinstance(left, TokenSequences)
    kept: Groups | None = None
    if groups is not None:
        own = measured if split.group is None else split.group[measured]
        kept = Blocks(len(np.unique(own))) if isinstance(groups, Blocks) else own
    y = left.index if isinstance(left, Classes) else left.values
    return Taught(states.only(measured), y, kept, poolings, len(rows))


def _learned(
    z: HiddenStates,
    target: Classes | Scores,
    rows: np.ndarray,
    stops: np.ndarray,
    heads: int,
    seed: int,
) -> AttentionPooling:
    """The heads that tell most of the watched rows' Y, of a few starts."""
    if isinstance(target, Classes):
        y, width = torch.from_numpy(target.index), target.n_classes
    else:
        y = torch.from_numpy(normal_ranks(target.values)).float()
        width = y.shape[1]
    train, other = z[rows].to("cpu"), z[stops].to("cpu")
    y_train, y_other = y[rows], y[stops]
    centre, scale = token_moments(train)
    best, kept = math.inf, None
    with weights_from(np.random.default_rng([seed, 12])):
        for _ in range(_STARTS):
            network = _Reader(centre, scale, heads, width)

            def losses(batch: Tensor, network: _Reader = network) -> Tensor:
                return _losses(network(train[batch]), y_train[batch])

            def watched(network: _Reader = network) -> Tensor:
                return _losses(network(other), y_other)

            descend(network, losses, len(train), watched, _SCHEDULE)
            with torch.no_grad():
                value = float(watched().mean())
            if kept is None or value < best:
                best, kept = value, network
    assert kept is not None
    return AttentionPooling(kept)


def _losses(said: Float[Tensor, "b c"], y: Tensor) -> Float[Tensor, " b"]:
    """Cross-entropy of classes, squared errors of scores."""
    if y.is_floating_point():
        return (said - y).square().sum(1)
    return nn.functional.cross_entropy(said, y, reduction="none")


class _Reader(nn.Module):
    """Attention heads, and what reads their vectors: a linear map plus a hidden layer."""

    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        centre: Float[Tensor, " d"],
        scale: Float[Tensor, " d"],
        heads: int,
        width: int,
    ) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        d = len(centre)
        read = d + _where(torch.ones(1, 1, dtype=torch.bool)).shape[2]
        self.query = nn.Linear(read, heads, bias=False)
        self.inside, self.outside = nn.Linear(read, _SCORING), nn.Linear(_SCORING, heads)
        nn.init.normal_(self.query.weight, std=_SPREAD / math.sqrt(read))
        nn.init.normal_(self.outside.weight, std=_SPREAD / math.sqrt(_SCORING))
        self.linear = zeroed(nn.Linear(heads * d, width))
        self.hidden = nn.Linear(heads * d, _READING)
        self.head = nn.Linear(_READING, width)

    def pooled(self, x: HiddenStates) -> Float[Tensor, "b _hd"]:
        """Z_p, in the units of the states."""
        return (self._means(x) * self.scale + self.centre).flatten(1)

    def forward(self, x: HiddenStates) -> Float[Tensor, "b c"]:
        """What Z_p says of Y."""
        found = self._means(x).flatten(1)
        return self.linear(found) + self.head(nn.functional.gelu(self.hidden(found)))

    def _means(self, x: HiddenStates) -> Float[Tensor, "b h d"]:
        """The weighted mean of each head, of standardised states."""
        mask = x.mask.cpu()
        # Padding may hold anything, and 0 times NaN is NaN.
        values = x.values.cpu().float().masked_fill(~mask[..., None], 0.0)
        z = (values - self.centre) / self.scale * mask[..., None]
        read = torch.cat([z, _where(mask)], dim=2)
        scores = self.query(read) + self.outside(nn.functional.gelu(self.inside(read)))
        weights = scores.masked_fill(~mask[..., None], -torch.inf).softmax(1)
        return torch.einsum("bth,btd->bhd", weights, z)


def _where(mask: Bool[Tensor, "b t"]) -> Float[Tensor, "b t f"]:
    """Where each token stands: waves of its place, and whether it is the first or last."""
    place = mask.cumsum(1) - 1
    ends = torch.stack([place == 0, place == mask.sum(1, keepdim=True) - 1], dim=2)
    return torch.cat([places(mask), ends.float()], dim=2)
