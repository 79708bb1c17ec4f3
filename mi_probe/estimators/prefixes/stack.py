r"""Members of a critic of tokens, weighed by where in the sentence they speak.

.. math::
    \log q(y | z_{\le t}) = \log p(y) + \sum_m \beta_m(t) \log \frac{q_m(y|z_{\le t})}{p(y)}
    - \mathrm{const},

mixed with a little of p(y). The more tokens a mean is of, the more it is worth, so powers
change with log t, in straight lines between the first position, the middle and the last;
none is below 0. They are fitted on rows that no member has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax

from mi_probe.estimators.engine.mixing import marginal_weight
from mi_probe.estimators.prefixes.fits import PLACES, Rows, Scored
from mi_probe.estimators.prefixes.linear import chosen_places
from mi_probe.estimators.prefixes.packed_tokens import PackedTokens

_KNOTS = 3
_PULL = 2.0
"""Rows by which the powers are pulled to 0."""


@dataclass(frozen=True)
class PrefixStack:
    """How the members of one held-out fold become log q(y| . ) at every position."""

    powers: Float[np.ndarray, "j k"]
    """Of each member at the places between which they change."""
    share: float
    """Of the members' product, beside p(y)."""
    prior: Float[np.ndarray, " c"]

    def __call__(
        self, members: Sequence[Float[np.ndarray, "n t c"]]
    ) -> Float[np.ndarray, "n t c"]:
        """Normalised log posteriors, from those of the members at all positions."""
        evidence = [member - self.prior for member in members]
        hats = _hats(members[0].shape[1])[None]
        log_q = _product(evidence, hats, self.powers, self.prior)
        return np.logaddexp(log_q + np.log(self.share), self.prior + np.log1p(-self.share))


def fit_stack(
    members: Sequence[Scored], tokens: PackedTokens, rows: Rows, k: int
) -> PrefixStack:
    """The stack for held-out fold k, from a few prefixes of each row outside it."""
    kept, prior = rows.split.rows(k), rows.log_prior([k])
    places = chosen_places(tokens.lengths[kept], PLACES)[0].numpy()
    few = [
        np.take_along_axis(m.calibration[k][kept], places[..., None], 1) - prior
        for m in members
    ]
    y = rows.target.index[kept]
    hats = _hats(tokens.order.shape[1])[places]
    powers = _powers(few, hats, prior, y)
    log_q = _product(few, hats, powers, prior)
    gain = np.take_along_axis(log_q, y[:, None, None], 2)[..., 0] - prior[y][:, None]
    # A row's prefixes are no rows of their own: p(y) keeps what one row would give it.
    knows_nothing = max(marginal_weight(gain.ravel()), 1 / (len(y) + 1))
    return PrefixStack(powers, 1 - knows_nothing, prior)


def _hats(t: int) -> Float[np.ndarray, "t k"]:
    """How much each of the places between which powers change counts at a position."""
    where = np.log(np.arange(1, t + 1)) / max(np.log(t), 1e-12) * (_KNOTS - 1)
    return np.clip(1 - np.abs(where[:, None] - np.arange(_KNOTS)), 0, 1)


def _powers(
    evidence: Sequence[Float[np.ndarray, "n m c"]],
    hats: Float[np.ndarray, "n m k"],
    prior: Float[np.ndarray, " c"],
    y: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "j k"]:
    """The best powers in 0 ... 3 at the places; convex, a row's prefixes count as one."""
    n, m, _ = evidence[0].shape
    flat = np.stack([e.reshape(n * m, -1) for e in evidence]).astype(np.float64)
    hat, labels = hats.reshape(n * m, -1), np.repeat(y, m)
    own = np.take_along_axis(flat, labels[None, :, None], 2)[..., 0]

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        powers = numbers.reshape(len(evidence), -1)
        tempered = (hat @ powers.T).T[..., None] * flat
        log_q = log_softmax(tempered.sum(0) + prior, axis=1)
        expected = (np.exp(log_q) * flat).sum(2)
        slope = (expected - own) @ hat / (n * m) + _PULL / n * powers
        value = -float(np.take_along_axis(log_q, labels[:, None], 1).mean())
        return value + 0.5 * _PULL / n * float((powers**2).sum()), slope.ravel()

    start = np.full(len(evidence) * hat.shape[1], 1 / len(evidence))
    bounds = [(0.0, 3.0)] * len(start)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return found.reshape(len(evidence), -1)


def _product(
    evidence: Sequence[Float[np.ndarray, "n m c"]],
    hats: Float[np.ndarray, "#n m k"],
    weights: Float[np.ndarray, "j k"],
    prior: Float[np.ndarray, " c"],
) -> Float[np.ndarray, "n m c"]:
    total = np.zeros(evidence[0].shape)
    for e, w in zip(evidence, weights, strict=True):
        total += (hats @ w)[..., None] * e
    return log_softmax(total + prior, axis=2)
