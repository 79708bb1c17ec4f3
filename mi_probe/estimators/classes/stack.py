r"""`auto` for classes on vectors: a cross-fitted convex stack with its learning curve.

For each pair of folds {j, k} every member (`members`) is fitted without both, and
scores both. Where k is held out, those scores of the other folds choose each member's
place on its path, its temperature and the weights of the stack; the held-out rows get the
average of the fits without j and k over all j. So no label of fold k trains, chooses or
weighs anything that scores fold k. With T the stack's log ratio log q(y|x)/q(y), a
held-out term is

.. math:: i(y; x) = T(x, y) - \log \sum_{y'} p(y') e^{T(x, y')}

with p(y) the shares of all rows, those of the ceiling H(Y): exactly 0 where the stack
knows nothing.

All of it is repeated with a quarter and a half of the rows (`protocol.learning_curve`). In
many dimensions the network is costly; there it is tried for fold k only if the other folds'
rows say that more than class means differ. So are mixtures and trees in any number of
dimensions, and on more than a quarter of the rows only if they add something there.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from scipy.special import log_softmax, logsumexp

from mi_probe.estimators.classes.members import MANY, MEMBERS, TREE_LIMIT, Sample, Shared
from mi_probe.estimators.classes.stacking import (
    best_temperature,
    log_likelihood,
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
    tempered,
)
from mi_probe.estimators.classes.whitened import standardised, whitened
from mi_probe.estimators.protocol.targets import Classes

_EVIDENCE = 3.0
"""Nats of total log likelihood that a stack must win over the prior to be believed."""
_BEND = 2e-3
"""Nats by which other members must add to those of means before a costly one is tried, and
a piloted one to all others."""
_PILOT_ROWS = 100
"""Rows of a pilot, a quarter of all, below which nothing that needs one is tried."""
_CELLS = 200_000
"""Rows times classes on which temperatures and weights are found, at most."""
_FEWEST = 1000
"""Rows that are used whatever the number of classes."""

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


@runtime_checkable
class ViewFits(Protocol):
    """One view's cross-fitted members: of vectors here, of tokens in `sequences.fits`."""

    @property
    def members(self) -> Mapping[str, Sequence[dict[str, float]]]:
        """Each member's path."""
        ...

    @property
    def dimensions(self) -> int:
        """Of the coordinates that the members read."""
        ...

    def scores(
        self, member: str, level: int, k: int, places: Sequence[int]
    ) -> Float[np.ndarray, "p n c"]:
        """See `CrossFits.scores`."""
        ...


class CrossFits:
    """Every member's scores of two folds by fits without both, for one view."""

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        target: Classes,
        fold: Int[np.ndarray, " n"],
        part: Int[np.ndarray, " n"],
        seed: int,
        device: str,
    ) -> None:
        u = whitened(x)
        columns = standardised(x) if x.shape[1] <= TREE_LIMIT else None
        self._shared = Shared(u, target.index, target.n_classes, device, columns)
        self._fold, self._part, self._seed = fold, part, seed
        self.members: Mapping[str, Sequence[dict[str, float]]] = {
            name: path
            for name, member in MEMBERS.items()
            if u.shape[1] and (path := member.path(self._shared))
        }
        self._scores: dict[tuple[str, int, tuple[int, ...]], np.ndarray] = {}
        self._held: dict[int, list[Sample]] = {}

    @property
    def dimensions(self) -> int:
        """Of the shared coordinates."""
        return self._shared.u.shape[1]

    @property
    def bytes_held(self) -> int:
        """What keeping this costs."""
        return self._shared.u.nbytes + sum(s.nbytes for s in self._scores.values())

    def scores(
        self, member: str, level: int, k: int, places: Sequence[int]
    ) -> Float[np.ndarray, "p n c"]:
        """Log posteriors of all rows for a held-out fold, at these places of the path.

        Rows outside the fold by fits without it and their own fold; rows of the fold by
        the average of these.
        """
        # Fits of some places alone need not be those of all: a path is warm-started.
        key = (member, level, tuple(places))
        if key not in self._scores:
            self._scores[key] = self._fitted(*key)
        return self._scores[key][k]

    def release(self, level: int) -> None:
        """Forget a level's scores where there are so many classes that they are large."""
        if self._shared.n_classes > MANY:
            self._scores = {k: v for k, v in self._scores.items() if k[1] != level}

    def _fitted(
        self, member: str, level: int, chosen: tuple[int, ...]
    ) -> Float[np.ndarray, "k p n c"]:
        path = [self.members[member][place] for place in chosen]
        n_folds = int(self._fold.max()) + 1
        shape = (n_folds, len(path), len(self._fold), self._shared.n_classes)
        scores = np.zeros(shape, dtype=np.float32)
        pairs = list(combinations(range(n_folds), 2))
        fits = MEMBERS[member].fit(self._samples(level, pairs), path)
        for (j, k), places in zip(pairs, fits, strict=True):
            for place, predict in enumerate(places):
                for one, other in ((j, k), (k, j)):
                    rows = np.flatnonzero(self._fold == one)
                    log_q = log_softmax(predict(rows), axis=1)
                    scores[other, place, rows] = log_q
                    scores[one, place, rows] += log_q / (n_folds - 1)
        return scores

    def _samples(self, level: int, pairs: Sequence[tuple[int, int]]) -> list[Sample]:
        if level not in self._held:
            usable = self._part <= level
            self._held[level] = [
                Sample(
                    self._shared,
                    np.flatnonzero(usable & ~np.isin(self._fold, pair)),
                    _mixed(self._seed, level, *pair),
                )
                for pair in pairs
            ]
        return self._held[level]


def stacked(
    fits: Mapping[str, ViewFits],
    target: Classes,
    fold: Int[np.ndarray, " n"],
    part: Int[np.ndarray, " n"],
    level: int,
    k: int,
    hints: Sequence[Hint] | None = None,
) -> Chosen:
    """The stack of all members of all views for one held-out fold.

    Args:
        fits: the views' cross-fits, by name.
        target: the classes.
        fold: in which fold each example is held out.
        part: at which level of the learning curve each example is first learned from.
        level: of the learning curve.
        k: the fold that is held out.
        hints: for each fold the places to try, by member; all by default.
    """
    train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
    stack = _gathered(fits, target, fold, part, level, k, hints)
    mixture, record = stack.combined()
    record = {"n_train": stack.rows, "n_test": len(test), **record}
    ratio, log_prior = mixture - stack.log_prior, stack.log_prior
    return Chosen(ratio[train], ratio[test], log_prior, record)


def _gathered(
    fits: Mapping[str, ViewFits],
    target: Classes,
    fold: Int[np.ndarray, " n"],
    part: Int[np.ndarray, " n"],
    level: int,
    k: int,
    hints: Sequence[Hint] | None,
) -> "_Stack":
    """The members that are worth a try, each at its best place."""
    usable = np.flatnonzero((fold != k) & (part <= level))
    counts = np.bincount(target.index[usable], minlength=target.n_classes) + 0.5
    stack = _Stack(np.log(counts / counts.sum()), target.index, usable, len(fold))
    pilot: _Stack | None = None
    for view, fit in fits.items():
        for name, path in fit.members.items():
            known = f"{view}:{name}"
            if hints is not None and known not in hints[k]:
                continue
            if name in MEMBERS and MEMBERS[name].late(fit.dimensions) and not stack.bends:
                continue
            if hints is None and name in MEMBERS and MEMBERS[name].piloted:
                if np.count_nonzero((fold != k) & (part == 0)) < _PILOT_ROWS:
                    continue
                # The same fold is held out of the pilot.
                if level and pilot is None:
                    pilot = _gathered(fits, target, fold, part, 0, k, None)
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
        likelihood = {p: log_likelihood(found[p][self._weigh], self._y) for p in tried}
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
        """Whether this member adds to all others."""
        if name not in self._record:
            return False
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


def _mixed(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
