"""Marked tokens among others: which comes first, what one says, how many there are."""

from itertools import product

import numpy as np
from scipy.special import gammaln

from mi_probe.synthetic.class_source import Mixture
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
    return known_tokens(_order_source, settings, n, d, seed)


def _order_source(t: int, noise: float, flips: float, vary: bool) -> TokenSource:
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


_CODES, _MARKER = 3.0 * np.eye(5)[:4], 3.0 * np.eye(5)[4]
_MEAN_ROWS = 20_000
"""Rows behind the truths: the mean's density is a mixture of thousands of parts."""


def needle(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    noise: float = 0.3,
    flips: float = 0.0,
    seed: int = 0,
) -> Known:
    """Every token carries the code of a random class; one is marked, and its class is Y.

    Without noise and flips I(Y;Z) = ln 4; the mean, which counts codes, holds little.

    Args:
        n: examples.
        t: most tokens.
        d: dimensions, at least 5.
        noise: standard deviation of a token's coordinates; a code's length is 3.
        flips: share of labels drawn anew.
        seed: of the directions and of the sample.
    """
    return known_tokens(_needle_source, (t, noise, flips), n, d, seed, _MEAN_ROWS)


def _needle_source(t: int, noise: float, flips: float) -> TokenSource:
    lengths = lengths_between(t, vary=True)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        y = rng.integers(4, size=n)
        codes = _CODES[rng.integers(4, size=(n, t))] * mask[..., None]
        place = (rng.random(n) * mask.sum(1)).astype(int)
        codes[np.arange(n), place] = _CODES[y] + _MARKER
        return codes, mask, y

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        plain = np.stack([log_normal_ratio(z, code, noise) for code in _CODES], axis=2)
        marked = np.stack(
            [log_normal_ratio(z, code + _MARKER, noise) for code in _CODES], axis=2
        )
        decoy = np.logaddexp.reduce(plain, axis=2, keepdims=True) - np.log(4)
        ratio = np.where(mask[..., None], marked - decoy, -np.inf)
        return np.logaddexp.reduce(ratio, axis=1)

    end = _end_of_needle(lengths, noise)
    totals = [_totals_of_codes(int(length)) for length in lengths]
    views = {"mean": mean_mixture(totals, noise, 4), "first": end, "last": end}
    return TokenSource(4, draw, noise, log_likelihood, views, flips)


def _end_of_needle(lengths: np.ndarray, noise: float) -> Mixture:
    """Either end: the needle in one of L cases, else a decoy."""
    share = float(np.mean(1 / lengths))
    codes = np.concatenate([_CODES, _CODES + _MARKER])
    weights = np.concatenate([np.full((4, 4), (1 - share) / 4), share * np.eye(4)])
    return token_mixture(codes, weights, noise)


def _totals_of_codes(length: int) -> tuple[int, np.ndarray, np.ndarray]:
    """Totals of the codes of all tokens, and their probability given each class."""
    counts = np.array(
        [
            (a, b, c, length - a - b - c)
            for a, b, c in product(range(length + 1), repeat=3)
            if a + b + c <= length
        ]
    )
    weights = np.zeros((len(counts), 4))
    for y in range(4):
        decoys = counts - np.eye(4, dtype=int)[y]
        fits = (decoys >= 0).all(1)
        log_p = gammaln(length) - gammaln(decoys[fits] + 1).sum(1)
        weights[fits, y] = np.exp(log_p - (length - 1) * np.log(4))
    return length, counts @ _CODES + _MARKER, weights


_MOST = 4
_COUNTED = np.array([3.0])


def counting(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    noise: float = 0.5,
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
        seed: of the direction and of the sample.
    """
    return known_tokens(_counting_source, (t, noise), n, d, seed)


def _counting_source(t: int, noise: float) -> TokenSource:
    lengths = lengths_between(t, vary=True)
    counts = np.arange(_MOST + 1)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        mask = drawn_mask(rng, n, t, lengths)
        y = rng.integers(_MOST + 1, size=n)
        ranks = np.where(mask, rng.random(mask.shape), 2.0).argsort(1).argsort(1)
        return (ranks < y[:, None])[..., None] * _COUNTED, mask, y

    def log_likelihood(z: np.ndarray, mask: np.ndarray) -> np.ndarray:
        # The sum over all placements of c markers is a symmetric polynomial of the ratios.
        ratio = np.where(mask, log_normal_ratio(z, _COUNTED, noise), -np.inf)
        table = np.full((len(z), _MOST + 1), -np.inf)
        table[:, 0] = 0
        for step in range(t):
            one_more = table[:, :-1] + ratio[:, step, None]
            table[:, 1:] = np.logaddexp(table[:, 1:], one_more)
        length = mask.sum(1)[:, None]
        placements = gammaln(length + 1) - gammaln(counts + 1)
        return table - (placements - gammaln(length - counts + 1))

    totals = [
        (int(length), counts[:, None] * _COUNTED, np.eye(_MOST + 1)) for length in lengths
    ]
    at_end = counts * float(np.mean(1 / lengths))
    codes = np.stack([0 * _COUNTED, _COUNTED])
    end = token_mixture(codes, np.stack([1 - at_end, at_end]), noise)
    views = {"mean": mean_mixture(totals, noise, _MOST + 1), "first": end, "last": end}
    return TokenSource(_MOST + 1, draw, noise, log_likelihood, views)
