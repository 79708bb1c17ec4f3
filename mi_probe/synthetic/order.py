"""Two marker tokens at random places; Y tells which of them comes first."""

import numpy as np

from mi_probe.synthetic.known import Known
from mi_probe.synthetic.mixture import Mixture
from mi_probe.synthetic.token_source import (
    Drawn,
    TokenSource,
    drawn_mask,
    known_tokens,
    lengths_between,
    log_normal_ratio,
    token_mixture,
)

_MARKERS = 3.0 * np.eye(2)


def order(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    noise: float = 0.5,
    flips: float = 0.0,
    vary: bool = True,
    seed: int = 0,
) -> Known:
    """Marker A before marker B, or after it, among tokens of noise.

    I(Y;Z_mean) = 0 exactly: the mean does not change when two tokens change places. Without
    noise and flips I(Y;Z) = ln 2.

    Args:
        n: examples.
        t: most tokens.
        d: dimensions.
        noise: standard deviation of a token's coordinates; a marker's length is 3.
        flips: share of labels drawn anew.
        vary: lengths between t/2 and t, instead of t.
        seed: of the directions and of the sample.
    """
    settings = (t, noise, flips, vary)
    return known_tokens(_source, settings, n, d, seed)


def _source(t: int, noise: float, flips: float, vary: bool) -> TokenSource:
    lengths = lengths_between(t, vary)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        y = rng.integers(2, size=n)
        # Two different places: the least two of a random ranking of the real tokens.
        ranks = np.where(mask, rng.random(mask.shape), 2.0)
        places = np.sort(np.argpartition(ranks, 1, axis=1)[:, :2], axis=1)
        codes = np.zeros((n, t, 2))
        rows = np.arange(n)
        codes[rows, places[:, 0]] = _MARKERS[1 - y]
        codes[rows, places[:, 1]] = _MARKERS[y]
        return codes, mask, y

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        a, b = (
            np.where(mask, log_normal_ratio(z, marker, noise), -np.inf)
            for marker in _MARKERS
        )
        return np.stack([_before(b, a), _before(a, b)], axis=1)

    share = float(np.mean(1 / lengths))
    # At either end stands a marker in 2 of L cases, and which one Y then tells.
    codes = np.concatenate([_MARKERS, np.zeros((1, 2))])
    rest = 1 - 2 * share
    at_first = np.array([[0, 2 * share], [2 * share, 0], [rest, rest]])
    return TokenSource(
        2,
        draw,
        noise,
        log_likelihood,
        {
            "mean": Mixture(np.zeros((1, 2)), np.ones(1), np.ones((1, 2))),
            "first": token_mixture(codes, at_first, noise),
            "last": token_mixture(codes, at_first[:, ::-1], noise),
        },
        flips,
    )


def _before(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Log of the sum over i < j of exp(a_i + b_j)."""
    earlier = np.logaddexp.accumulate(a, axis=1)[:, :-1]
    return np.logaddexp.reduce(earlier + b[:, 1:], axis=1)
