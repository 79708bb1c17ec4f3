"""Y (four classes) is written at one marked position; all others hold decoys."""

from itertools import product

import numpy as np
from scipy.special import gammaln

from mi_probe.synthetic.known import Known
from mi_probe.synthetic.mixture import Mixture
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
    vary: bool = True,
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
        vary: lengths between t/2 and t, instead of t.
        seed: of the directions and of the sample.
    """
    settings = (t, noise, flips, vary)
    return known_tokens(_source, settings, n, d, seed, _MEAN_ROWS)


def _source(t: int, noise: float, flips: float, vary: bool) -> TokenSource:
    lengths = lengths_between(t, vary)

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

    end = _end(lengths, noise)
    totals = [_totals(int(length)) for length in lengths]
    views = {"mean": mean_mixture(totals, noise, 4), "first": end, "last": end}
    return TokenSource(4, draw, noise, log_likelihood, views, flips)


def _end(lengths: np.ndarray, noise: float) -> Mixture:
    """Either end: the needle in one of L cases, else a decoy."""
    share = float(np.mean(1 / lengths))
    codes = np.concatenate([_CODES, _CODES + _MARKER])
    weights = np.concatenate([np.full((4, 4), (1 - share) / 4), share * np.eye(4)])
    return token_mixture(codes, weights, noise)


def _totals(length: int) -> tuple[int, np.ndarray, np.ndarray]:
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
