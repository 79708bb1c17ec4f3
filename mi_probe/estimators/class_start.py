"""Where a critic of classes starts: stacked closed-form posteriors, cross-fitted.

A neural critic that starts from zero has to learn again what a Gaussian classifier knows
in closed form, and in 768 dimensions it cannot from a few thousand rows. So every critic
here is T(x, y) = T_0(x, y) + residual, where T_0 = log q_0(y|x)/p(y) stacks discriminants
over the views of x, and the residual starts at zero.

Trained on rows that T_0 has seen, a residual would only learn T_0's overconfidence. So
T_0 of a training row comes from fits that did not see it: for folds j and k, the fit on
all but {j, k} predicts j where k is held out, and k where j is. The fold that is reported
is seen neither by a member nor by the choice of shrinkage, temperature and weights.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import blake2b
from itertools import combinations
from operator import add
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.gaussian_discriminant import (
    LINEAR_SHRINKAGE,
    Linear,
    Moments,
    Quadratic,
    WithinClass,
    quadratic_grid,
)
from mi_probe.estimators.logistic import INVERSE_RIDGES, logistic_path
from mi_probe.estimators.stacking import (
    best_temperature,
    log_likelihood,
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
    tempered,
)
from mi_probe.estimators.targets import Classes

Family: TypeAlias = Literal["linear", "quadratic", "logistic"]

_WHITENING = 0.3
"""Shrinkage of the covariance that whitens for the quadratic and logistic fits."""
_MEMORY = 512 * 2**20
"""Bytes of fits that are kept for the next estimate on the same vectors."""


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
    families: Sequence[Family],
) -> Iterator[ClassStart]:
    """T_0 for each fold in turn."""
    fits = {
        name: _cached_fits(x, target, fold)
        for name, x in views.items()
        if families and not _is_constant(x)
    }
    for held_out in range(int(fold.max()) + 1):
        train, test = fold != held_out, fold == held_out
        counts = np.bincount(target.index[train], minlength=target.n_classes) + 0.5
        stack = _Stack(target.index[train], np.log(counts / counts.sum()), int(test.sum()))
        for view, fit in fits.items():
            stack.add_view(view, fit, held_out, families)
        yield stack.combined()


class _Stack:
    """Calibrated members on the training rows (out of fold) and on the held-out rows."""

    def __init__(
        self, y: Int[np.ndarray, " n"], log_prior: Float[np.ndarray, " c"], n_test: int
    ) -> None:
        self._y, self._log_prior = y, log_prior
        self._names = ["prior"]
        self._inner = [np.tile(log_prior, (len(y), 1))]
        self._outer = [np.tile(log_prior, (n_test, 1))]
        self._best_of_view: list[int] = []

    def add_view(
        self, view: str, fit: "_Fits", held_out: int, families: Sequence[Family]
    ) -> None:
        """The best fit of each family on this view, calibrated."""
        likelihoods = []
        for family in families:
            candidates = fit.out_of_fold(held_out, family)
            place = int(
                np.argmax(
                    [
                        log_likelihood(tempered(scores, self._log_prior, 1.0), self._y)
                        for scores in candidates
                    ]
                )
            )
            inner = candidates[place]
            temperature = best_temperature(inner, self._log_prior, self._y)
            outer = fit.final(held_out, family, place)
            self._names.append(f"{view}:{family}:{place}")
            self._inner.append(tempered(inner, self._log_prior, temperature))
            self._outer.append(tempered(outer, self._log_prior, temperature))
            likelihoods.append(log_likelihood(self._inner[-1], self._y))
        first = len(self._names) - len(families)
        self._best_of_view.append(first + int(np.argmax(likelihoods)))

    def combined(self) -> ClassStart:
        """The mixture of all members, and of their product where views can add up."""
        if len(self._best_of_view) > 1:
            inner = [self._inner[place] for place in self._best_of_view]
            outer = [self._outer[place] for place in self._best_of_view]
            powers = log_linear_weights(inner, self._log_prior, self._y)
            self._names.append("product of views")
            self._inner.append(pooled(inner, self._log_prior, powers))
            self._outer.append(pooled(outer, self._log_prior, powers))
        weights = mixture_weights(self._inner, self._y)
        return ClassStart(
            mix(self._inner, weights) - self._log_prior,
            mix(self._outer, weights) - self._log_prior,
            self._log_prior,
            {n: float(w) for n, w in zip(self._names, weights, strict=True) if w > 1e-3},
        )


class _Fits:
    """Fits of every family to one view, for sets of left-out folds."""

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
        self._grid = quadratic_grid(x.shape[1])
        self._scores: dict[tuple[Family, int], np.ndarray] = {}
        self._finals: dict[tuple[int, Family, int], np.ndarray] = {}

    @property
    def bytes_held(self) -> int:
        """What keeping this costs."""
        arrays = [
            self._x,
            *self._scores.values(),
            *self._finals.values(),
            *(m.squares for m in self._moments),
        ]
        return sum(array.nbytes for array in arrays)

    def out_of_fold(self, held_out: int, family: Family) -> list[Float[np.ndarray, "m c"]]:
        """Scores of the rows outside a fold, from fits without it and without them."""
        if (family, held_out) not in self._scores:
            self._fit_pairs(family)
        scores = self._scores[family, held_out]
        return list(scores[:, self._fold != held_out].astype(np.float64))

    def final(self, held_out: int, family: Family, place: int) -> Float[np.ndarray, "m c"]:
        """Scores of a fold's rows by one fit of the path to all other rows."""
        key = (held_out, family, place)
        if key not in self._finals:
            [fit] = self._fit({held_out}, family, place)
            self._finals[key] = fit(self._x[self._fold == held_out])
        return self._finals[key]

    def _fit_pairs(self, family: Family) -> None:
        shape = (self._path_length(family), len(self._x), self._target.n_classes)
        for k in range(self._n_folds):
            self._scores[family, k] = np.zeros(shape, dtype=np.float32)
        for j, k in combinations(range(self._n_folds), 2):
            rows_j, rows_k = self._fold == j, self._fold == k
            for place, fit in enumerate(self._fit({j, k}, family)):
                self._scores[family, k][place, rows_j] = fit(self._x[rows_j])
                self._scores[family, j][place, rows_k] = fit(self._x[rows_k])

    def _path_length(self, family: Family) -> int:
        return {
            "linear": len(LINEAR_SHRINKAGE),
            "quadratic": len(self._grid),
            "logistic": len(INVERSE_RIDGES),
        }[family]

    def _fit(
        self, left_out: set[int], family: Family, only: int | None = None
    ) -> Sequence[Linear | Quadratic]:
        """The family's path, or one place of it, fitted without some folds."""
        kept = [m for k, m in enumerate(self._moments) if k not in left_out]
        within = WithinClass(reduce(add, kept))
        places = slice(None) if only is None else slice(only, only + 1)
        if family == "linear":
            return [within.linear(within.whitening(s)) for s in LINEAR_SHRINKAGE[places]]
        rows = ~np.isin(self._fold, list(left_out))
        x, y = self._x[rows], self._target.index[rows]
        whitening = within.whitening(_WHITENING)
        if family == "quadratic":
            return within.quadratics(whitening, x, y, self._grid[places])
        return logistic_path(whitening, x, y, within.log_prior)[places]


# Outlives an estimate, up to `_MEMORY`; what it holds follows from the key alone.
_kept: OrderedDict[bytes, _Fits] = OrderedDict()


def _cached_fits(
    x: Float[np.ndarray, "n d"], target: Classes, fold: Int[np.ndarray, " n"]
) -> _Fits:
    """The fits to these very vectors, classes and folds, made once.

    I(Y;Z) starts from the same views that each I(Y;Z_p) reads alone, and the estimators
    share them, so most fits are wanted several times in a row.
    """
    key = blake2b(np.ascontiguousarray(x).tobytes(), digest_size=16)
    key.update(target.index.tobytes() + fold.tobytes() + str(x.shape).encode())
    name = key.digest()
    if name in _kept:
        _kept.move_to_end(name)
        return _kept[name]
    _kept[name] = _Fits(x, target, fold)
    while len(_kept) > 1 and sum(fit.bytes_held for fit in _kept.values()) > _MEMORY:
        _kept.popitem(last=False)
    return _kept[name]


def _is_constant(x: Float[np.ndarray, "n d"]) -> bool:
    """True where every row is the same but for rounding (the first token of a prompt)."""
    return bool(np.ptp(x, axis=0).max() <= 1e-6 * max(np.abs(x).max(), 1e-30))
