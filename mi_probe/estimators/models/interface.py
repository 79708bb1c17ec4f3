"""What a conditional model is to the engine: rows in, a path of predictions out.

A model of discrete Y turns x into log q(y|x) of every class, up to a constant an example.
A model of continuous Y turns a pair into log q(y|x) - log q(y). Either gives a *path*: one
prediction for each setting worth trying (a ridge, a number of components), by a name that
is the same whatever the rows, so that other rows can choose.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.core.targets import log_prior_of
from mi_probe.hidden import HiddenStates


@dataclass(frozen=True)
class ClassRows:
    """Examples of a discrete Y; vectors have columns of mean 0 and spread 1."""

    x: np.ndarray | HiddenStates
    y: Int[np.ndarray, " n"]
    log_prior: Float[np.ndarray, " c"]
    """log p(y) of these rows, with half a row more a class."""

    @classmethod
    def of(
        cls, x: np.ndarray | HiddenStates, y: Int[np.ndarray, " n"], n_classes: int
    ) -> "ClassRows":
        """These rows, with their prior."""
        return cls(x, y, log_prior_of(np.bincount(y, minlength=n_classes)))

    def __len__(self) -> int:
        return len(self.y)

    @property
    def n_classes(self) -> int:
        """Classes that occur anywhere, here or not."""
        return len(self.log_prior)

    @property
    def present(self) -> Int[np.ndarray, " p"]:
        """The classes that have rows here."""
        return np.unique(self.y)

    @property
    def vectors(self) -> Float[np.ndarray, "n d"]:
        """x, of a model that takes no sequences."""
        assert isinstance(self.x, np.ndarray)
        return self.x

    def all_classes(self, scores: Float[np.ndarray, "m p"]) -> Float[np.ndarray, "m c"]:
        """Scores of the present classes beside the prior of those without rows here."""
        full = np.tile(self.log_prior, (len(scores), 1))
        full[:, self.present] = scores
        return full


@dataclass(frozen=True)
class ScoreRows:
    """Examples of a continuous Y, as normal scores column by column."""

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "n k"]

    def __len__(self) -> int:
        return len(self.y)


# Of what a fit was given: vectors, or `HiddenStates` where it takes those.
PredictClasses: TypeAlias = Callable[[Any], Float[np.ndarray, "m c"]]
PredictScores: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class FitPath:
    """What one fit predicts, by setting."""

    predictions: Mapping[str, Callable[..., np.ndarray]]
    """The log q(y|x) of every class, up to a constant, or log q(y|x) - log q(y) of pairs:
    `PredictClasses` or `PredictScores`."""
    converged: bool = True
    """False where training was still improving when it was stopped."""


def of_coordinates(
    coordinates: Callable[[Any], np.ndarray], fit: PredictClasses
) -> PredictClasses:
    """The prediction of x by a fit to some coordinates of it."""
    return lambda x: fit(coordinates(x))


FitClasses: TypeAlias = Callable[[ClassRows, ClassRows, np.random.Generator], FitPath]
FitScores: TypeAlias = Callable[[ScoreRows, ScoreRows, np.random.Generator], FitPath]
"""Fits a model: a frozen dataclass whose fields are its settings, called with rows to fit,
of two classes or more and with a column that varies; other rows, which may stop a training
and do nothing else; and a generator of everything that is drawn."""
