r"""Networks that read tokens from the left and give log q(y|z_<=t) at every t at once.

The causal form of `sequences.evidence`: Bayes' rule adds up likelihoods over the places
where what counts may stand, so a network pools by log-sum-exp, and everything is a sum over
the tokens read so far:

.. math::
    h_i = \max(0, W_h x_i), \quad a_i = W_a [h_i, x_i], \quad
    f_i = \log \sum_{j<i} e^{a_j},

    g_i = \max(0, W_g [h_i, a_i, f_i]), \quad c_i = W_c [h_i, a_i, f_i],

and after t tokens the head reads the log-sum-exp of a and c up to t, sums of h and g up to
t, g_t and log t. Sums are cumulative, so all prefixes of a sentence cost one pass. Scores
are bounded instead of being scaled by a row's largest: that one may stand behind t, and
nothing of it may be known at t.

With ``alone`` the sums are of token t alone: a critic of z_t, log q(y|z_t).

All problems are trained side by side (`critic.batched`).

References:
    Zhai et al. 2021, arXiv 2105.14103 (attention by cumulative sums).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from mi_probe.estimators.critic.batched import (
    Problem,
    Weights,
    affine,
    averaged_weights,
    by_length,
    of_problem,
)
from mi_probe.estimators.sequences.evidence import pooling_weights

SNAPSHOTS = (2, 5, 10)
"""Epochs after which the averaged weights are kept."""
_BOUND = 8.0
_TINY = math.exp(-_BOUND)
_PLACES = 2
_CHUNK_TOKENS = 2**17


@dataclass(frozen=True)
class Inputs:
    """What networks read of every row's tokens, packed to the left."""

    shared: Float[Tensor, "n t q"]
    """Coordinates found without Y."""
    own: Float[Tensor, "p n t e"]
    """Evidence of closed forms, a problem each: of fits without the rows they are for."""
    lengths: Int[Tensor, " n"]

    def batch(
        self, problems: Sequence[int], rows: Int[Tensor, "p b"]
    ) -> tuple[Float[Tensor, "p b s k"], Bool[Tensor, "p b s"]]:
        """The tokens of each problem's rows and their mask, cut to the longest of them."""
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        mask = torch.arange(longest) < lengths[..., None]
        own = torch.stack(
            [self.own[p, row, :longest] for p, row in zip(problems, rows, strict=True)]
        )
        return torch.cat([self.shared[rows, :longest], own], 3), mask


def train_prefix_networks(
    inputs: Inputs,
    y: Int[Tensor, " n"],
    problems: Sequence[Problem],
    *,
    alone: bool = False,
    epochs: int = SNAPSHOTS[-1],
) -> tuple[Weights, ...]:
    """Train one network a problem, all prefixes of all its sentences in each pass.

    The loss of a sentence is the mean cross-entropy over its prefixes and that of the whole
    sentence, in equal parts: without the second, what only the last words decide would
    hardly be learned.

    Args:
        inputs: of all rows.
        y: the classes of all rows.
        problems: the rows of each network; sizes should be about equal.
        alone: read each token by itself, all with equal weight.
        epochs: passes over the rows.

    Returns:
        Averaged weights by snapshot, stacked over problems.
    """

    def loss(weights: Weights, rows: Int[Tensor, "p b"]) -> Tensor:
        values, mask = inputs.batch(range(len(rows)), rows)
        scores = _forward(weights, values, alone)
        labels = y[rows][..., None].expand(mask.shape)
        found = functional.cross_entropy(
            scores.flatten(0, 2), labels.flatten(), reduction="none"
        )
        lengths = mask.sum(2, keepdim=True)
        share = mask / lengths
        if not alone:
            last = torch.arange(mask.shape[2]) == lengths - 1
            share = 0.5 * (share + last)
        return (found.view(mask.shape) * share).sum() / rows.shape[1]

    columns = inputs.shared.shape[2] + inputs.own.shape[3] + _PLACES
    drawn = pooling_weights(columns, 1, problems)
    kept = {max(1, round(epochs * s / SNAPSHOTS[-1])) for s in SNAPSHOTS}
    return averaged_weights(drawn, problems, inputs.lengths, loss, epochs, sorted(kept))


@torch.no_grad()
def prefix_scores(
    snapshot: Weights,
    inputs: Inputs,
    rows: Int[np.ndarray, " m"],
    problem: int,
    *,
    alone: bool,
) -> Float[np.ndarray, "m t c"]:
    """Unnormalised log posteriors of rows by one problem's network after every token.

    They are 0 behind a row's end.
    """
    w = of_problem(snapshot, problem)
    wanted = torch.as_tensor(rows)
    t = inputs.shared.shape[1]
    found = torch.zeros(len(rows), t, w["bias"].shape[-1])
    for part in by_length(inputs.lengths, rows, _CHUNK_TOKENS, t):
        values, mask = inputs.batch([problem], wanted[part][None])
        scores = _forward(w, values, alone)[0]
        found[part, : scores.shape[1]] = scores * mask[0, ..., None]
    return found.numpy()


def _forward(
    w: Weights,
    values: Float[Tensor, "p b t q"],
    alone: bool,
) -> Float[Tensor, "p b t c"]:
    """Unnormalised log posteriors of a batch of each problem after every token.

    Rows are packed to the left: pads come behind all tokens, where nothing reads them.
    """
    p, b, t, _ = values.shape
    count = torch.arange(1, t + 1, dtype=values.dtype)
    place = torch.stack([(count == 1).to(values.dtype), count.log() / 2 - 1], 1)
    x = torch.cat([values, place.expand(p, b, t, _PLACES)], 3).flatten(1, 2)
    # Read alone, each token is the first and only one.
    log_count = torch.zeros(t, 1) if alone else count.log()[:, None]

    def so_far(terms: Tensor) -> Tensor:
        """Sums up to each token, itself included."""
        rows = terms.unflatten(1, (b, t))
        return rows if alone else rows.cumsum(2)

    def bounded(scores: Tensor) -> Tensor:
        return (_BOUND * torch.tanh(scores / _BOUND)).exp()

    h = torch.relu(affine(w, "token", x))
    a = affine(w, "score", torch.cat([h, x], 2))
    sums = so_far(bounded(a))
    earlier = torch.zeros_like(sums)
    if not alone:
        earlier[:, :, 1:] = sums[:, :, :-1]
    before = (torch.log(earlier + _TINY) / 2).flatten(1, 2)
    inside = torch.cat([h, a, before], dim=2)
    g = torch.relu(affine(w, "pair", inside))
    c = so_far(bounded(affine(w, "pair score", inside)))
    root = 2 * torch.exp(log_count / 2)
    features = torch.cat(
        [
            torch.log(sums) - log_count,
            torch.log(c) - log_count,
            so_far(h) / root,
            so_far(g) / root,
            g.unflatten(1, (b, t)),
            (log_count - 2).expand(p, b, t, 1),
        ],
        dim=3,
    ).flatten(1, 2)
    hidden = torch.relu(affine(w, "hidden", features))
    scores = affine(w, "head", torch.cat([hidden, features], 2)) + w["bias"]
    return scores.unflatten(1, (b, t))
