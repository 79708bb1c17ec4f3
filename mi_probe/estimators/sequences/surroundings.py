r"""Log-sum-exp over what stands before each token, behind it, and over all tokens.

.. math:: f_i = \log \sum_{j<i} e^{a_j}, \qquad b_i = \log \sum_{j>i} e^{a_j}, \qquad
          w = \log \sum_j e^{a_j}

with :math:`\epsilon` = 1e-6 of the largest term added to each sum, so that an empty one is
finite. The gradient is written out, since it needs one exponential and two sums:

.. math:: \frac{\partial}{\partial a_j} = e^{a_j} \Bigl( \sum_{i>j} g^f_i e^{-f_i}
          + \sum_{i<j} g^b_i e^{-b_i} + g^w e^{-w} \Bigr)

with g the gradients that come in. No sum is a difference of longer ones: an empty one would
be what rounding leaves, and its gradient is a million times the others.

References:
    Zhai et al. 2021, arXiv 2105.14103 (attention by cumulative sums).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_TINY = 1e-6
LEAST = -60.0
"""Log of the smallest term beside the largest: processors take a hundred times as long over
numbers that underflow."""


class Surroundings(torch.autograd.Function):
    """f, b and w of scores (m, t, b, s) over the second axis, relative to their largest."""

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
