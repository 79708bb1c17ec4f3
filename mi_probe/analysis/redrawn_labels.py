"""Y given C, drawn anew and planted: what the conditional randomisation test compares."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax, ndtri

from mi_probe.analysis.regressions import GivenC

_CODES = 8
"""Columns that code Y: classes beyond that many share random codes."""


@runtime_checkable
class Labels(Protocol):
    """A Y whose residual given C can be drawn anew, and planted."""

    def residuals(
        self, n_draws: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "b n k"]:
        """Y - E[Y|C] of the real Y, and of each draw, coded."""
        ...

    def planted(
        self, along: Float[np.ndarray, " n"], rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "n k"], float]:
        """How the residual's mean moves with an effect along a feature, and its nats."""
        ...


@dataclass(frozen=True, eq=False)
class ClassLabels:
    """Classes, and their posterior given C.

    Draws are of independent rows; where rows come in groups, the signs of whole groups'
    residuals are drawn instead.
    """

    index: Int[np.ndarray, " n"]
    log_posterior: Float[np.ndarray, "n c"]
    codes: Float[np.ndarray, "c k"]
    group: Int[np.ndarray, " n"] | None = None

    def residuals(
        self, n_draws: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "b n k"]:
        """Y - E_q[Y|C] of the real classes and of each draw Y' ~ q(y|C), coded."""
        n, c = self.log_posterior.shape
        q = np.exp(self.log_posterior)
        real = self.codes[self.index] - q @ self.codes
        if self.group is not None:
            return _signed(real, n_draws, rng, self.group)
        found = np.empty((n_draws + 1, n, self.codes.shape[1]), dtype=np.float32)
        found[0] = real
        cumulative = q.cumsum(1)
        cumulative /= cumulative[:, -1:]
        for b in range(1, n_draws + 1):
            drawn = (rng.random((n, 1)) >= cumulative).sum(1)
            found[b] = self.codes[np.minimum(drawn, c - 1)] - q @ self.codes
        return found

    def planted(
        self, along: Float[np.ndarray, " n"], rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "n k"], float]:
        """Q tilted by evidence along a feature, for a random direction of classes."""
        classes = rng.normal(size=self.log_posterior.shape[1])
        classes = (classes - classes.mean()) / max(np.linalg.norm(classes), 1e-12)
        q = np.exp(self.log_posterior)
        # An effect of one standard error of its estimate, whatever q is.
        spread = (q @ classes**2 - (q @ classes) ** 2).mean()
        evidence = along[:, None] * classes / np.sqrt(max(spread, 1e-12) * len(q))
        tilted = np.exp(log_softmax(self.log_posterior + evidence, axis=1))
        nats = (tilted * (log_softmax(self.log_posterior + evidence, axis=1))).sum(1)
        nats = nats - (tilted * self.log_posterior).sum(1)
        return (tilted - q) @ self.codes, float(nats.mean())


@dataclass(frozen=True, eq=False)
class ScoreLabels:
    """Real numbers: rank-normal scores, and their regression on C.

    A draw turns the sign of whole rows or groups at random (the wild bootstrap), so that
    it keeps each one's spread; what is tested is the conditional *mean* of the scores.
    """

    values: Float[np.ndarray, "n k"]
    given: GivenC
    group: Int[np.ndarray, " n"] | None = None

    def residuals(
        self, n_draws: int, rng: np.random.Generator
    ) -> Float[np.ndarray, "b n k"]:
        """The residual as it is, then with the signs of whole rows or groups drawn."""
        real = self.given.removed(normal_ranks(self.values))
        groups = np.arange(len(real)) if self.group is None else self.group
        return _signed(real, n_draws, rng, groups)

    def planted(
        self, along: Float[np.ndarray, " n"], rng: np.random.Generator
    ) -> tuple[Float[np.ndarray, "n k"], float]:
        """A shift of the mean along a feature, in a random direction of the columns."""
        residual = self.given.removed(normal_ranks(self.values))
        columns = rng.normal(size=residual.shape[1])
        columns /= np.linalg.norm(columns)
        shift = along[:, None] * columns * residual.std(0) / np.sqrt(len(residual))
        nats = 0.5 * np.log1p((along**2).mean() / len(residual))
        return shift, float(nats)


def normal_ranks(values: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
    """Each column's ranks, as standard normal numbers."""
    return ndtri((values.argsort(0).argsort(0) + 0.5) / len(values))


def class_codes(n_classes: int, rng: np.random.Generator) -> Float[np.ndarray, "c k"]:
    """A column a class (one for two), or a few random ones where classes are many."""
    if n_classes == 2:
        return np.array([[0.0], [1.0]])
    if n_classes <= _CODES:
        return np.eye(n_classes)
    return rng.normal(size=(n_classes, _CODES)) / np.sqrt(_CODES)


def _signed(
    residual: Float[np.ndarray, "n k"],
    n_draws: int,
    rng: np.random.Generator,
    group: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "b n k"]:
    """The residual as it is, then with the signs of whole groups drawn at random."""
    signs = rng.choice([-1.0, 1.0], size=(n_draws + 1, int(group.max()) + 1, 1))
    signs[0] = 1.0
    return (signs[:, group] * residual[None]).astype(np.float32)
