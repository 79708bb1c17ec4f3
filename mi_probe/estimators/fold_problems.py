"""The training problems of one target, a fold each: which start, which kind of critic."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from mi_probe.estimators.auto_classes import cross_fits, stacked
from mi_probe.estimators.class_start import ClassStart, Family, class_starts
from mi_probe.estimators.learning_curve import PARTS
from mi_probe.estimators.many_classes import MANY, NestedMeans, many_class_starts
from mi_probe.estimators.pair_problem import PairProblem
from mi_probe.estimators.problems import ClassProblem, CriticSettings
from mi_probe.estimators.score_start import score_starts
from mi_probe.estimators.states import views_of
from mi_probe.estimators.targets import Classes, Scores, as_tensor
from mi_probe.estimators.token_start import token_starts
from mi_probe.estimators.tokens import TokenSequences
from mi_probe.hidden import HiddenStates

Problem: TypeAlias = ClassProblem | PairProblem


@runtime_checkable
class StartSettings(CriticSettings, Protocol):
    """What is asked of the estimator here."""

    @property
    def start(self) -> tuple[Family, ...]:
        """Fits that T_0 stacks; none to train the network alone."""
        ...


@dataclass(frozen=True)
class Drawn:
    """Which rows are held out together, and which are learned from first."""

    fold: Int[np.ndarray, " n"]
    part: Int[np.ndarray, " n"]
    """The level of the learning curve at which each row is first learned from."""
    seed: int
    group: Int[np.ndarray, " n"] | None = None
    """Which rows are copies of one another, where some are."""

    def used(self, level: int) -> Bool[np.ndarray, " n"]:
        """The rows that are learned from at this level."""
        return self.part <= level


TOP = len(PARTS) - 1
"""The level at which all rows are used."""


def has_levels(
    x: Float[np.ndarray, "n d"] | HiddenStates, target: Classes | Scores | TokenSequences
) -> bool:
    """Whether there are problems below `TOP`: for classes, of vectors if they are few."""
    few = isinstance(target, Classes) and target.n_classes <= MANY
    return isinstance(x, np.ndarray) if few else isinstance(target, Classes)


def fold_problems(
    settings: "StartSettings",
    x: Float[np.ndarray, "n d"] | HiddenStates,
    target: Classes | Scores | TokenSequences,
    drawn: Drawn,
    level: int = TOP,
) -> Iterator[Problem]:
    """The problem of each held-out fold in turn, at a level of the learning curve."""
    tensors = x if isinstance(x, HiddenStates) else as_tensor(_standardised(x))
    fold = drawn.fold
    if isinstance(target, Classes):
        for k, start in enumerate(_class_starts(settings, x, target, drawn, level)):
            train, test = (fold != k) & drawn.used(level), fold == k
            yield ClassProblem(settings, tensors, target, train, test, start)
        return
    views = views_of(x) if settings.start else {}
    if isinstance(target, Scores):
        starts = score_starts(views, target.values, fold)
    else:
        fits = {name: NestedMeans(view, fold) for name, view in views.items()}
        starts = token_starts(fits, target, fold)
    for k, start in enumerate(starts):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        yield PairProblem(settings, tensors, train, test, start)


def _class_starts(
    settings: "StartSettings",
    x: Float[np.ndarray, "n d"] | HiddenStates,
    target: Classes,
    drawn: Drawn,
    level: int,
) -> Iterator[ClassStart]:
    fold, used = drawn.fold, drawn.used(level)
    if isinstance(x, np.ndarray) and settings.start and target.n_classes <= MANY:
        # The stack that `auto` reports, with its very rows: the fits are made once.
        device = settings.device
        fits = cross_fits(x, target, fold, drawn.part, drawn.seed, device)
        for k in range(int(fold.max()) + 1):
            chosen = stacked(fits, target, fold, drawn.part, level, k)
            rows = used[fold != k]
            weights = {name: w for name, w in chosen.record["weights"].items() if w > 1e-3}
            yield ClassStart(chosen.train[rows], chosen.test, chosen.log_prior, weights)
        return
    views = views_of(x) if settings.start else {}
    if target.n_classes > MANY:
        fits = {name: NestedMeans(view, fold, used) for name, view in views.items()}
        yield from many_class_starts(fits, target, fold, used)
    else:
        for k, start in enumerate(class_starts(views, target, fold, settings.start)):
            yield replace(start, train=start.train[used[fold != k]])


def _standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns of mean 0 and spread 1, so that float32 keeps the digits that vary."""
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)
