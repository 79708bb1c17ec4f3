"""Where a critic of classes starts: the stacked closed-form posterior, cross-fitted.

A neural critic that starts from zero has to learn again what a Gaussian classifier knows
in closed form, and in 768 dimensions it cannot from a few thousand rows. So every critic
here is T(x, y) = T_0(x, y) + residual, T_0 = log q_0(y|x)/p(y) of the stack of linear and
quadratic discriminants over the views of x, and the residual starts at zero.

Trained on rows that T_0 has seen, a residual would only learn T_0's overconfidence. So
T_0 of a training row comes from discriminants that did not see it: for folds j and k, the
fit on all but {j, k} predicts j where k is held out and k where j is. The fold that is
reported is seen neither by a member nor by the choice of shrinkage, temperature, weights.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import add

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.gaussian_discriminant import (
    LINEAR_SHRINKAGE,
    Linear,
    Moments,
    Quadratic,
    WithinClass,
)
from mi_probe.estimators.stacking import (
    best_temperature,
    log_likelihood,
    mix,
    mixture_weights,
    tempered,
)
from mi_probe.estimators.targets import Classes

_QUADRATIC_WHITENING = 0.2
"""Shrinkage of the covariance that whitens for the quadratic discriminants."""


@dataclass(frozen=True)
class ClassStart:
    """T_0 for one held-out fold, as log q_0(y|x) - log p(y)."""

    train: Float[np.ndarray, "n c"]
    """Of the rows outside the fold, each by members that did not see it."""
    test: Float[np.ndarray, "m c"]
    """Of the held-out rows, by members that saw all others."""
    log_prior: Float[np.ndarray, " c"]
    """log p(y) of the rows outside the fold."""
    chosen: dict[str, float]
    """The members' weights in the stack."""


def class_starts(
    views: dict[str, Float[np.ndarray, "n d"]],
    target: Classes,
    fold: Int[np.ndarray, " n"],
) -> Iterator[ClassStart]:
    """T_0 for each fold in turn."""
    n_folds = int(fold.max()) + 1
    fits = {name: _Discriminants(x, target, fold) for name, x in views.items()}
    for held_out in range(n_folds):
        train = fold != held_out
        y = target.index[train]
        counts = np.bincount(y, minlength=target.n_classes) + 0.5
        log_prior = np.log(counts / counts.sum())
        names = ["prior"]
        members = [np.tile(log_prior, (int(train.sum()), 1))]
        tests = [np.tile(log_prior, (int((~train).sum()), 1))]
        for view, fit in fits.items():
            for family, candidates in fit.out_of_fold(held_out).items():
                key, inner = max(
                    candidates.items(),
                    key=lambda item: log_likelihood(
                        tempered(item[1][train], log_prior, 1.0), y
                    ),
                )
                temperature = best_temperature(inner[train], log_prior, y)
                names.append(f"{view}:{family}:{key}")
                members.append(tempered(inner[train], log_prior, temperature))
                tests.append(
                    tempered(fit.final(held_out, family, key), log_prior, temperature)
                )
        weights = mixture_weights(members, y)
        yield ClassStart(
            mix(members, weights) - log_prior,
            mix(tests, weights) - log_prior,
            log_prior,
            {name: float(w) for name, w in zip(names, weights, strict=True) if w > 1e-3},
        )


class _Discriminants:
    """Every linear and quadratic discriminant of one view, fitted on sets of folds."""

    def __init__(
        self, x: Float[np.ndarray, "n d"], target: Classes, fold: Int[np.ndarray, " n"]
    ) -> None:
        # Centred and scaled for its digits only; the fits do not depend on either.
        centre, scale = x.mean(0), x.std(0)
        self._x = (x - centre) / np.where(scale > 0, scale, 1)
        self._target, self._fold = target, fold
        self._n_folds = int(fold.max()) + 1
        self._moments = [
            Moments.of(self._x[fold == k], target.index[fold == k], target.n_classes)
            for k in range(self._n_folds)
        ]
        self._pairs: dict[int, dict[str, dict[Hashable, np.ndarray]]] = {}

    def out_of_fold(
        self, held_out: int
    ) -> dict[str, dict[Hashable, Float[np.ndarray, "n c"]]]:
        """Scores of all rows outside a fold, from fits without it and without them."""
        if not self._pairs:
            self._fit_pairs()
        return self._pairs[held_out]

    def _fit_pairs(self) -> None:
        shape = (len(self._x), self._target.n_classes)
        for j, k in combinations(range(self._n_folds), 2):
            rows_j, rows_k = self._fold == j, self._fold == k
            for family, key, fit in self._fit({j, k}):
                for held_out, rows in ((k, rows_j), (j, rows_k)):
                    families = self._pairs.setdefault(held_out, {})
                    scores = families.setdefault(family, {}).setdefault(
                        key, np.zeros(shape)
                    )
                    scores[rows] = fit(self._x[rows])

    def final(self, held_out: int, family: str, key: Hashable) -> Float[np.ndarray, "m c"]:
        """Scores of the held-out rows, by the chosen fit on all other rows."""
        rows = self._fold == held_out
        for _, found, fit in self._fit({held_out}, family):
            if found == key:
                return fit(self._x[rows])
        raise AssertionError(f"no {family} discriminant {key}")

    def _fit(
        self, left_out: set[int], only: str | None = None
    ) -> Iterator[tuple[str, Hashable, Linear | Quadratic]]:
        kept = [m for k, m in enumerate(self._moments) if k not in left_out]
        within = WithinClass(reduce(add, kept))
        if only != "quadratic":
            for shrinkage in LINEAR_SHRINKAGE:
                yield "linear", shrinkage, within.linear(within.whitening(shrinkage))
        if only != "linear":
            rows = ~np.isin(self._fold, list(left_out))
            path: Callable = within.quadratic_path
            for key, fit in path(
                within.whitening(_QUADRATIC_WHITENING),
                self._x[rows],
                self._target.index[rows],
            ).items():
                yield "quadratic", key, fit
