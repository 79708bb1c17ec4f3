r"""One loss out of two: how the writer's and the director's losses are joined.

Write a for the writer's loss (of the answer's tokens) and b for the director's (of the
task adapter); both are at least 0. Writer-director alignment (WDAL) has been published
twice, and neither is what its description says.

**The paper's form is the product.** Its "authority term" times its "alignment penalty" is
:math:`\max(a^2, b^2)\, e^{-|\ln a - \ln b|}`. Let :math:`a \ge b > 0`. Then
:math:`|\ln a - \ln b| = \ln(a/b)`, the penalty is :math:`b/a`, and the whole is
:math:`a^2 \cdot b/a = ab`; likewise for :math:`b \ge a`. So the two terms cancel:
:math:`\partial/\partial a = b`, which gives the *smaller* loss the larger coefficient, the
opposite of the intent, and nothing at all once the other loss is 0.

**The code's form is one function of the product.** With u = 1 + a and v = 1 + b it is
:math:`\ln u + \ln v + \max(u, v)^2 e^{-|\ln u - \ln v|}`. By the same cancellation the last
term is :math:`uv`; with :math:`s = \ln u + \ln v` the whole is :math:`s + e^s`. Its
:math:`\partial/\partial a = v + 1/u` still favours the smaller loss, but is never 0.

`ALIGNMENTS` makes either of them, and four others. Each takes the two scalars and returns
a scalar in at least float32. Values and gradients are finite for losses from 0, and exact
to rounding from 1e-8 to 1e4.
"""

from collections.abc import Callable
from functools import partial
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

Join = Callable[[Tensor, Tensor], Tensor]


def paper(a: Float[Tensor, ""], b: Float[Tensor, ""]) -> Float[Tensor, ""]:
    r"""WDAL as the paper has it, :math:`\max(a^2, b^2)\, e^{-|\ln a - \ln b|} = ab`.

    Computed as authority times penalty, with the penalty as min/max: that needs no
    logarithm of a loss near 0.
    """
    return torch.maximum(a, b).square() * _likeness(a, b)


def code(a: Float[Tensor, ""], b: Float[Tensor, ""]) -> Float[Tensor, ""]:
    r"""WDAL as the published code has it, :math:`s + e^s`, s = ln(1+a) + ln(1+b)."""
    return torch.log1p(a) + torch.log1p(b) + (1 + a) * (1 + b)


def product(a: Float[Tensor, ""], b: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """What the paper's form comes to, ab."""
    return a * b


def plain_sum(a: Float[Tensor, ""], b: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """The plain sum, a + b: both coefficients are 1, whatever the losses."""
    return a + b


def balanced(a: Float[Tensor, ""], b: Float[Tensor, ""]) -> Float[Tensor, ""]:
    r"""What the paper describes: the larger loss is pushed harder, and both are balanced.

    .. math::
        \sqrt{2(a^2 + b^2)} = \sqrt 2 \max(a, b) \sqrt{1 + e^{-2 |\ln a - \ln b|}}
        = e^{\frac12 \mathrm{LSE}(2 \ln a, 2 \ln b) + \frac12 \ln 2}

    So it too is an authority term times a term of alignment, and a log-sum-exp, but here
    they do not cancel. The coefficients :math:`\sqrt 2 a / \sqrt{a^2 + b^2}` and
    :math:`\sqrt 2 b / \sqrt{a^2 + b^2}` are in the ratio of the losses, at most
    :math:`\sqrt 2`, and never both 0. It equals the plain sum where a = b and exceeds it
    elsewhere, by about :math:`(a - b)^2 / (2(a + b))` nearby.

    Not to be trusted to balance losses of different units (a mean squared error of 0.01
    against a cross-entropy of 1 is treated as solved): bring them to one scale, or take
    ``uncertainty``.
    """
    larger, likeness = torch.maximum(a, b), _likeness(a, b)
    return sqrt(2) * larger * (1 + likeness.square()).sqrt()


def _likeness(a: Tensor, b: Tensor) -> Tensor:
    """e^(-|ln a - ln b|) as min/max, and 1 where both are 0."""
    larger, smaller = torch.maximum(a, b), torch.minimum(a, b)
    # The division must not see 0/0, whose gradient is NaN in either branch of a where.
    zero = larger == 0
    return torch.where(zero, 1.0, smaller / torch.where(zero, 1.0, larger))


class FixedAlignment(nn.Module):
    """A function of the two losses, without parameters."""

    def __init__(self, join: Join, *, affine: bool = False) -> None:
        super().__init__()
        self.join = join
        self.affine = affine
        """Whether what it makes of batches, weighed, is what it makes of them together."""

    def forward(
        self, writer: Float[Tensor, ""], director: Float[Tensor, ""]
    ) -> Float[Tensor, ""]:
        """The joint loss."""
        return self.join(_wide(writer), _wide(director))


class UncertaintyAlignment(nn.Module):
    r"""Each loss over a learned variance: :math:`\sum_i \frac{1}{2}(e^{-s_i} l_i + s_i)`.

    s is the log variance, learned with the model (as `log_variances`, so it belongs in its
    optimiser and checkpoint) and at first 0. This sets losses of different units on one
    scale. At the best s, :math:`s_i = \ln l_i`, the joint loss is
    :math:`\frac12(1 + \ln a) + \frac12(1 + \ln b)`: up to a constant half the logarithm of
    the product, so it too pushes the smaller loss harder, and without bound. The joint
    loss may be negative. Kendall, Gal and Cipolla 2018, https://arxiv.org/abs/1705.07115.
    """

    affine = True

    def __init__(self) -> None:
        super().__init__()
        self.log_variances = nn.Parameter(torch.zeros(2))

    def forward(
        self, writer: Float[Tensor, ""], director: Float[Tensor, ""]
    ) -> Float[Tensor, ""]:
        """The joint loss."""
        losses = torch.stack([_wide(writer), _wide(director)])
        return 0.5 * (torch.exp(-self.log_variances) * losses + self.log_variances).sum()


def _wide(loss: Tensor) -> Tensor:
    """At least float32: in 16 bits a product of two losses leaves the range."""
    return loss.to(torch.promote_types(loss.dtype, torch.float32))


ALIGNMENTS: dict[str, Callable[[], nn.Module]] = {
    "paper": partial(FixedAlignment, paper),
    "code": partial(FixedAlignment, code),
    "product": partial(FixedAlignment, product),
    "sum": partial(FixedAlignment, plain_sum, affine=True),
    "uncertainty": UncertaintyAlignment,
    "balanced": partial(FixedAlignment, balanced),
}
"""Name to what makes a module that is called with (writer, director)."""
