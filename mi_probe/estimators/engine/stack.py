r"""`auto` for classes: a cross-fitted convex stack.

For each pair of folds {j, k} every member (`members`) is fitted without both, and
scores both (`cross_fits`). Where k is held out, those scores of the other folds choose each
member's place on its path, its temperature and the weights of the stack; the held-out rows
get the average of the fits without j and k over all j. So no label of fold k trains,
chooses or weighs anything that scores fold k. With T the stack's log ratio log q(y|x)/q(y),
a held-out term is

.. math:: i(y; x) = T(x, y) - \log \sum_{y'} p(y') e^{T(x, y')}

with p(y) the shares of all rows, those of the ceiling H(Y): exactly 0 where the stack
knows nothing.

All of it is repeated with a quarter and a half of the rows (`core.learning_curve`). In
many dimensions the network is costly; there refined directions are tried for fold k only if
the other folds' rows say that more than class means differ. So are mixtures and trees in
any number of dimensions, and on more than a quarter of the rows only if they add something
there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax, logsumexp

from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.cross_fits import ViewFits
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.mixing import (
    best_temperature,
    log_likelihood,
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
    tempered,
)

_EVIDENCE = 3.0
"""Nats of total log likelihood that a stack must win over the prior to be believed."""
_BEND = 2e-3
"""Nats by which other members must add to those of means before a costly one is tried, and
a piloted one to all others."""
_ALMOST = 0.95
"""Share of the best member's gain from which a piloted one is about as good."""
_PILOT_ROWS = 100
"""Rows of a pilot, a quarter of all, below which nothing that needs one is tried."""
_CELLS = 200_000
"""Rows times classes on which temperatures and weights are found, at most."""
_FEWEST = 1000
"""Rows that are used whatever the number of classes."""
_PLACE_ROWS = 2000
"""Rows on which a member's place on its path is chosen, about."""

_MEANS = {name for name, member in MEMBERS.items() if member.finds_means}

Hint: TypeAlias = Mapping[str, Sequence[int]]
"""Places to try by member: ``view:member``."""


@dataclass(frozen=True)
class Chosen:
    """One held-out fold's stack."""

    train: Float[np.ndarray, "n c"]
    """log q(y|x) - log q(y) of the rows outside, by fits that saw neither them nor k."""
    test: Float[np.ndarray, "m c"]
    """log q(y|x) - log q(y) of the held-out rows."""
    log_prior: Float[np.ndarray, " c"]
    """log q(y), of the rows outside the fold."""
    record: dict[str, Any]
    """Places, temperatures and weights."""


@dataclass(frozen=True, eq=False)
class FoldStacks:
    """The stack of every held-out fold in turn, and what they say of all rows."""

    folds: Sequence[Chosen]
    target: Classes
    split: Split

    @cached_property
    def _ratios(self) -> Float[np.ndarray, "n c"]:
        found = np.empty((len(self.split), self.target.n_classes))
        for k, chosen in enumerate(self.folds):
            found[self.split.held_out(k)] = chosen.test
        return found

    @cached_property
    def terms(self) -> Float[np.ndarray, " n"]:
        """Held-out i(y; x), in nats."""
        return held_out_terms(self._ratios, self.target.index, self.target.log_prior)

    @property
    def nats(self) -> float:
        """Their mean."""
        return float(self.terms.mean())

    @property
    def records(self) -> list[dict[str, Any]]:
        """What was chosen for each fold."""
        return [chosen.record for chosen in self.folds]

    @property
    def log_posterior(self) -> Float[np.ndarray, "n c"]:
        """Held-out log q(y|x), with the shares of all rows, as the terms have them."""
        return log_softmax(self._ratios + self.target.log_prior, axis=1)

    @property
    def inner(self) -> Float[np.ndarray, "k n c"]:
        """The same of all rows by held-out fold; see `Estimate.inner`."""
        found = np.empty((len(self.folds), *self._ratios.shape), dtype=np.float32)
        for k, chosen in enumerate(self.folds):
            ratio = self._ratios.copy()
            ratio[self.split.fold != k] = chosen.train
            found[k] = log_softmax(ratio + self.target.log_prior, axis=1)
        return found


def stacked(
    fits: Mapping[str, ViewFits],
    target: Classes,
    split: Split,
    level: int,
    k: int,
    hints: Sequence[Hint] | None = None,
) -> Chosen:
    """The stack of all members of all views for one held-out fold.

    Args:
        fits: the views' cross-fits, by name.
        target: the classes.
        split: which rows learn and which are held out.
        level: of the learning curve.
        k: the fold that is held out.
        hints: for each fold the places to try, by member; all by default.
    """
    train, test = np.flatnonzero(split.fold != k), split.held_out(k)
    stack = _gathered(fits, target, split, level, k, hints)
    mixture, record = stack.combined()
    record = {"n_train": stack.rows, "n_test": len(test), **record}
    ratio, log_prior = mixture - stack.log_prior, stack.log_prior
    return Chosen(ratio[train], ratio[test], log_prior, record)


def fold_stacks(
    fits: Mapping[str, ViewFits],
    target: Classes,
    split: Split,
    level: int = TOP,
    hints: Sequence[Hint] | None = None,
) -> FoldStacks:
    """`stacked` for every fold in turn."""
    folds = [stacked(fits, target, split, level, k, hints) for k in range(split.n_folds)]
    return FoldStacks(folds, target, split)


def _gathered(
    fits: Mapping[str, ViewFits],
    target: Classes,
    split: Split,
    level: int,
    k: int,
    hints: Sequence[Hint] | None,
) -> "_Stack":
    """The members that are worth a try, each at its best place."""
    usable = split.rows(k, level=level)
    log_prior = target.log_prior_among(usable)
    stack = _Stack(log_prior, target.index, usable, len(split))
    pilot: _Stack | None = None
    for view, fit in fits.items():
        for name, path in fit.members.items():
            known = f"{view}:{name}"
            if hints is not None and known not in hints[k]:
                continue
            if name in MEMBERS and MEMBERS[name].late(fit.dimensions) and not stack.bends:
                continue
            if hints is None and name in MEMBERS and MEMBERS[name].piloted:
                few = np.count_nonzero(split.learns(k, level=0)) < _PILOT_ROWS
                if few or not split.has_curve:
                    continue
                # The same fold is held out of the pilot.
                if level and pilot is None:
                    pilot = _gathered(fits, target, split, 0, k, None)
                if pilot is not None and not pilot.gains_by(known):
                    continue
            fitted = _asked(known, len(path), hints)
            tried = fitted if hints is None else hints[k][known]
            stack.add(known, fit.scores(name, level, k, fitted), path, fitted, tried)
    return stack


def _asked(known: str, length: int, hints: Sequence[Hint] | None) -> list[int]:
    """The places that any fold tries, since one fit serves several folds."""
    if hints is None:
        return list(range(length))
    return sorted({place for hint in hints for place in hint.get(known, ())})


class _Stack:
    """Calibrated members of one held-out fold, weighed on rows outside it."""

    def __init__(
        self,
        log_prior: Float[np.ndarray, " c"],
        y: Int[np.ndarray, " n"],
        usable: Int[np.ndarray, " m"],
        n: int,
    ) -> None:
        self.log_prior, self.rows = log_prior, len(usable)
        rows = max(_FEWEST, _CELLS // len(log_prior))
        self._weigh = usable[:: max(1, len(usable) // rows)]
        self._y = y[self._weigh]
        self._members = {"prior": np.broadcast_to(log_prior, (n, len(log_prior)))}
        self._record: dict[str, dict[str, Any]] = {}

    def add(
        self,
        name: str,
        scores: Float[np.ndarray, "p n c"],
        path: Sequence[dict[str, float]],
        fitted: Sequence[int],
        tried: Iterable[int],
    ) -> None:
        """The best of the places tried, of those fitted on a member's path; tempered."""
        found = dict(zip(fitted, scores, strict=True))
        likelihood = {p: self._tempered_likelihood(found[p]) for p in tried}
        place = max(likelihood, key=lambda p: likelihood[p])
        chosen = found[place].astype(np.float64)
        temperature = best_temperature(chosen[self._weigh], self.log_prior, self._y)
        self._members[name] = tempered(chosen, self.log_prior, temperature)
        self._record[name] = {
            **path[place],
            "place": place,
            "temperature": temperature,
            "gain": self._gain(self._members[name]),
        }

    @property
    def bends(self) -> bool:
        """Whether anything but differences of means shows so far."""
        evidence = {n: q[self._weigh] for n, q in self._members.items() if n != "prior"}
        means = [q for n, q in evidence.items() if n.split(":")[1] in _MEANS]
        least = [self._product_likelihood(q) for q in (means, list(evidence.values()))]
        return least[1] - least[0] > _BEND

    def gains_by(self, name: str) -> bool:
        """Whether this member adds to all others, or is about as good as the best alone.

        Few rows make one Gaussian of a mixture: it then adds nothing that more rows would
        not make it add.
        """
        if name not in self._record:
            return False
        most = max(record["gain"] for record in self._record.values())
        if self._record[name]["gain"] > max(_ALMOST * most, _BEND):
            return True
        every = {n: q[self._weigh] for n, q in self._members.items() if n != "prior"}
        rest = [q for n, q in every.items() if n != name]
        gain = self._product_likelihood(list(every.values()))
        return gain - self._product_likelihood(rest) > _BEND

    def combined(self) -> tuple[Float[np.ndarray, "n c"], dict[str, Any]]:
        """The mixture of all members and of the product of their evidence."""
        members, prior = dict(self._members), self._members["prior"]
        evidence = [q for name, q in members.items() if name != "prior"]
        if len(evidence) > 1:
            powers = log_linear_weights(
                [q[self._weigh] for q in evidence], self.log_prior, self._y
            )
            members["product"] = pooled(evidence, self.log_prior, powers)
            for name, power in zip(self._record, powers, strict=True):
                self._record[name]["power"] = float(power)
        weights = mixture_weights([q[self._weigh] for q in members.values()], self._y)
        mixture = mix(list(members.values()), weights)
        won = self.rows * self._gain(mixture)
        believed = max(0.0, 1 - _EVIDENCE / max(won, 1e-9))
        mixture = mix([prior, mixture], np.array([1 - believed, believed]))
        held = {
            name: float(believed * weight + (1 - believed) * (name == "prior"))
            for name, weight in zip(members, weights, strict=True)
        }
        return mixture, {"members": self._record, "weights": held}

    def _tempered_likelihood(self, scores: Float[np.ndarray, "n c"]) -> float:
        """What a place reaches once it is tempered: what is shrunk is not calibrated."""
        every = max(1, len(self._weigh) // _PLACE_ROWS)
        rows, y = self._weigh[::every], self._y[::every]
        asked = scores[rows].astype(np.float64)
        temperature = best_temperature(asked, self.log_prior, y)
        return log_likelihood(tempered(asked, self.log_prior, temperature), y)

    def _gain(self, log_q: Float[np.ndarray, "n c"]) -> float:
        prior = log_likelihood(self._members["prior"][self._weigh], self._y)
        return log_likelihood(log_q[self._weigh], self._y) - prior

    def _product_likelihood(self, evidence: list[Float[np.ndarray, "w c"]]) -> float:
        if not evidence:
            return log_likelihood(self._members["prior"][self._weigh], self._y)
        powers = log_linear_weights(evidence, self.log_prior, self._y)
        return log_likelihood(pooled(evidence, self.log_prior, powers), self._y)


def held_out_terms(
    log_ratio: Float[np.ndarray, "m c"],
    y: Int[np.ndarray, " m"],
    log_prior: Float[np.ndarray, " c"],
) -> Float[np.ndarray, " m"]:
    """T(x, y) minus the log of its exponential's mean over classes, in nats."""
    own = log_ratio[np.arange(len(y)), y]
    return own - logsumexp(log_ratio + log_prior, axis=1)
