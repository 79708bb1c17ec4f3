r"""Variational values of I(Y;X), as pure functions of a critic's scores.

A critic :math:`T(x, y)` scores each example of a batch against the ``m`` columns of the
marginal of Y: *all classes with their probabilities* where Y is discrete, so that the
second term of every bound is an exact sum without negative samples, or the other
examples' Y where it is continuous. A bound returns one term an example, in nats, whose
mean is the value. With :math:`S(x) = E_{p(y)} e^{T(x,y)}` they are

====================  ==================================================================
`donsker_varadhan`    :math:`E[T] - \log E_x S(x)`
`barber_agakov`       :math:`E[T] - E_x \log S(x)`
`info_nce`            the same, x's own column counted among S's
`nwj`                 :math:`E[T] + 1 - E_x S(x)`
`smile`               Donsker-Varadhan, :math:`e^T` clipped to :math:`e^{\pm\tau}` in S
====================  ==================================================================

and all are I(Y;X) at the critic :math:`T = \log p(y|x)/p(y)`. Papers write the third from
:math:`f`-divergences with :math:`T + 1` in place of our T; the optimum is then one higher.

What training maximises is a row of `OBJECTIVES`: one gradient a paper, over the same
`Scores`. Each is made anew for each critic from the rate of a moving average (which MINE
alone keeps), and returns a number to maximise, one for each critic of a stack. All have the
optimum :math:`T = \log p(y|x)/p(y)`, `info_nce` up to a function of x.

References:
    Mutual Information Neural Estimation (Belghazi et al., 2018),
    https://arxiv.org/abs/1801.04062
    On Variational Bounds of Mutual Information (Poole et al., 2019),
    https://arxiv.org/abs/1905.06922
    Understanding the Limitations of Variational Mutual Information Estimators (Song and
    Ermon, 2020), https://arxiv.org/abs/1910.06222
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from mi_probe.estimators.core.base import BoundKind


@dataclass(frozen=True)
class Scores:
    """A critic's scores of a batch: examples against the columns of Y's marginal.

    Leading axes are a stack of critics, each with a batch and a value of its own.
    """

    values: Float[Tensor, "*q b m"]
    joint: Int[Tensor, "*q b"]
    """Which column is the example's own Y."""
    log_weights: Float[Tensor, "... m"]
    """Log probability of each column under the marginal; -inf leaves a column out."""

    @classmethod
    def against_each_other(cls, values: Float[Tensor, "*q b b"]) -> "Scores":
        """Examples against each other's Y: the own one is no sample of the marginal."""
        b = values.shape[-1]
        weights = torch.full((b, b), -math.log(max(b - 1, 1)), device=values.device)
        own = torch.arange(b, device=values.device)
        return cls(values, own.expand(values.shape[:-1]), weights.fill_diagonal_(-math.inf))

    @property
    def paired(self) -> Float[Tensor, "*q b"]:
        """T(x_i, y_i)."""
        return self.values.gather(-1, self.joint[..., None])[..., 0]

    @property
    def log_partition(self) -> Float[Tensor, "*q b"]:
        """The log E_{p(y)} exp T(x_i, y), an example at a time."""
        return torch.logsumexp(self.values + self.log_weights, dim=-1)

    def lowered(self, by: Float[Tensor, "*q b"]) -> "Scores":
        """The critic T(x, y) - a(x): as good a critic, whatever a."""
        return Scores(self.values - by[..., None], self.joint, self.log_weights)

    def capped(self, most: Float[Tensor, "..."]) -> "Scores":
        """The critic cut at the most that log p(y|x)/p(y) can be, by column.

        Any function of x and y is a critic: one that never says more keeps a single far row
        from ruling a mean of exp T.
        """
        values = self.values.minimum(most.to(self.values.device))
        return Scores(values, self.joint, self.log_weights)


Terms: TypeAlias = Callable[[Scores], Float[Tensor, "*q b"]]


def donsker_varadhan(scores: Scores) -> Float[Tensor, "*q b"]:
    r"""Terms of :math:`E_{p(x,y)}[T] - \log E_{p(x)p(y)}[e^T]`, in nats.

    The logarithm is of a mean over the batch: on few examples it is too small by about
    its variance, so the bound is optimistic there. Belghazi et al. (2018), equation 3.
    """
    return scores.paired - _log_mean(scores.log_partition)


def barber_agakov(scores: Scores) -> Float[Tensor, "*q b"]:
    r"""Terms of :math:`H(Y) - CE = E[\log q(y|x) - \log p(y)]`, in nats.

    The critic is normalised for each x by its own partition, which is
    :math:`q(y|x) \propto p(y) e^{T(x,y)}`. Since :math:`E_x \log S(x) \le \log E_x S(x)`,
    it is never below `donsker_varadhan` of the same critic. Poole et al. (2019), 2.1.

    Not a bound where the columns are a sample of Y without the example's own: S(x) is then
    an estimate, and :math:`E \log S \le \log E S`. That is what `info_nce` is for.
    """
    return scores.paired - scores.log_partition


def info_nce(scores: Scores) -> Float[Tensor, "*q b"]:
    r"""Terms of :math:`E[T(x,y)] - E \log \frac1m \sum_j e^{T(x,y_j)}`, in nats.

    The example's own Y is one of the m columns: it is added where it was left out. So no
    term exceeds log m, and the value is of little use from about log m - 1 on. Over all
    classes with their probabilities nothing is sampled, and it is `barber_agakov`.
    van den Oord et al. (2018), https://arxiv.org/abs/1807.03748; Poole et al. (2019), 2.3.
    """
    weights = scores.log_weights.expand_as(scores.values)
    left_out = weights.gather(-1, scores.joint[..., None])[..., 0] == -math.inf
    m = scores.values.shape[-1]
    # The other m - 1 columns are weighted to a mean; make it one over all m.
    with_own = torch.logaddexp(
        scores.log_partition + math.log1p(-1 / m), scores.paired - math.log(m)
    )
    return scores.paired - torch.where(left_out, with_own, scores.log_partition)


def nwj(scores: Scores) -> Float[Tensor, "*q b"]:
    r"""Terms of :math:`E_{p(x,y)}[T] + 1 - E_{p(x)p(y)}[e^T]`, in nats.

    With :math:`T' = T + 1` this is :math:`E[T'] - E[e^{T'-1}]`: the bound of Nguyen,
    Wainwright and Jordan (2010), which Belghazi et al. (2018) call MINE-f (equation 7).
    There is no logarithm of a mean, so its minibatches are unbiased; but a critic that is
    off by a constant c pays :math:`e^c - 1 - c`, and the variance grows like
    :math:`e^{I}` (Song and Ermon, 2020). Since :math:`\log S \le S - 1`, it is never above
    `barber_agakov` or `donsker_varadhan` of the same critic.
    """
    return scores.paired + 1 - scores.log_partition.exp()


def smile(scores: Scores, tau: float) -> Float[Tensor, "*q b"]:
    r"""Terms of :math:`E[T] - \log E_{p(x)p(y)}[\mathrm{clip}(e^T, e^{-\tau}, e^\tau)]`.

    Clipping bounds the variance of the second term and makes the value *neither* a lower
    nor an upper bound: what :math:`e^T` holds above :math:`e^\tau` is missing from it, so
    that it overshoots by up to about tau where I(Y;X) nears or passes tau. In nats. Song
    and Ermon (2020), equation 8.
    """
    clipped = scores.values.clamp(-tau, tau)
    return scores.paired - _log_mean(torch.logsumexp(clipped + scores.log_weights, dim=-1))


def _log_mean(log_values: Float[Tensor, "*q b"]) -> Float[Tensor, "*q 1"]:
    return torch.logsumexp(log_values, -1, keepdim=True) - math.log(log_values.shape[-1])


@dataclass(frozen=True)
class Bound:
    """How held-out scores become a value, and what that value is."""

    terms: Callable[[float], Terms]
    """Made from the clip tau, which `smile` alone reads."""
    normalised: bool
    """Whether T - log a(x) is valued instead of T, a(x) the critic's own S(x): exact over
    classes, else over training rows' Y, which the held-out pairs are independent of."""
    capped: bool = True
    """Whether the critic is cut where no log p(y|x)/p(y) can be: not where a(x) may be
    added to it and the value stays."""
    over_batch: bool = False
    """Whether a term holds a mean over all rows, so that rows act on each other's terms."""
    kind: BoundKind = "lower bound"
    ceiling: str = "H(Y)"

    def influence(
        self, scores: Scores, tau: float, *, paired_columns: bool
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """Terms of the value, and each row's influence on their mean, in nats.

        A row acts through its term, through what it adds to a mean over the batch, and,
        where the columns are the rows' own Y, through its column in the others' terms:
        the derivatives by the weights of its pairs (the delta method).
        """
        with torch.enable_grad():
            weights = scores.log_weights.expand_as(scores.values).detach().clone()
            weights.requires_grad_()
            terms = self.terms(tau)(Scores(scores.values.detach(), scores.joint, weights))
            (pairs,) = torch.autograd.grad(terms.sum(), weights)
        influence = terms.detach()
        if self.over_batch:
            influence = influence + pairs.sum(1)
        if paired_columns:
            influence = influence + pairs.sum(0)
        return terms.detach(), influence


BOUNDS: dict[str, Bound] = {
    "donsker_varadhan": Bound(lambda _: donsker_varadhan, True, over_batch=True),
    "barber_agakov": Bound(lambda _: barber_agakov, True, capped=False),
    "info_nce": Bound(
        lambda _: info_nce,
        False,
        capped=False,
        ceiling="H(Y); else log of the rows of a fold",
    ),
    "nwj": Bound(lambda _: nwj, True),
    "nwj_plain": Bound(lambda _: nwj, False),
    "smile": Bound(
        lambda tau: lambda scores: smile(scores, tau),
        True,
        over_batch=True,
        kind="neither",
        ceiling="none",
    ),
}


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
