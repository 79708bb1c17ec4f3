r"""What a critic maximises in training: one gradient a paper, over the same `Scores`.

Each is made anew for each critic from the rate of a moving average (which MINE alone
keeps), and returns a number to maximise, one for each critic of a stack. All have the
optimum :math:`T = \log p(y|x)/p(y)`, `info_nce` up to a function of x.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import softplus

from mi_probe.estimators.critic.bounds import Scores, barber_agakov, info_nce, nwj

Objective: TypeAlias = Callable[[Scores], Tensor]


def moving_average_dv(rate: float) -> Objective:
    r"""MINE's surrogate: the gradient of Donsker-Varadhan with a de-biased denominator.

    A minibatch's own :math:`E[\nabla T e^T]/E[e^T]` is biased; here the denominator is an
    exponential moving average over batches, held constant for the gradient. Belghazi et
    al. (2018), section 3.2.
    """
    log_average: Tensor | None = None

    def surrogate(scores: Scores) -> Tensor:
        nonlocal log_average
        log_partition = scores.log_partition
        log_mean = torch.logsumexp(log_partition, -1) - math.log(log_partition.shape[-1])
        now = log_mean.detach()
        if log_average is None:
            log_average = now
        else:
            log_average = torch.logaddexp(
                log_average + math.log1p(-rate), now + math.log(rate)
            )
        # d/dT of exp(log_mean - log_average) is E[grad T e^T] / average.
        return scores.paired.mean(-1) - torch.exp(log_mean - log_average)

    return surrogate


def jensen_shannon(scores: Scores) -> Tensor:
    r"""The value :math:`E_{p(x,y)}[-s(-T)] - E_{p(x)p(y)}[s(T)]`, s the softplus.

    Up to constants twice the Jensen-Shannon divergence of the joint from the product, by
    its variational form; it is no value of I(Y;X). Its gradient is that of a logistic
    regression of real against shuffled pairs, bounded however large T is. Nowozin et al.
    (2016); Hjelm et al. (2019), https://arxiv.org/abs/1808.06670, equation 4.
    """
    marginal = (softplus(scores.values) * scores.log_weights.exp()).sum(-1)
    return -(softplus(-scores.paired) + marginal).mean(-1)


OBJECTIVES: dict[str, Callable[[float], Objective]] = {
    "mine": moving_average_dv,
    "nwj": lambda _: lambda scores: nwj(scores).mean(-1),
    "info_nce": lambda _: lambda scores: info_nce(scores).mean(-1),
    "cross_entropy": lambda _: lambda scores: barber_agakov(scores).mean(-1),
    "jensen_shannon": lambda _: jensen_shannon,
}
