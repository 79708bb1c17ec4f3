r"""A linear readout of the mean state, cross-fitted: what gradients are taken of."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.prefixes.linear import prefix_sums
from mi_probe.estimators.prefixes.packed_tokens import packed_tokens
from mi_probe.hidden import HiddenStates

_SHRINKAGE = 0.5


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
        [fit] = sums.discriminants([k], [_SHRINKAGE])
        coefficients = torch.as_tensor(fit.coefficients, dtype=torch.float32)
        scale = tokens.projection
        found.append(
            scale[:, None] * coefficients if scale.ndim == 1 else scale @ coefficients
        )
    return MeanReadout(torch.stack(found), fold)
