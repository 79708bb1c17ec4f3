r"""Nested critics: what Z tells beyond C, learned on top of log q(y|c) and held out.

One mechanism serves the gap, conditional information and the ladder of critics. C's critic
is the *offset*; everything that Z's critic adds is evidence on top of it,

.. math:: f(y|z,c) \propto q(y|c)\, e^{\sum_m g_m T_m(y, z, c)}

and with the log prior for an offset the value is plain I(Y;Z). Two kinds of evidence: that
of Z's own critic, and linear models on features of Z, regressed on the residuals of the
offset. For a held-out fold, everything is weighed on rows outside it, scored by critics
that saw neither that fold nor their own (`Estimate.inner`).

A critic of many views learns from few rows better than one of C, and the difference would
be taken for information. Two things stop that. C's critic takes in what Z's critic says
given C alone, :math:`E[f(y|Z,c)|c]`, so that both have paid for the same learning. And each
evidence is centred: f is divided by what is left of :math:`E[f|c]/q`, so that Z's critic,
averaged over Z given C, is C's. Then, if Y is independent of Z given C,

.. math:: E \log f(Y|Z,C) \le E \log E[f(Y|Z,C)|C] = E \log q(Y|C)

by Jensen's inequality, if E[f|c] is known. Here it is regressed on C, and so are the
features of linear evidence: nothing is found in nothing where q(y|c) or these regressions
are about right. A rough E[Z|C] that neither follows can be taken for information.

References:
    Conditional permutation and double robustness: Shah and Peters 2020, arXiv 1804.07203.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from jaxtyping import Float, Int

from mi_probe.analysis.regressions import (
    EVIDENCE_COLUMNS,
    EVIDENCE_RIDGES,
    GivenC,
    few_columns,
    ridge_predictions,
)
from mi_probe.estimators import Estimate
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import log_prior_of
from mi_probe.estimators.engine.mixing import (
    best_temperature,
    log_likelihood,
    log_linear_weights,
    mix,
    mixture_weights,
    pooled,
    tempered,
)

Posteriors: TypeAlias = Float[np.ndarray, "k n c"]
"""Log posteriors of all rows by held-out fold, as `Estimate.inner` has them."""

_FEWEST = 2.0
"""Nats of all rows together that a piece of evidence must win to be used."""
_EVIDENCE = 2.0
"""Nats of all rows together that all evidence must win to be believed at all."""
_MOST_PIECES = 4
_MOST_RATIO = 10.0
"""To which f/q is cut before it is regressed on C."""


def posteriors(estimate: Estimate) -> Posteriors:
    """A critic's posteriors by held-out fold.

    Where an estimator keeps held-out ones alone these stand for the inner ones: the weights
    of a fold's rows then know a little of its labels.
    """
    if estimate.inner is not None:
        return estimate.inner.astype(np.float64)
    assert estimate.log_posterior is not None
    assert estimate.split is not None
    shape = (estimate.split.n_folds, *estimate.log_posterior.shape)
    return np.broadcast_to(estimate.log_posterior, shape)


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Critics of one Y, weighed for each held-out fold on the rows outside it."""

    split: Split
    y: Int[np.ndarray, " n"]

    def stacked(self, members: Sequence[Posteriors]) -> Posteriors:
        """The mixture of the members and of their product; the member itself if one."""
        if len(members) == 1:
            return members[0]
        found = np.empty_like(members[0])
        for k, (rows, y) in enumerate(self._outside):
            own = [member[k] for member in members]
            # Evidence is what each says beyond the shares of the classes.
            log_prior = log_prior_of(np.bincount(y, minlength=found.shape[2]))
            powers = log_linear_weights([q[rows] for q in own], log_prior, y)
            own.append(pooled(own, log_prior, powers))
            found[k] = mix(own, mixture_weights([q[rows] for q in own], y))
        return found

    def averaged(
        self, offset: Posteriors, critics: Sequence[Posteriors], given: GivenC
    ) -> Posteriors:
        """The offset with what each critic says given C alone, where that shows."""
        found = offset.copy()
        for critic in critics:
            for k, (rows, y) in enumerate(self._outside):
                said = found[k] + np.log(_ratio_given(critic[k], found[k], given))
                power = min(best_temperature(said[rows], found[k, rows], y), 1.0)
                taken = tempered(said, found[k], power)
                won = log_likelihood(taken[rows], y) - log_likelihood(found[k, rows], y)
                found[k] = _as_far_as_won(found[k], taken, won * len(rows))
        return found

    def centred(self, offset: Posteriors, critic: Posteriors, given: GivenC) -> Posteriors:
        """A critic's evidence on top of the offset, of which C alone says nothing."""
        pairs = zip(critic, offset, strict=True)
        return np.stack([f - q - np.log(_ratio_given(f, q, given)) for f, q in pairs])

    def linear(
        self, offset: Posteriors, features: Float[np.ndarray, "n f"], *, few: bool
    ) -> list[Posteriors]:
        """Evidence of linear models of the offset's residuals, a ridge (a number) each.

        One Newton step of a logistic regression with that offset. A row outside a fold is
        scored by fits without it and its own fold, a held-out row by fits to all others.

        Args:
            offset: log q(y|c).
            features: of Z, less what C says of them.
            few: on the few best columns, instead of ridges on all.
        """
        n_folds, n, c = offset.shape
        places = len(EVIDENCE_COLUMNS if few else EVIDENCE_RIDGES)
        found = np.zeros((places, n_folds, n, c))
        residual = np.eye(c)[self.y] - np.exp(offset)
        weight = np.maximum((np.exp(offset) * -np.expm1(offset)).mean((0, 1)), 1e-6)
        step = residual / weight * (1 - 1 / c)

        def fit(folds: tuple[int, ...], held: Sequence[int]) -> np.ndarray:
            rows = self.split.rows(*folds)
            targets = [step[k][rows] for k in held]
            if few:
                return np.stack(
                    [few_columns(features, rows, t, EVIDENCE_COLUMNS) for t in targets]
                )
            return ridge_predictions(features, rows, targets, EVIDENCE_RIDGES)

        for k in range(n_folds):
            rows = self.split.held_out(k)
            found[:, k, rows] = fit((k,), [k])[0][:, rows]
        for j, k in self.split.pairs:
            said = fit((j, k), [k, j])
            for (held, own), one in zip(((k, j), (j, k)), said, strict=True):
                rows = self.split.held_out(own)
                found[:, held, rows] = one[:, rows]
        return list(found)

    def on_top(
        self, offset: Posteriors, evidence: Mapping[str, Sequence[Posteriors]]
    ) -> tuple[Posteriors, list[dict[str, float]]]:
        """The offset with the evidence that shows outside each fold, and its powers.

        Of each path of evidence the best place; pieces are taken in turn, while they win.
        """
        found, records = offset.copy(), []
        for k, (rows, y) in enumerate(self._outside):
            q, best = offset[k], {}
            begun = log_likelihood(q[rows], y)
            for name, path in evidence.items():
                said = [q + place[k] for place in path]
                gains = [
                    log_likelihood(
                        tempered(
                            one[rows], q[rows], best_temperature(one[rows], q[rows], y)
                        ),
                        y,
                    )
                    for one in said
                ]
                best[name] = said[int(np.argmax(gains))]
            taken: list[str] = []
            reached, joined, powers = begun, q, np.empty(0)
            while len(taken) < min(len(best), _MOST_PIECES):
                tried = {}
                for name in best.keys() - set(taken):
                    members = [best[one] for one in (*taken, name)]
                    found_powers = log_linear_weights(
                        [m[rows] for m in members], q[rows], y
                    )
                    whole = pooled(members, q, found_powers)
                    tried[name] = (log_likelihood(whole[rows], y), whole, found_powers)
                name = max(sorted(tried), key=lambda one: tried[one][0])
                if (tried[name][0] - reached) * len(rows) < _FEWEST:
                    break
                taken.append(name)
                reached, joined, powers = tried[name]
            found[k] = _as_far_as_won(q, joined, (reached - begun) * len(rows))
            records.append(dict(zip(taken, map(float, powers), strict=True)))
        return found, records

    def held_out(self, by_fold: Posteriors) -> Float[np.ndarray, "n c"]:
        """Of each row what was said by critics that never saw it."""
        return by_fold[self.split.fold, np.arange(len(self.y))]

    @cached_property
    def _outside(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows outside each fold, and their classes."""
        found = []
        for k in range(self.split.n_folds):
            rows = np.flatnonzero(self.split.fold != k)
            found.append((rows, self.y[rows]))
        return found


def _as_far_as_won(
    offset: Float[np.ndarray, "n c"], more: Float[np.ndarray, "n c"], won: float
) -> Float[np.ndarray, "n c"]:
    """Their mixture, by how much more the second won than chance does, in nats."""
    share = max(0.0, 1 - _EVIDENCE / max(won, 1e-9))
    return mix([offset, more], np.array([1 - share, share]))


def _ratio_given(
    f: Float[np.ndarray, "n c"], q: Float[np.ndarray, "n c"], given: GivenC
) -> Float[np.ndarray, "n c"]:
    """E[f(y|Z,c)/q(y|c) | c], by regression on C."""
    ratio = np.exp(np.minimum(f - q, np.log(_MOST_RATIO)))
    return np.clip(given.fitted(ratio), 1 / _MOST_RATIO, _MOST_RATIO)
