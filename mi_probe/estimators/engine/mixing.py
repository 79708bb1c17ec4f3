"""Stacking of class posteriors: calibrate each member, then mix, or multiply evidence.

Everything here is fitted on predictions for rows that the member did not see. The prior
p(y) is always a member, so a stack of useless members says p(y), which is 0 nats. A model
that is too sure of itself loses nats without end, so each is first scaled; a model alone is
mixed with p(y), of which the mixture keeps as much as one row would give it: no held-out
row can cost much more than the logarithm of the rows that calibrated.

References:
    Stacked Generalization (Wolpert, 1992); Super Learner (van der Laan et al., 2007).
    Probabilistic outputs for support vector machines (Platt, 1999).
    On Calibration of Modern Neural Networks (Guo et al., 2017): the temperature.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

_EM_STEPS = 200
_NEWTON_STEPS, _SETTLED = 20, 5e-4
_NO_EVIDENCE = 1e-9
"""Nats below which log q(y|x)/p(y) is rounding."""

Offset: TypeAlias = Float[np.ndarray, " c"] | Float[np.ndarray, "n c"]
"""What evidence comes on top of: log p(y), or log q(y|c) a row."""


def log_likelihood(
    log_posterior: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]
) -> float:
    """Mean log q(y|x) of normalised log posteriors, in nats."""
    return float(log_posterior[np.arange(len(y)), y].mean())


def tempered(
    scores: Float[np.ndarray, "n c"],
    log_prior: Offset,
    temperature: float,
) -> Float[np.ndarray, "n c"]:
    """Log posteriors whose evidence, log q(y|x)/p(y), is scaled by the temperature.

    At 0 it is the prior, so that an overconfident member is pulled towards knowing nothing.
    """
    return log_softmax(temperature * (scores - log_prior) + log_prior, axis=1)


def best_temperature(
    scores: Float[np.ndarray, "n c"],
    log_prior: Offset,
    y: Int[np.ndarray, " n"],
) -> float:
    """The scale in 0 ... 3 with the highest likelihood; the problem is convex."""
    evidence, prior = _beside_own(scores - log_prior, y), _prior_beside_own(log_prior, y)
    low, high, temperature = 0.0, 3.0, 1.0
    # Newton's steps, halving the interval instead where they would leave it.
    for _ in range(_NEWTON_STEPS):
        beside = temperature * evidence + prior
        q = np.exp(beside - beside.max(0))
        q /= q.sum(0)
        told = q * evidence
        mean = told.sum(0)
        slope = float(mean.mean())
        bend = float(((told * evidence).sum(0) - mean**2).mean())
        low, high = (low, temperature) if slope > 0 else (temperature, high)
        before = temperature
        temperature -= slope / max(bend, 1e-30)
        if not low <= temperature <= high:
            temperature = (low + high) / 2
        if abs(temperature - before) < _SETTLED:
            break
    return temperature


def mixture_weights(
    members: Sequence[Float[np.ndarray, "n c"]], y: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " m"]:
    """Weights of the mixture of posteriors with the highest likelihood, by EM."""
    rows = np.arange(len(y))
    log_q = np.stack([member[rows, y] for member in members])
    # Only ratios matter; the largest term of a row becomes 1.
    q = np.exp(log_q - log_q.max(0))
    weights = np.full(len(members), 1 / len(members))
    for _ in range(_EM_STEPS):
        weights = weights * (q @ (1 / (weights @ q))) / len(y)
    return weights


def mix(
    members: Sequence[Float[np.ndarray, "n c"]], weights: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "n c"]:
    """The mixture, log sum_m w_m q_m(y|x)."""
    used = [(w, member) for w, member in zip(weights, members, strict=True) if w > 0]
    top = np.maximum.reduce([member for _, member in used])
    # Their logarithms are added up in the scale of the largest, one exponential each.
    return np.log(sum(w * np.exp(member - top) for w, member in used)) + top


def log_linear_weights(
    members: Sequence[Float[np.ndarray, "n c"]],
    log_prior: Offset,
    y: Int[np.ndarray, " n"],
    pull: float = 0.0,
) -> Float[np.ndarray, " m"]:
    """Powers of the product of the members' evidence, with the highest likelihood.

    Views that each know something of their own (the mean, the last token) add up in a
    product; in a mixture they cannot. Convex, with as many numbers as members, none below
    0. Where log q(y|c) of each row stands for the prior, evidence is what a member says
    beyond it. Each power is pulled towards an equal share by ``pull`` times the square of
    what it lies off, in nats of all rows together: few rows would choose by chance.
    """
    evidence = np.stack([_beside_own(member - log_prior, y) for member in members])
    prior, flat = _prior_beside_own(log_prior, y), evidence.reshape(len(members), -1)

    def loss(powers: np.ndarray) -> tuple[float, np.ndarray]:
        scores = (powers @ flat).reshape(prior.shape) + prior
        log_sums = _log_sum(scores)
        q = np.exp(scores - log_sums)
        off, strength = powers - start, pull / len(y)
        value = log_sums.mean() + strength * off @ off
        return float(value), flat @ q.ravel() / len(y) + 2 * strength * off

    start = np.full(len(members), 1 / len(members))
    bounds = [(0.0, 3.0)] * len(members)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    # One that says p(y) of every row has any power.
    return found * (np.abs(flat).max(1) > _NO_EVIDENCE)


def pair_powers(members: Sequence[Float[np.ndarray, "n k"]]) -> Float[np.ndarray, " m"]:
    """`log_linear_weights` for telling an own Y (the first column) from others'."""
    rows, columns = members[0].shape
    log_prior = np.full(columns, -np.log(columns))
    own = np.zeros(rows, dtype=np.int64)
    return log_linear_weights([member + log_prior for member in members], log_prior, own)


def pooled(
    members: Sequence[Float[np.ndarray, "n c"]],
    log_prior: Offset,
    powers: Float[np.ndarray, " m"],
) -> Float[np.ndarray, "n c"]:
    """Log posteriors of the product of the members' evidence to these powers."""
    evidence = np.stack([member - log_prior for member in members])
    return log_softmax(np.tensordot(powers, evidence, 1) + log_prior, axis=1)


def _beside_own(
    scores: Float[np.ndarray, "n c"], y: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "c n"]:
    """What each class has more than the row's own; classes first, for sums over them."""
    return np.ascontiguousarray(scores.T) - scores[np.arange(len(y)), y]


def _prior_beside_own(
    log_prior: Offset, y: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "c n"]:
    if log_prior.ndim == 2:
        return _beside_own(log_prior, y)
    return log_prior[:, None] - log_prior[y]


def _log_sum(scores: Float[np.ndarray, "c n"]) -> Float[np.ndarray, " n"]:
    """Log-sum-exp over classes; beside a row's own class, it is -log q(y|x)."""
    top = scores.max(0)
    return np.log(np.exp(scores - top).sum(0)) + top


_OFFSET_ROWS = 10


@dataclass(frozen=True)
class Calibrated:
    """What calibration came to: how scores become log posteriors, and its numbers."""

    apply: Callable[[np.ndarray], np.ndarray]
    notes: dict[str, float]


def temperature(
    scores: Float[np.ndarray, "n c"],
    log_prior: Float[np.ndarray, " c"],
    y: Int[np.ndarray, " n"],
) -> Calibrated:
    """One number that scales the evidence log q(y|x)/p(y)."""
    best = best_temperature(scores, log_prior, y)
    return Calibrated(lambda s: tempered(s, log_prior, best), {"temperature": best})


def platt(
    scores: Float[np.ndarray, "n c"],
    log_prior: Float[np.ndarray, " c"],
    y: Int[np.ndarray, " n"],
) -> Calibrated:
    r"""A slope and an offset a class for margins, which are no logits.

    Platt's sigmoid for any number of classes at once, over centred margins m:

    .. math:: \log q(c|x) = \log p(c) + a m_c + b_c - \mathrm{const}, \quad a \ge 0

    The offsets are pulled to 0 as by `_OFFSET_ROWS` rows, so that they cost nothing where
    there is nothing to find.
    """
    centre, scale = scores.mean(0), max(float(scores.std()), 1e-12)
    n, c = scores.shape
    margins, own = (scores - centre) / scale, np.arange(n)

    def log_posterior(m: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return log_softmax(numbers[0] * m + numbers[1:] + log_prior, axis=1)

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        log_q = log_posterior(margins, numbers)
        excess = np.exp(log_q)
        excess[own, y] -= 1
        pull = _OFFSET_ROWS * numbers[1:]
        value = 0.5 * pull @ numbers[1:] - log_q[own, y].sum()
        slope = np.r_[(excess * margins).sum(), excess.sum(0) + pull]
        return value / n, slope / n

    bounds = [(0.0, None), *[(None, None)] * c]
    found = minimize(loss, np.zeros(c + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    return Calibrated(
        lambda s: log_posterior((s - centre) / scale, found), {"slope": float(found[0])}
    )


def marginal_weight(gain: Float[np.ndarray, " n"]) -> float:
    """The share of p(y) in the mixture, from log q(y|x)/p(y) of rows not trained on."""
    members = [np.zeros((len(gain), 1)), gain[:, None]]
    weights = mixture_weights(members, np.zeros(len(gain), dtype=np.int64))
    # All of it would leave the logarithm of nothing to the model.
    return min(max(float(weights[0]), 1 / (len(gain) + 1)), 1 - 1e-9)


def mixed(gain: np.ndarray, weight: float) -> np.ndarray:
    """The log ratio of the mixture to the marginal, of which it holds ``weight``."""
    return np.logaddexp(np.log1p(-weight) + gain, np.log(weight))


CALIBRATIONS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Calibrated]] = {
    "temperature": temperature,
    "platt": platt,
}
