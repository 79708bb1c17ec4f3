"""Every token is the class mean plus noise."""

import numpy as np

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


def mean_sufficient(
    n: int,
    t: int = 16,
    d: int = 16,
    *,
    separation: float = 1.5,
    flips: float = 0.0,
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
        flips: share of labels drawn anew.
        vary: lengths between t/2 and t, instead of t.
        seed: of the direction and of the sample.
    """
    settings = (t, separation, flips, vary)
    return known_tokens(_source, settings, n, d, seed)


def _source(t: int, separation: float, flips: float, vary: bool) -> TokenSource:
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
    return TokenSource(2, draw, 1.0, log_likelihood, views, flips)
