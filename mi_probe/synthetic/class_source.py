"""Where a discrete Y and its X come from: the population behind every class task."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from mi_probe.synthetic.known import (
    TRUTH_ROWS,
    Known,
    at_class,
    average,
    posterior_information,
)


@dataclass(frozen=True)
class ClassSource:
    """A joint distribution of X (its informative coordinates) and a class Y."""

    log_prior: Float[np.ndarray, " c"]
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
    """Rows of x (n, k) and y (n,)."""
    log_posterior: Callable[[np.ndarray], np.ndarray]
    """The log p(y|x), (n, c), of rows of x."""


def from_densities(
    prior: Float[np.ndarray, " c"],
    draw_given: Callable[[np.random.Generator, np.ndarray], np.ndarray],
    log_density: Callable[[np.ndarray], np.ndarray],
) -> ClassSource:
    """The source that draws a class, then x from that class's density (n, c)."""
    log_prior = np.log(prior)

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.choice(len(prior), size=rows, p=prior)
        return draw_given(rng, y), y

    def log_posterior(x: np.ndarray) -> np.ndarray:
        return log_softmax(log_density(x) + log_prior, axis=1)

    return ClassSource(log_prior, draw, log_posterior)


def with_flips(source: ClassSource, flips: float) -> ClassSource:
    """The same, but that a share ``flips`` of the labels is drawn anew from the prior."""
    if flips == 0:
        return source

    def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
        x, y = source.draw(rng, rows)
        other = rng.choice(len(source.log_prior), size=rows, p=np.exp(source.log_prior))
        return x, np.where(rng.random(rows) < flips, other, y)

    def log_posterior(x: np.ndarray) -> np.ndarray:
        clean = np.exp(source.log_posterior(x))
        return np.log((1 - flips) * clean + flips * np.exp(source.log_prior))

    return ClassSource(source.log_prior, draw, log_posterior)


def known_classes(
    source: ClassSource, n: int, d: int, *, seed: int, truth_rows: int = TRUTH_ROWS
) -> Known:
    """Draw ``n`` rows, hide their coordinates in ``d`` dimensions, find the truth."""
    sample, truth = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(sample)
    x, y = source.draw(rng, n)
    log_posterior = source.log_posterior(x)

    def terms(stream: np.random.Generator, rows: int) -> np.ndarray:
        fresh, _ = source.draw(stream, rows)
        return posterior_information(source.log_posterior(fresh), source.log_prior)

    nats, stderr = average(terms, rows=truth_rows, seed=truth)
    return Known(
        hidden_among(x, d, rng),
        y.astype(np.int64),
        nats,
        stderr,
        pointwise=at_class(log_posterior, source.log_prior, y),
    )


def hidden_among(
    x: Float[np.ndarray, "n k"], d: int, rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Append d - k standard normal coordinates and rotate all of them at random.

    The information then lies along no axis. One dimension stays as it is.
    """
    n, k = x.shape
    if d == 1:
        return x
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return np.concatenate([x, rng.normal(size=(n, d - k))], axis=1) @ rotation


def skewed_prior(n_classes: int, ratio: float) -> Float[np.ndarray, " c"]:
    """A geometric prior whose likeliest class is ``ratio`` times its rarest."""
    weight = np.geomspace(ratio, 1.0, n_classes)
    return weight / weight.sum()


_MOST_TERMS = 4_000_000
"""Parts times rows that are in memory at once."""


@dataclass(frozen=True)
class Mixture:
    """Densities given each class: spherical normals, mixed with weights of the class."""

    centres: Float[np.ndarray, "m k"]
    sd: Float[np.ndarray, " m"]
    weights: Float[np.ndarray, "m c"]
    """Probability of each part given each class; columns add up to 1."""

    def log_likelihood(self, x: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c"]:
        """Log p(x|y) up to a constant that is the same for all classes."""
        k = self.centres.shape[1]
        out = []
        step = max(1, _MOST_TERMS // len(self.sd))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            square = (part**2).sum(1)[:, None] - 2 * part @ self.centres.T
            square = square + (self.centres**2).sum(1)
            log_density = -0.5 * square / self.sd**2 - k * np.log(self.sd)
            most = log_density.max(1, keepdims=True)
            mass = np.exp(log_density - most) @ self.weights
            out.append(np.log(np.maximum(mass, 1e-300)) + most)
        return np.concatenate(out)
