"""The training problems of one target, a fold each: which start, which kind of critic."""

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.class_start import Family, class_starts
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


def fold_problems(
    settings: "StartSettings",
    x: Float[np.ndarray, "n d"] | HiddenStates,
    target: Classes | Scores | TokenSequences,
    fold: Int[np.ndarray, " n"],
) -> Iterator[Problem]:
    """The problem of each held-out fold in turn."""
    views = views_of(x) if settings.start else {}
    tensors = x if isinstance(x, HiddenStates) else as_tensor(_standardised(x))
    if isinstance(target, Classes) and target.n_classes <= MANY:
        for k, start in enumerate(class_starts(views, target, fold, settings.start)):
            yield ClassProblem(settings, tensors, target, fold != k, start)
        return
    if isinstance(target, Scores):
        starts = score_starts(views, target.values, fold)
    else:
        fits = {name: NestedMeans(view, fold) for name, view in views.items()}
        if isinstance(target, Classes):
            for k, start in enumerate(many_class_starts(fits, target, fold)):
                yield ClassProblem(settings, tensors, target, fold != k, start)
            return
        starts = token_starts(fits, target, fold)
    for k, start in enumerate(starts):
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        yield PairProblem(settings, tensors, train, test, start)


def _standardised(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns of mean 0 and spread 1, so that float32 keeps the digits that vary."""
    spread = x.std(0)
    return (x - x.mean(0)) / np.where(spread > 0, spread, 1)
