r"""Linear discriminants of prefixes in closed form, for any choice of folds.

A prefix z_1 ... z_t is described by its last token or by the mean of its tokens so far;
all prefixes of a sentence count, each with the weight 1/length. With the class means m_c
and the covariance within classes W over the prefixes of some folds,

.. math::
    a(u) = \log p(y) + u^\top S^{-1} m_y - \tfrac{1}{2} m_y^\top S^{-1} m_y, \quad
    S = (1 - s) W + s \, \mathrm{diag}(T),

T the total covariance. Sums are kept a fold and a class, so leaving out two folds or three
costs one more small system and no pass over the tokens.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import log_softmax
from torch import Tensor

from mi_probe.estimators.models.gaussian import Linear, Moments, WithinClasses
from mi_probe.estimators.prefixes.packed_tokens import PackedTokens, packed_tokens
from mi_probe.hidden import HiddenStates

BLOCKS = ("token", "mean")
"""How a prefix is described: by its last token, and by the mean of its tokens."""
SHRINKAGE = (0.003, 0.05, 0.2, 0.5, 0.9)
_PREFIXES = 200_000
"""Prefixes behind the sums, at most: those of one sentence are much alike."""
_FEWEST = 4
"""Of a sentence."""


@dataclass(frozen=True)
class PrefixSums:
    """Weights, sums and squares of the prefixes of each fold and class."""

    weight: Float[np.ndarray, "k c"]
    total: Float[np.ndarray, "k c r"]
    square: Float[np.ndarray, "k r r"]

    def discriminants(
        self, without: Collection[int], shrinkage: Sequence[float]
    ) -> list[Linear]:
        """Those of all folds but some, one for each shrinkage."""
        kept = [k for k in range(len(self.weight)) if k not in without]
        moments = Moments(
            self.weight[kept].sum(0), self.total[kept].sum(0), self.square[kept].sum(0)
        )
        within = WithinClasses(moments)
        # Columns are standardised: what varies less than this, as the first token of a
        # template does, varies by rounding.
        spread = np.maximum(within.variances, 1e-6)
        return [within.linear(s, spread) for s in shrinkage]


def prefix_sums(
    tokens: PackedTokens,
    y: Int[np.ndarray, " n"],
    fold: Int[np.ndarray, " n"],
    n_classes: int,
) -> dict[str, PrefixSums]:
    """The sums of each block over evenly spread prefixes of every sentence."""
    n_folds, r = int(fold.max()) + 1, tokens.width
    most = min(max(_FEWEST, _PREFIXES // len(tokens)), tokens.order.shape[1])
    group = torch.as_tensor(fold * n_classes + y)
    weight = torch.zeros(n_folds * n_classes, dtype=torch.float64)
    total = {b: torch.zeros(n_folds * n_classes, r, dtype=torch.float64) for b in BLOCKS}
    square = {b: torch.zeros(n_folds, r, r, dtype=torch.float64) for b in BLOCKS}
    for rows, u in tokens.chunks():
        place, share = chosen_places(tokens.lengths[rows], most)
        weight.index_add_(0, group[rows], share.sum(1).double())
        for block in BLOCKS:
            part = described(u, block).gather(1, place[..., None].expand(-1, -1, r))
            part = part * share.sqrt()[..., None]
            sums = (part * share.sqrt()[..., None]).sum(1)
            total[block].index_add_(0, group[rows], sums.double())
            for k in range(n_folds):
                own = part[torch.as_tensor(fold[rows] == k)].flatten(0, 1)
                square[block][k] += (own.T @ own).double()
    shape = (n_folds, n_classes)
    return {
        block: PrefixSums(
            weight.reshape(shape).numpy(),
            total[block].reshape(*shape, r).numpy(),
            square[block].numpy(),
        )
        for block in BLOCKS
    }


def described(u: Float[Tensor, "b s r"], block: str) -> Float[Tensor, "b s r"]:
    """Every prefix of every row as one vector."""
    if block == "token":
        return u
    count = torch.arange(1, u.shape[1] + 1, dtype=u.dtype)
    return u.cumsum(1) / count[:, None]


def discriminant_scores(u: Float[Tensor, "*b r"], fit: Linear) -> Float[np.ndarray, "*b c"]:
    """Log posteriors of states, normalised."""
    map_ = torch.as_tensor(fit.coefficients, dtype=u.dtype)
    scores = (u @ map_).numpy() + fit.intercept.astype(np.float32)
    return log_softmax(scores, axis=-1)


def chosen_places(
    lengths: Int[Tensor, " b"], most: int
) -> tuple[Int[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Evenly spread prefixes of each row, the whole one last, and their weights.

    A row with fewer than asked for repeats some, so that weights of a row add up to 1.
    """
    steps = torch.arange(1, most + 1, dtype=torch.float64) / most
    place = (steps * lengths[:, None]).ceil().long() - 1
    return place.clamp(min=0), torch.full(place.shape, 1 / most)


_READOUT = 0.5


@dataclass(frozen=True)
class MeanReadout:
    r"""log q(y|mean z) - log p(y) up to a constant, linear in the mean state."""

    weights: Float[Tensor, "k d c"]
    """For each fold, learned without it."""
    fold: Int[np.ndarray, " n"]

    def weights_of(self, row: int, y: int) -> Float[Tensor, " d"]:
        """For class y against the others' mean, of a critic that never saw the row."""
        found = self.weights[int(self.fold[row])]
        return found[:, y] - found.mean(1)


def mean_readout(
    z: HiddenStates, y: Int[np.ndarray, " n"], fold: Int[np.ndarray, " n"]
) -> MeanReadout:
    """Fit the discriminants of the mean of all tokens so far, a fold left out each.

    Args:
        z: states.
        y: classes 0 ... c-1.
        fold: which fold each row is in; the rows of one are read by a fit to the others.
    """
    tokens = packed_tokens(z)
    sums = prefix_sums(tokens, y, fold, int(y.max()) + 1)["mean"]
    found = []
    for k in range(int(fold.max()) + 1):
        [fit] = sums.discriminants([k], [_READOUT])
        coefficients = torch.as_tensor(fit.coefficients, dtype=torch.float32)
        scale = tokens.projection
        found.append(
            scale[:, None] * coefficients if scale.ndim == 1 else scale @ coefficients
        )
    return MeanReadout(torch.stack(found), fold)
