"""The training problems of one target, a fold each: which start, which kind of critic."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mi_probe.estimators.classes.auto import cross_fits
from mi_probe.estimators.classes.stack import Chosen, stacked
from mi_probe.estimators.continuous.fits import ScoreFits, best_of_poolings
from mi_probe.estimators.continuous.normal_scores import varying
from mi_probe.estimators.protocol.learning_curve import PARTS
from mi_probe.estimators.protocol.states import views_of
from mi_probe.estimators.protocol.targets import Classes, Scores, as_tensor
from mi_probe.estimators.protocol.tokens import TokenSequences
from mi_probe.estimators.sequences.auto import Reading, reading_of
from mi_probe.estimators.variational.many_classes import (
    MANY,
    NestedMeans,
    many_class_starts,
)
from mi_probe.estimators.variational.pair_problem import (
    CopulaPairs,
    PairProblem,
    TokenPairs,
)
from mi_probe.estimators.variational.problems import ClassProblem, CriticSettings
from mi_probe.estimators.variational.starts import ClassStart, no_start
from mi_probe.estimators.variational.token_start import token_starts
from mi_probe.hidden import HiddenStates

Problem: TypeAlias = ClassProblem | PairProblem


@runtime_checkable
class StartSettings(CriticSettings, Protocol):
    """What is asked of the estimator here."""

    @property
    def start(self) -> tuple[str, ...]:
        """What T_0 is made of; nothing to train the network alone."""
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


AUTO = ("auto",)
"""The start that is what `auto` makes of X and Y."""
TOP = len(PARTS) - 1
"""The level at which all rows are used."""


class FoldProblems:
    """The problems of one X and Y: what all levels of the learning curve share."""

    def __init__(
        self,
        settings: "StartSettings",
        x: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes | Scores | TokenSequences,
        drawn: Drawn,
    ) -> None:
        self._settings, self._x, self._target, self._drawn = settings, x, target, drawn
        self._tensors = x if isinstance(x, HiddenStates) else as_tensor(_standardised(x))
        self._reading: Reading | None = None
        self._top: Sequence[Mapping[str, Any]] | None = None

    @property
    def has_levels(self) -> bool:
        """Whether there are problems below `TOP`: of classes."""
        return isinstance(self._target, Classes)

    def at(self, level: int = TOP) -> Iterator[Problem]:
        """The problem of each held-out fold in turn, at a level of the learning curve."""
        target, fold = self._target, self._drawn.fold
        if not isinstance(target, Classes):
            yield from self._scores() if isinstance(target, Scores) else self._tokens()
            return
        for k, start in enumerate(self._class_starts(target, level)):
            train, test = (fold != k) & self._drawn.used(level), fold == k
            yield ClassProblem(self._settings, self._tensors, target, train, test, start)

    def _class_starts(self, target: Classes, level: int) -> Iterator[ClassStart]:
        drawn, settings = self._drawn, self._settings
        fold, used, n_folds = drawn.fold, drawn.used(level), int(drawn.fold.max()) + 1
        if not settings.start and target.n_classes <= MANY:
            yield from (
                no_start(target, (fold != k) & used, fold == k) for k in range(n_folds)
            )
        elif target.n_classes > MANY:
            views = views_of(self._x) if settings.start else {}
            fits = {name: NestedMeans(view, fold, used) for name, view in views.items()}
            yield from many_class_starts(fits, target, fold, used)
        elif settings.start != AUTO:
            yield from self._member_starts(target, level)
        elif isinstance(self._x, HiddenStates):
            yield from self._sequence_starts(self._x, target, level)
        else:
            # The stack that `auto` reports, with its very rows: the fits are made once.
            arguments = fold, drawn.part, drawn.seed, settings.device
            fits = cross_fits(self._x, target, *arguments)
            for k in range(n_folds):
                chosen = stacked(fits, target, fold, drawn.part, level, k)
                yield _started(chosen, chosen.train[used[fold != k]])

    def _member_starts(self, target: Classes, level: int) -> Iterator[ClassStart]:
        """A stack of the named members and no others: of X, or of each pooling of Z."""
        drawn, settings = self._drawn, self._settings
        fold = drawn.fold
        arguments = target, fold, drawn.part, drawn.seed, settings.device
        fits = {
            name if view == "x" else f"{name}, {view}": fit
            for name, x in views_of(self._x).items()
            for view, fit in cross_fits(x, *arguments).items()
        }
        # A hint is all that is tried: every place of these members' paths.
        hint = {
            f"{view}:{member}": range(len(path))
            for view, fit in fits.items()
            for member, path in fit.members.items()
            if member in settings.start
        }
        hints = [hint] * (int(fold.max()) + 1)
        for k in range(len(hints)):
            chosen = stacked(fits, target, fold, drawn.part, level, k, hints)
            yield _started(chosen, chosen.train[drawn.used(level)[fold != k]])

    def _sequence_starts(
        self, z: HiddenStates, target: Classes, level: int
    ) -> Iterator[ClassStart]:
        """What `auto` makes of the whole sequence."""
        drawn = self._drawn
        if self._reading is None:
            arguments = drawn.fold, drawn.part, drawn.seed, self._settings.device
            self._reading = reading_of(z, target, *arguments)
        records: list[Mapping[str, Any]] = []
        for k in range(int(drawn.fold.max()) + 1):
            if level == TOP:
                whole = self._reading.joined(self._reading.stacks(k), TOP, k)
            else:
                assert self._top is not None  # all rows come first
                whole = self._reading.again(level, k, self._top[k])
            records.append(whole.record)
            yield _started(whole, whole.train)
        if level == TOP:
            self._top = records

    def _scores(self) -> Iterator[Problem]:
        target, fold = self._target, self._drawn.fold
        assert isinstance(target, Scores)
        y = varying(target.values)
        poolings = {name: varying(view) for name, view in views_of(self._x).items()}
        fits = {name: ScoreFits(x, y, fold) for name, x in poolings.items() if x.any()}
        for k in range(int(fold.max()) + 1):
            if not fits:  # constant states
                yield self._pairs(k, CopulaPairs.of_nothing(y, fold, k), self._tensors)
                continue
            name, view, start = best_of_poolings(fits, k)
            rows = fits[name].rows(k, start)
            pairs = CopulaPairs(rows, view, used=bool(self._settings.start))
            x = self._tensors if isinstance(self._x, HiddenStates) else pairs.x(rows)
            yield self._pairs(k, pairs, x)

    def _tokens(self) -> Iterator[Problem]:
        target, fold = self._target, self._drawn.fold
        assert isinstance(target, TokenSequences)
        views = views_of(self._x) if self._settings.start else {}
        fits = {name: NestedMeans(view, fold) for name, view in views.items()}
        for k, start in enumerate(token_starts(fits, target, fold)):
            yield self._pairs(k, TokenPairs(start), self._tensors)

    def _pairs(
        self, k: int, pairs: CopulaPairs | TokenPairs, x: Tensor | HiddenStates
    ) -> PairProblem:
        fold = self._drawn.fold
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        return PairProblem(self._settings, x, train, test, pairs)


def _started(chosen: Chosen, train: Float[np.ndarray, "n c"]) -> ClassStart:
    weights = {name: w for name, w in chosen.record["weights"].items() if w > 1e-3}
    return ClassStart(train, chosen.test, chosen.log_prior, weights)


def _standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns of mean 0 and spread 1, so that float32 keeps the digits that vary."""
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)
