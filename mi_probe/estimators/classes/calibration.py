"""Calibration of a conditional model on rows that it did not see.

A model that is too sure of itself loses nats without end, so each is first scaled and then
mixed with the marginal p(y), which knows nothing and costs nothing. The mixture always
keeps as much of the marginal as one row would give it: no held-out row can cost much more
than the logarithm of the rows that calibrated.

References:
    Probabilistic outputs for support vector machines (Platt, 1999).
    On Calibration of Modern Neural Networks (Guo et al., 2017): the temperature.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

from mi_probe.estimators.classes.stacking import best_temperature, mixture_weights, tempered

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
