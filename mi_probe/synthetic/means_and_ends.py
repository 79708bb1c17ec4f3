"""Tokens whose mean tells Y, all of it or most; and two whose ends tell it together."""

import numpy as np
from scipy.special import log_ndtr, ndtr
from scipy.stats import binom

from mi_probe.hidden import HiddenStates
from mi_probe.synthetic.class_source import Mixture
from mi_probe.synthetic.curved_classes import parity_posterior
from mi_probe.synthetic.known import Known, binary_entropy
from mi_probe.synthetic.token_source import (
    Drawn,
    TokenSource,
    drawn_mask,
    known_tokens,
    lengths_between,
    mean_mixture,
    token_mixture,
)


def majority(
    n: int,
    t: int = 15,
    d: int = 16,
    *,
    noise: float = 0.3,
    seed: int = 0,
) -> Known:
    """Each token is +1 or -1 along a direction; Y is the sign of their sum.

    Lengths are odd. Without noise the mean tells all that Z does; with noise, each token's
    own rounding tells more than their mean.

    Args:
        n: examples.
        t: most tokens, odd.
        d: dimensions.
        noise: standard deviation of a token's coordinates.
        seed: of the direction and of the sample.
    """
    return known_tokens(_majority_source, (t, noise), n, d, seed)


def _majority_source(t: int, noise: float) -> TokenSource:
    lengths = lengths_between(t, vary=True)
    lengths = lengths[lengths % 2 == 1]

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        codes = rng.choice([-1.0, 1.0], size=(n, t, 1)) * mask[..., None]
        return codes, mask, (codes.sum((1, 2)) > 0).astype(int)

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        # How many are +1 is Poisson-binomial: one token after another joins the table.
        plus = 1 / (1 + np.exp(-np.clip(2 * z[..., 0] / noise**2, -700, 700)))
        table = np.zeros((len(z), t + 1))
        table[:, 0] = 1
        for step in range(t):
            p = plus[:, step, None]
            longer = table * (1 - p)
            longer[:, 1:] += table[:, :-1] * p
            table = np.where(mask[:, step, None], longer, table)
        most = np.arange(t + 1) * 2 > mask.sum(1)[:, None]
        above = (table * most).sum(1)
        below = (table * ~most).sum(1)
        return np.log(np.maximum(np.stack([below, above], axis=1), 1e-300))

    totals, ends = [], np.zeros((2, 2))
    for length in lengths:
        count = np.arange(length + 1)
        weights = np.zeros((length + 1, 2))
        above = 2 * count > length
        weights[np.arange(length + 1), above.astype(int)] = 2 * binom.pmf(
            count, length, 0.5
        )
        totals.append((int(length), (2.0 * count - length)[:, None], weights))
        # P(one token is +1, given that most are).
        agree = float((weights[:, 1] * count).sum() / length)
        ends += np.array([[agree, 1 - agree], [1 - agree, agree]]) / len(lengths)
    end = token_mixture(np.array([[-1.0], [1.0]]), ends, noise)
    views = {"mean": mean_mixture(totals, noise, 2), "first": end, "last": end}
    return TokenSource(2, draw, noise, log_likelihood, views)


def mean_sufficient(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    separation: float = 1.5,
    vary: bool = False,
    seed: int = 0,
) -> Known:
    """Two classes; Z_mean holds all that Z does, if all sequences are equally long.

    Where lengths vary (``vary``) the mean does not say how many tokens it averages, so a
    little is lost: the likelihood ratio is the length times the mean.

    Args:
        n: examples.
        t: most tokens.
        d: dimensions.
        separation: distance of the classes, in standard deviations of the mean of t tokens.
        vary: lengths between t/2 and t, instead of t.
        seed: of the direction and of the sample.
    """
    return known_tokens(_mean_source, (t, separation, vary), n, d, seed)


def _mean_source(t: int, separation: float, vary: bool) -> TokenSource:
    lengths = lengths_between(t, vary)
    half = separation / (2 * np.sqrt(t))
    codes = np.array([[-half], [half]])

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        y = rng.integers(2, size=n)
        return codes[y][:, None] * mask[..., None], mask, y

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        total = (z[..., 0] * mask).sum(1)
        return np.stack([-half * total, half * total], axis=1)

    totals = [(int(length), length * codes, np.eye(2)) for length in lengths]
    end = token_mixture(codes, np.eye(2), 1.0)
    views = {"mean": mean_mixture(totals, 1.0, 2), "first": end, "last": end}
    return TokenSource(2, draw, 1.0, log_likelihood, views)


def parity_of_ends(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    noise: float = 0.3,
    flips: float = 0.0,
    seed: int = 0,
) -> Known:
    """Each token is +1 or -1 along a direction; Y tells whether first and last agree.

    Either end alone tells nothing. The mean tells a little: agreeing ends push it out.

    Args:
        n: examples.
        t: most tokens.
        d: dimensions.
        noise: standard deviation of a token's coordinates.
        flips: share of labels drawn anew.
        seed: of the direction and of the sample.
    """
    return known_tokens(_parity_source, (t, noise, flips), n, d, seed)


def first_against_last(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> Known:
    r"""Every token has a height; Y tells whether the first is higher than the last.

    With a, b the heights, standard normal, and label noise :math:`\tau`,
    :math:`p(y=1|z) = \Phi((a - b)/\tau)`. Without noise I(Y;Z) = ln 2 and
    :math:`I(Y;Z_{first}) = I(Y;Z_{last}) = \ln 2 - 1/2` exactly; I(Y;Z_mean) = 0, because
    the mean does not change when the ends change places.

    Args:
        n: examples.
        t: most tokens.
        d: dimensions; all but one are noise.
        noise: standard deviation of what is added to a - b before Y is read off.
        seed: of the direction and of the sample.
    """
    rng = np.random.default_rng(seed)
    mask = drawn_mask(rng, n, t, lengths_between(t, vary=True))
    values = rng.normal(size=(n, t, d)).astype(np.float32)
    direction = np.linalg.qr(rng.normal(size=(d, 1)))[0].astype(np.float32)
    height = (values @ direction)[..., 0]
    difference = height[:, 0] - height[np.arange(n), mask.sum(1) - 1]
    y = (difference + noise * rng.normal(size=n) > 0).astype(np.int64)
    sign = np.where(y == 1, 1.0, -1.0)
    log_p = log_ndtr(sign * difference / noise) if noise else np.zeros(n)
    one_end = _probit_nats(1 / np.sqrt(1 + noise**2))
    return Known(
        HiddenStates(values * mask[..., None], mask),
        y,
        _probit_nats(np.sqrt(2) / noise) if noise else float(np.log(2)),
        pooled_nats={"mean": 0.0, "first": one_end, "last": one_end},
        pointwise=log_p + np.log(2),
    )


def _probit_nats(slope: float) -> float:
    """I(Y;a) where p(y=1|a) = ndtr(slope a), a standard normal: ln 2 - E h(p)."""
    a = np.linspace(-10, 10, 20_001)
    density = np.exp(-0.5 * a**2) / np.sqrt(2 * np.pi)
    return float(np.log(2) - np.trapezoid(density * binary_entropy(ndtr(slope * a)), a))


def _parity_source(t: int, noise: float, flips: float) -> TokenSource:
    lengths = lengths_between(t, vary=True)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        codes = rng.choice([-1.0, 1.0], size=(n, t, 1)) * mask[..., None]
        last = codes[np.arange(n), mask.sum(1) - 1, 0]
        return codes, mask, (codes[:, 0, 0] * last > 0).astype(int)

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        last = z[np.arange(len(z)), mask.sum(1) - 1, 0]
        return parity_posterior(np.stack([z[:, 0, 0], last], axis=1) / noise**2)

    totals = []
    for length in lengths:
        count = np.arange(length + 1)
        inner = length - 2
        agree = (binom.pmf(count, inner, 0.5) + binom.pmf(count - 2, inner, 0.5)) / 2
        weights = np.stack([binom.pmf(count - 1, inner, 0.5), agree], axis=1)
        totals.append((int(length), (2.0 * count - length)[:, None], weights))
    nothing = Mixture(np.zeros((1, 1)), np.ones(1), np.ones((1, 2)))
    views = {"mean": mean_mixture(totals, noise, 2), "first": nothing, "last": nothing}
    return TokenSource(2, draw, noise, log_likelihood, views, flips)
