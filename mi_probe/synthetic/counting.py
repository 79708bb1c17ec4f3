"""Y is how many tokens carry a marker: none, one, ... four."""

import numpy as np
from scipy.special import gammaln

from mi_probe.synthetic.known import Known
from mi_probe.synthetic.token_source import (
    Drawn,
    TokenSource,
    drawn_mask,
    known_tokens,
    lengths_between,
    log_normal_ratio,
    mean_mixture,
    token_mixture,
)

_MOST = 4
_MARKER = np.array([3.0])


def counting(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    noise: float = 0.5,
    flips: float = 0.0,
    vary: bool = True,
    seed: int = 0,
) -> Known:
    """Y markers, equally likely 0 to 4, at random places among tokens of noise.

    Without noise I(Y;Z) = ln 5. The mean counts too, but where lengths vary it cannot
    tell a marker among few tokens from two among many.

    Args:
        n: examples.
        t: most tokens, at least 8.
        d: dimensions.
        noise: standard deviation of a token's coordinates; a marker's length is 3.
        flips: share of labels drawn anew.
        vary: lengths between t/2 and t, instead of t.
        seed: of the direction and of the sample.
    """
    settings = (t, noise, flips, vary)
    return known_tokens(_source, settings, n, d, seed)


def _source(t: int, noise: float, flips: float, vary: bool) -> TokenSource:
    lengths = lengths_between(t, vary)
    counts = np.arange(_MOST + 1)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        y = rng.integers(_MOST + 1, size=n)
        ranks = np.where(mask, rng.random(mask.shape), 2.0).argsort(1).argsort(1)
        return (ranks < y[:, None])[..., None] * _MARKER, mask, y

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        # The sum over all placements of c markers is a symmetric polynomial of the ratios.
        ratio = np.where(mask, log_normal_ratio(z, _MARKER, noise), -np.inf)
        table = np.full((len(z), _MOST + 1), -np.inf)
        table[:, 0] = 0
        for step in range(t):
            one_more = table[:, :-1] + ratio[:, step, None]
            table[:, 1:] = np.logaddexp(table[:, 1:], one_more)
        length = mask.sum(1)[:, None]
        placements = gammaln(length + 1) - gammaln(counts + 1)
        return table - (placements - gammaln(length - counts + 1))

    totals = [
        (int(length), counts[:, None] * _MARKER, np.eye(_MOST + 1)) for length in lengths
    ]
    at_end = counts * float(np.mean(1 / lengths))
    codes = np.stack([0 * _MARKER, _MARKER])
    end = token_mixture(codes, np.stack([1 - at_end, at_end]), noise)
    views = {"mean": mean_mixture(totals, noise, _MOST + 1), "first": end, "last": end}
    return TokenSource(_MOST + 1, draw, noise, log_likelihood, views, flips)
