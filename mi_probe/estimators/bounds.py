r"""Variational lower bounds on I(Y;X), as pure functions of a critic's scores.

A critic :math:`T(x, y)` scores each example of a batch against the ``m`` columns of the
marginal of Y: *all classes with their probabilities* where Y is discrete, so that the
second term of every bound is an exact sum without negative samples, or the other
examples' Y where it is continuous. A bound returns one term an example, in nats, whose
mean is the bound; the optimal critic is :math:`\log p(y|x)/p(y)`.

References:
    Mutual Information Neural Estimation (Belghazi et al., 2018),
    https://arxiv.org/abs/1801.04062
    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """A critic's scores of a batch: examples against the columns of Y's marginal."""

    values: Float[Tensor, "b m"]
    joint: Int[Tensor, " b"]
    """Which column is the example's own Y."""
    log_weights: Float[Tensor, "... m"]
    """Log probability of each column under the marginal; -inf leaves a column out."""

    @property
    def paired(self) -> Float[Tensor, " b"]:
        """T(x_i, y_i)."""
        return self.values.gather(1, self.joint[:, None])[:, 0]

    @property
    def log_partition(self) -> Float[Tensor, " b"]:
        """The log E_{p(y)} exp T(x_i, y), an example at a time."""
        return torch.logsumexp(self.values + self.log_weights, dim=1)


Bound: TypeAlias = Callable[[Scores], Float[Tensor, " b"]]


def donsker_varadhan(scores: Scores) -> Float[Tensor, " b"]:
    r"""Terms of :math:`E_{p(x,y)}[T] - \log E_{p(x)p(y)}[e^T]`, in nats.

    The logarithm is of a mean over the batch: on few examples it is too small by about
    its variance, so the bound is optimistic there. Belghazi et al. (2018), equation 3.
    """
    log_partition = scores.log_partition
    return scores.paired - (
        torch.logsumexp(log_partition, 0) - math.log(len(log_partition))
    )


def barber_agakov(scores: Scores) -> Float[Tensor, " b"]:
    r"""Terms of :math:`H(Y) - CE = E[\log q(y|x) - \log p(y)]`, in nats.

    The critic is normalised for each x by its own partition, which is
    :math:`q(y|x) \propto p(y) e^{T(x,y)}`. Since :math:`E_x \log S(x) \le \log E_x S(x)`,
    it is never below `donsker_varadhan` of the same critic. Poole et al. (2019), 2.1.
    """
    return scores.paired - scores.log_partition


def _moving_average_dv(rate: float) -> Callable[[Scores], Tensor]:
    r"""MINE's surrogate: the gradient of Donsker-Varadhan with a de-biased denominator.

    A minibatch's own :math:`E[\nabla T e^T]/E[e^T]` is biased; here the denominator is an
    exponential moving average over batches, held constant for the gradient. Belghazi et
    al. (2018), section 3.2.
    """
    log_average: Tensor | None = None

    def surrogate(scores: Scores) -> Tensor:
        nonlocal log_average
        log_partition = scores.log_partition
        log_mean = torch.logsumexp(log_partition, 0) - math.log(len(log_partition))
        now = log_mean.detach()
        if log_average is None:
            log_average = now
        else:
            log_average = torch.logaddexp(
                log_average + math.log1p(-rate), now + math.log(rate)
            )
        # d/dT of exp(log_mean - log_average) is E[grad T e^T] / average.
        return scores.paired.mean() - torch.exp(log_mean - log_average)

    return surrogate


BOUNDS: dict[str, Bound] = {
    "donsker_varadhan": donsker_varadhan,
    "barber_agakov": barber_agakov,
}

OBJECTIVES: dict[str, Callable[[float], Callable[[Scores], Tensor]]] = {
    "mine": _moving_average_dv,
    "cross_entropy": lambda _: lambda scores: barber_agakov(scores).mean(),
}
"""What is maximised: made anew for each critic, from the moving average's rate."""
