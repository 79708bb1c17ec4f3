"""Where a discrete Y and a sequence of noisy tokens come from, and what each view tells.

A token is a point (its code, in k coordinates) seen through normal noise in all d
dimensions. The coordinates are orthonormal directions, so noise outside them tells nothing
and every truth is found in k coordinates, once for all seeds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from mi_probe.hidden import HiddenStates
from mi_probe.synthetic.class_source import Mixture
from mi_probe.synthetic.known import Known, at_class, average, posterior_information

_TRUTH_ROWS = 100_000


Drawn: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Codes (n, t, k) without noise, the mask (n, t), and y (n,)."""


@dataclass(frozen=True)
class TokenSource:
    """A joint distribution of sequences of codes and a class Y, before the label noise."""

    n_classes: int
    """Equally likely."""
    draw: Callable[[np.random.Generator, int], Drawn]
    noise: float
    """Standard deviation of each of a token's coordinates."""
    log_likelihood: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Log p(z|y), (n, c), of noisy codes and their mask, up to a shared constant."""
    views: Mapping[str, Mixture]
    """Density of each pooled view whose truth is known; as a function of its vector."""
    flips: float = 0.0
    """Share of the labels that are drawn anew."""


def known_tokens(
    source_of: Callable[..., TokenSource],
    settings: tuple[Any, ...],
    n: int,
    d: int,
    seed: int,
    truth_rows: int = _TRUTH_ROWS,
) -> Known:
    """Draw ``n`` sequences in ``d`` dimensions of a source by its settings."""
    source, truth = source_of(*settings), _truths(source_of, settings, truth_rows)
    rng = np.random.default_rng(seed)
    codes, mask, y, z = _draw(source, rng, n)
    posterior = _flipped(source, source.log_likelihood(z, mask))
    k = codes.shape[2]
    basis = np.linalg.qr(rng.normal(size=(d, d)))[0]
    values = z.astype(np.float32) @ basis[:k].astype(np.float32)
    if d > k:
        other = source.noise * rng.normal(size=(*mask.shape, d - k)).astype(np.float32)
        values += other @ basis[k:].astype(np.float32)
    values = values.astype(np.float32) * mask[..., None]
    nats, stderr = truth["full"]
    return Known(
        HiddenStates(values, mask),
        y,
        nats,
        stderr,
        pooled_nats={view: value for view, (value, _) in truth.items() if view != "full"},
        pointwise=at_class(posterior, _log_prior(source), y),
    )


@lru_cache
def _truths(
    source_of: Callable[..., TokenSource], settings: tuple[Any, ...], rows: int
) -> dict[str, tuple[float, float]]:
    return truths(source_of(*settings), rows)


def truths(source: TokenSource, rows: int = _TRUTH_ROWS) -> dict[str, tuple[float, float]]:
    """I(Y;Z) and I(Y;Z_p) in nats with their standard errors, by view."""
    found = {}
    for view in ("full", *source.views):

        def terms(rng: np.random.Generator, size: int, view: str = view) -> np.ndarray:
            _, mask, _, z = _draw(source, rng, size)
            if view == "full":
                likelihood = source.log_likelihood(z, mask)
            else:
                likelihood = source.views[view].log_likelihood(_pooled(z, mask, view))
            return posterior_information(_flipped(source, likelihood), _log_prior(source))

        found[view] = average(terms, rows=rows)
    return found


def lengths_between(t: int, vary: bool) -> Int[np.ndarray, " l"]:
    """The lengths that a sequence may have, equally likely: t/2 ... t, or t alone."""
    return np.arange(max(2, t // 2), t + 1) if vary else np.array([t])


def drawn_mask(
    rng: np.random.Generator, n: int, t: int, lengths: Int[np.ndarray, " l"]
) -> Bool[np.ndarray, "n t"]:
    """True for each sequence's first tokens, as many as its length."""
    return np.arange(t) < rng.choice(lengths, size=(n, 1))


def log_normal_ratio(
    z: Float[np.ndarray, "... k"], code: Float[np.ndarray, " k"], noise: float
) -> Float[np.ndarray, "..."]:
    """The log N(z; code) - log N(z; 0) of tokens."""
    return (z @ code - 0.5 * (code**2).sum()) / noise**2


def mean_mixture(
    totals: list[tuple[int, np.ndarray, np.ndarray]], noise: float, n_classes: int
) -> Mixture:
    """The mean over tokens, whose codes add up to known totals.

    Args:
        totals: for each equally likely length: the length, the totals (m, k), and their
            probabilities given each class (m, c).
        noise: of a token.
        n_classes: classes.
    """
    centres = np.concatenate([total / length for length, total, _ in totals])
    sd = np.concatenate([np.full(len(s), noise / np.sqrt(t)) for t, s, _ in totals])
    weights = np.concatenate([w for *_, w in totals]) / len(totals)
    kept = weights.max(1) > 0
    assert weights.shape[1] == n_classes
    return Mixture(centres[kept], sd[kept], weights[kept])


def token_mixture(
    codes: Float[np.ndarray, "m k"], weights: Float[np.ndarray, "m c"], noise: float
) -> Mixture:
    """One token: its code and the probability of each code given each class."""
    return Mixture(codes, np.full(len(codes), noise), weights)


def _draw(
    source: TokenSource, rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    codes, mask, y = source.draw(rng, n)
    z = (codes + source.noise * rng.normal(size=codes.shape)) * mask[..., None]
    if source.flips:
        other = rng.integers(source.n_classes, size=n)
        y = np.where(rng.random(n) < source.flips, other, y)
    return codes, mask, y.astype(np.int64), z


def _flipped(source: TokenSource, likelihood: np.ndarray) -> np.ndarray:
    clean = log_softmax(likelihood, axis=1)
    if not source.flips:
        return clean
    even = np.log(source.flips / source.n_classes)
    return np.logaddexp(clean + np.log1p(-source.flips), even)


def _log_prior(source: TokenSource) -> np.ndarray:
    return np.full(source.n_classes, -np.log(source.n_classes))


def _pooled(z: np.ndarray, mask: np.ndarray, view: str) -> np.ndarray:
    length = mask.sum(1)
    if view == "mean":
        return (z * mask[..., None]).sum(1) / length[:, None]
    return z[np.arange(len(z)), 0 if view == "first" else length - 1]
