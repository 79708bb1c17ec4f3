"""The training problems of one target, a fold each: which start, which kind of critic."""

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences, as_tensor
from mi_probe.estimators.engine.auto import cross_fits
from mi_probe.estimators.engine.stack import Chosen, stacked
from mi_probe.estimators.models.normal_scores import varying
from mi_probe.estimators.scores.fits import ScoreFits
from mi_probe.estimators.scores.fits import stacked as stacked_scores
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
from mi_probe.estimators.variational.starts import ClassStart
from mi_probe.estimators.variational.token_start import token_starts
from mi_probe.hidden import HiddenStates

Problem: TypeAlias = ClassProblem | PairProblem


@runtime_checkable
class StartSettings(CriticSettings, Protocol):
    """What is asked of the estimator here."""

    @property
    def start(self) -> tuple[str, ...]:
        """Members that T_0 is made of, of few classes."""
        ...


class FoldProblems:
    """The problems of one X and Y: what all levels of the learning curve share."""

    def __init__(
        self,
        settings: "StartSettings",
        x: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes | Scores | TokenSequences,
        split: Split,
    ) -> None:
        self._settings, self._x, self._target, self._split = settings, x, target, split
        self._tensors = x if isinstance(x, HiddenStates) else as_tensor(_standardised(x))

    @property
    def has_levels(self) -> bool:
        """Whether there are problems below `TOP`: of classes."""
        return isinstance(self._target, Classes)

    def at(self, level: int = TOP) -> Iterator[Problem]:
        """The problem of each held-out fold in turn, at a level of the learning curve."""
        target, split = self._target, self._split
        if not isinstance(target, Classes):
            yield from self._scores() if isinstance(target, Scores) else self._tokens()
            return
        for k, start in enumerate(self._class_starts(target, level)):
            train, test = split.learns(k, level=level), split.fold == k
            yield ClassProblem(self._settings, self._tensors, target, train, test, start)

    def _class_starts(self, target: Classes, level: int) -> Iterator[ClassStart]:
        split = self._split
        if target.n_classes <= MANY:
            yield from self._member_starts(target, level)
            return
        used, views = split.learns(level=level), views_of(self._x)
        fits = {name: NestedMeans(x, split.fold, used) for name, x in views.items()}
        yield from many_class_starts(fits, target, split, level)

    def _member_starts(self, target: Classes, level: int) -> Iterator[ClassStart]:
        """A stack of the named members and no others: of X, or of each pooling of Z."""
        split, settings = self._split, self._settings
        fits = {
            name if view == "x" else f"{name}, {view}": fit
            for name, x in views_of(self._x).items()
            for view, fit in cross_fits(x, target, split, settings.device).items()
        }
        # A hint is all that is tried: every place of these members' paths.
        hint = {
            f"{view}:{member}": range(len(path))
            for view, fit in fits.items()
            for member, path in fit.members.items()
            if member in settings.start
        }
        hints = [hint] * split.n_folds
        for k in range(split.n_folds):
            chosen = stacked(fits, target, split, level, k, hints)
            learned = split.learns(k, level=level)[split.fold != k]
            yield _start_of(chosen, chosen.train[learned])

    def _scores(self) -> Iterator[Problem]:
        target, fold = self._target, self._split.fold
        assert isinstance(target, Scores)
        y = varying(target.values)
        poolings = {name: varying(view) for name, view in views_of(self._x).items()}
        split = self._split
        fits = {name: ScoreFits(x, y, split) for name, x in poolings.items() if x.any()}
        for k in range(self._split.n_folds):
            if not fits:  # constant states
                yield self._pairs(k, CopulaPairs.of_nothing(y, fold, k), self._tensors)
                continue
            begun = stacked_scores(fits, k)
            pairs = CopulaPairs(begun.rows, begun.name)
            is_sequence = isinstance(self._x, HiddenStates)
            x = self._tensors if is_sequence else pairs.x(begun.rows)
            yield self._pairs(k, pairs, x)

    def _tokens(self) -> Iterator[Problem]:
        target, split = self._target, self._split
        assert isinstance(target, TokenSequences)
        views = views_of(self._x)
        fits = {name: NestedMeans(view, split.fold) for name, view in views.items()}
        for k, start in enumerate(token_starts(fits, target, split)):
            yield self._pairs(k, TokenPairs(start), self._tensors)

    def _pairs(
        self, k: int, pairs: CopulaPairs | TokenPairs, x: Tensor | HiddenStates
    ) -> PairProblem:
        train, test = self._split.rows(k), self._split.held_out(k)
        return PairProblem(self._settings, x, train, test, pairs)


def _start_of(chosen: Chosen, train: Float[np.ndarray, "n c"]) -> ClassStart:
    weights = {name: w for name, w in chosen.record["weights"].items() if w > 1e-3}
    return ClassStart(train, chosen.test, chosen.log_prior, weights)


def _standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns of mean 0 and spread 1, so that float32 keeps the digits that vary."""
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)
