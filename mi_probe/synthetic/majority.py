"""Tokens of two kinds: Y is the kind that most of them are."""

import numpy as np
from scipy.stats import binom

from mi_probe.synthetic.known import Known
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
    flips: float = 0.0,
    vary: bool = True,
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
        flips: share of labels drawn anew.
        vary: odd lengths between t/2 and t, instead of t.
        seed: of the direction and of the sample.
    """
    settings = (t, noise, flips, vary)
    return known_tokens(_source, settings, n, d, seed)


def _source(t: int, noise: float, flips: float, vary: bool) -> TokenSource:
    lengths = lengths_between(t, vary)
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
    return TokenSource(2, draw, noise, log_likelihood, views, flips)
