r"""Evidence networks: sequences to class posteriors, many of them as one batched problem.

Where a noisy token may be the one that counts, Bayes' rule adds up likelihoods over the
places where it may be: :math:`p(y|z) \propto \sum_i e^{a_y(z_i)}`, and for two tokens in
order :math:`\sum_{i<j} e^{a(z_i) + b(z_j)}`. So a network here pools by log-sum-exp:

.. math::
    h_i = \max(0, W_h x_i), \quad a_i = W_a [h_i, x_i], \quad
    f_i = \log \sum_{j<i} e^{a_j}, \quad b_i = \log \sum_{j>i} e^{a_j},

    g_i = \max(0, W_g [h_i, a_i, f_i, b_i]), \quad c_i = W_c [h_i, a_i, f_i, b_i],

with x_i the token and where it stands (first, last, share of the way). The log-sum-exp
of a and c over tokens, sums of h and g, g of the first and last token and the length go to
a head of a linear map plus one hidden layer. Sums are over a row's own tokens, so padding
changes nothing; prefixes are cumulative sums, so no step waits for another.

All problems are trained side by side (`critic.batched`). There is no early stopping:
averaged weights after several numbers of epochs are places of a path.

References:
    Zhai et al. 2021, arXiv 2105.14103 (attention by cumulative sums).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import log_softmax
from torch import Tensor
from torch.nn import functional

from mi_probe.estimators.critic.batched import (
    Problem,
    Weights,
    affine,
    averaged_weights,
    by_length,
    drawn_weights,
    of_problem,
)
from mi_probe.estimators.sequences.token_coordinates import MARKS, PLACES, TokenInputs

_TINY = 1e-6
LEAST = -60.0
"""Log of the smallest term beside the largest: processors take a hundred times as long over
numbers that underflow."""


class Surroundings(torch.autograd.Function):
    r"""f, b and w of scores (m, t, b, s) over the second axis, relative to their largest.

    .. math:: f_i = \log \sum_{j<i} e^{a_j}, \qquad b_i = \log \sum_{j>i} e^{a_j}, \qquad
              w = \log \sum_j e^{a_j}

    with :math:`\epsilon` = 1e-6 of the largest term added to each sum, so that an empty one
    is finite. The gradient is written out, since it needs one exponential and two sums:

    .. math:: \frac{\partial}{\partial a_j} = e^{a_j} \Bigl( \sum_{i>j} g^f_i e^{-f_i}
              + \sum_{i<j} g^b_i e^{-b_i} + g^w e^{-w} \Bigr)

    with g the gradients that come in. No sum is a difference of longer ones: an empty one
    would be what rounding leaves, and its gradient is a million times the others.

    References:
        Zhai et al. 2021, arXiv 2105.14103 (attention by cumulative sums).
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The three, of which the last has one place on the second axis."""
        top = a.amax(1, keepdim=True)
        terms = (a - top).clamp_(min=LEAST).exp_()
        before, behind = _sum_before(terms), _sum_behind(terms)
        whole = before[:, -1:] + terms[:, -1:] + _TINY
        before, behind = before.add_(_TINY), behind.add_(_TINY)
        ctx.save_for_backward(terms, before, behind, whole)
        return before.log().add_(top), behind.log().add_(top), whole.log() + top

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensor:
        """The largest term only scales: it takes no part."""
        terms, before, behind, whole = ctx.saved_tensors
        of_before, of_behind, of_whole = gradients
        total = _sum_behind(of_before / before)
        total += _sum_before(of_behind / behind)
        total += of_whole / whole
        return total.mul_(terms)


def surroundings(
    a: Float[Tensor, "m t b s"],
) -> tuple[Float[Tensor, "m t b s"], Float[Tensor, "m t b s"], Float[Tensor, "m b s"]]:
    """Log-sum-exp of scores before each token, behind it, and of all."""
    before, behind, whole = Surroundings.apply(a)
    return before, behind, whole[:, 0]


def log_sum_exp(c: Float[Tensor, "m t b s"]) -> Float[Tensor, "m b s"]:
    """Over the second axis; terms that would underflow are left out of the gradient."""
    top = c.detach().amax(1, keepdim=True)
    return (c - top).clamp(min=LEAST).exp().sum(1).log() + top[:, 0]


def _sum_before(x: Float[Tensor, "m t b s"]) -> Float[Tensor, "m t b s"]:
    """Sums over the second axis, each of what stands before."""
    sums = torch.zeros_like(x)
    torch.cumsum(x[:, :-1], 1, out=sums[:, 1:])
    return sums


def _sum_behind(x: Float[Tensor, "m t b s"]) -> Float[Tensor, "m t b s"]:
    """Sums over the second axis, each of what stands behind."""
    return _sum_before(x.flip(1)).flip(1)


SNAPSHOTS = (3, 6, 12)
"""Epochs after which the averaged weights are kept."""
TOKEN, SCORES, _HIDDEN = 16, 4, 16
"""Widths: token features, token scores, the head."""
_LOW = 1e4
"""How far below anything else padding is."""
_CHUNK_TOKENS = 2**14
"""Tokens that are scored at a time: few enough to stay near the processor."""


def train_evidence(
    tokens: TokenInputs,
    y: Int[Tensor, " n"],
    problems: Sequence[Problem],
) -> tuple[Weights, ...]:
    """Train one network a problem, all at once, by cross-entropy.

    Returns:
        Averaged weights by snapshot, stacked over problems.

    Args:
        tokens: of all rows, on the device to train on.
        y: the classes of all rows, on the same device.
        problems: the rows of each network; sizes should be about equal.
    """

    def loss(weights: Weights, rows: Int[Tensor, "p b"]) -> Tensor:
        scores = evidence_scores(weights, *tokens.batch(rows))
        found = functional.cross_entropy(
            scores.flatten(0, 1), y[rows].flatten(), reduction="sum"
        )
        return found / rows.shape[1]

    drawn = evidence_weights(tokens.coordinates, problems)
    epochs = SNAPSHOTS[-1]
    return averaged_weights(drawn, problems, tokens.lengths, loss, epochs, SNAPSHOTS)


@torch.no_grad()
def log_posteriors(
    snapshots: Sequence[Weights],
    tokens: TokenInputs,
    rows: Int[np.ndarray, " m"],
    problem: int,
) -> Float[np.ndarray, "p m c"]:
    """Of rows by one problem's network after each snapshot."""
    found = []
    wanted = torch.as_tensor(rows, device=tokens.lengths.device)
    for weights in (of_problem(one, problem) for one in snapshots):
        said = torch.empty(len(rows), weights["bias"].shape[-1])
        for part in by_length(tokens.lengths, rows, _CHUNK_TOKENS, tokens.values.shape[1]):
            scores = evidence_scores(weights, *tokens.batch(wanted[part][None]))
            said[part.cpu()] = scores[0].cpu()
        found.append(said.double().numpy())
    return log_softmax(np.stack(found), axis=2)


def evidence_scores(
    w: Weights, values: Float[Tensor, "m t b k"], lengths: Int[Tensor, "m b"]
) -> Float[Tensor, "m b c"]:
    """Unnormalised log posteriors of a batch of each problem."""
    m, t, b, _ = values.shape
    read, of_hidden, of_pair, inside = _laid_out(w)
    x = values.flatten(1, 2)
    h, a = torch.bmm(x, read).split([TOKEN, SCORES], 2)
    h = torch.relu(h)
    a = torch.baddbmm(a, h, of_hidden)

    def tokens(flat: Tensor) -> Tensor:
        return flat.unflatten(1, (t, b))

    log_length = lengths.to(values.dtype).log()[..., None]
    before, behind, whole = surroundings(tokens(a))
    level = log_length[:, None]
    around = [(sums - level).flatten(1, 2) / 2 for sums in (before, behind)]
    z = torch.cat([a, *around, x[..., -MARKS:]], 2)
    g, c = torch.bmm(h, of_pair).baddbmm_(z, inside).split([TOKEN, SCORES], 2)
    g = torch.relu(g)
    ends = torch.stack([torch.zeros_like(lengths), lengths - 1], 1)
    first_of = torch.arange(m, device=ends.device)[:, None, None] * t
    places = (first_of + ends) * b + torch.arange(b, device=ends.device)
    at_ends = g.flatten(0, 1).index_select(0, places.flatten()).view(m, 2, b, TOKEN)
    root = 2 * lengths.to(values.dtype).sqrt()[..., None]
    features = torch.cat(
        [
            whole - log_length,
            log_sum_exp(tokens(c)) - log_length,
            tokens(h).sum(1) / root,
            tokens(g).sum(1) / root,
            at_ends[:, 0],
            at_ends[:, 1],
            log_length - 2,
        ],
        dim=2,
    )
    hidden = torch.relu(affine(w, "hidden", features))
    return affine(w, "head", torch.cat([hidden, features], 2)) + w["bias"]


def _laid_out(w: Weights) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Matrices of what is read at once: inputs by h and a; h, and the rest, by g and c.

    Their last rows are of `MARKS`: padding, where h and g become 0 and nothing of e^a and
    e^c is left, and the bias.
    """
    token, score = w["token"], w["score"]
    pair = torch.cat([w["pair"], w["pair score"]], 2)
    padding = torch.full_like(pair[:, :1], -1)
    inputs = torch.cat([token[:, 1:], score[:, 1 + TOKEN :]], 2)
    bias = torch.cat([token[:, :1], score[:, :1]], 2)
    read = torch.cat([inputs, padding * _LOW, bias], 1)
    # There a is as low as it is, and its weights are any: this outdoes them.
    inside = torch.cat([pair[:, 1 + TOKEN :], padding * _LOW**2, pair[:, :1]], 1)
    return read, score[:, 1 : 1 + TOKEN], pair[:, 1 : 1 + TOKEN], inside


def evidence_weights(q: int, problems: Sequence[Problem]) -> Weights:
    """Initial weights, each problem's from its own seed; the head says p(y)."""
    return pooling_weights(q + PLACES, 2, problems)


def pooling_weights(inputs: int, sides: int, problems: Sequence[Problem]) -> Weights:
    """Initial weights of networks that pool tokens by log-sum-exp.

    Args:
        inputs: columns of a token and of where it stands.
        sides: of a token that are read; as many tokens are read by themselves.
        problems: the rows and the seed of each network.
    """
    n_classes = len(problems[0].log_prior)
    inside = TOKEN + (1 + sides) * SCORES
    features = (2 + sides) * TOKEN + 2 * SCORES + 1
    shapes = {
        "token": (inputs, TOKEN),
        "score": (TOKEN + inputs, SCORES),
        "pair": (inside, TOKEN),
        "pair score": (inside, SCORES),
        "hidden": (features, _HIDDEN),
        "head": (_HIDDEN + features, n_classes),
    }
    return drawn_weights(shapes, problems)
