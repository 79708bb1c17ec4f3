r"""MINE: the mutual information neural estimator of Belghazi et al. (2018), held out.

.. math:: I(Y;X) \ge \sup_\theta E_{p(x,y)}[T_\theta]
          - \log E_{p(x)p(y)}[e^{T_\theta}]

A statistics network :math:`T_\theta` is trained from zero on this bound, its gradient
corrected by a moving average of the denominator. Other papers' bounds differ in what
training maximises and in what is reported: they are rows of the same class. It shares its
folds with `auto`, and nothing that was fitted to Y: so it is a check of it.

What the paper has not, and what makes the number one that can be relied on:

- Every row is scored by networks that never saw it (cross-fitting), stopped and weighed by
  other rows still: the value is a lower bound up to noise, with an interval.
- Where Y has classes the second term is an exact sum over them. The value is then that of
  the critic normalised for each x, which never lowers it (:math:`E_x \log S(x) \le \log E_x
  S(x)`) and keeps it at or below H(Y).
- Networks of several kinds (`statistics_network.KINDS`) are added up by their worth on
  watched rows.

References:
    Mutual Information Neural Estimation (Belghazi et al., 2018),
    https://arxiv.org/abs/1801.04062
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import NEAR_MOST, HeldOut, assembled
from mi_probe.estimators.core.base import Estimate, Nature, States, YKind
from mi_probe.estimators.core.learning_curve import extrapolation
from mi_probe.estimators.core.split import TOP, Groups, Split
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    Target,
    TokenSequences,
    as_codes,
    as_target,
    as_tensor,
)
from mi_probe.estimators.critic.bounds import Scores as CriticScores
from mi_probe.estimators.mine.cross_fit import Settings, Sides, cross_fit, sides_of
from mi_probe.estimators.mine.ensemble import Ensemble
from mi_probe.estimators.mine.marginals import Start
from mi_probe.hidden import HiddenStates

_ALL: frozenset[YKind] = frozenset({"classes", "scores", "tokens"})
_ROUTES = {
    Classes: "classes",
    Scores: "pairs of x and numbers",
    TokenSequences: "pairs of x and answers",
}
_COLUMNS = 2048
"""Training rows whose Y normalise a critic of pairs, at most."""
_ROWS = 2500
"""Held-out rows that are scored against each other at once, about."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Mine(Settings):
    """An estimator of I(Y;X) by statistics networks alone; its settings.

    Not to be trusted as the *value* of I(Y;X): networks that learn from few rows in many
    dimensions find a part of it, and of several nats between real numbers they fall short.
    """

    name: str
    summary: str = ""
    """What it does, in a few words for a table."""
    reference: str = ""
    """The paper."""
    continuous: bool = True
    """Whether it takes Y without classes: real numbers, answers in tokens."""
    n_folds: int = 5
    extrapolate: bool = True
    """Also fit the learning curve, `Estimate.extrapolated`, of classes: two more trainings.
    Elsewhere they would cost more than they tell."""

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for what `admitted` refuses.
        """
        given, route = as_target(y), ""
        answers = as_codes(given) if isinstance(given, TokenSequences) else None
        if answers is not None:
            y, route = answers, "distinct answers as classes"
        admitted_ = admitted(self, x, y, groups=groups, seed=seed, n_folds=self.n_folds)
        return self.of_admitted(*admitted_, route=route)

    def of_admitted(
        self,
        states: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes | Scores | TokenSequences,
        split: Split,
        *,
        route: str = "",
    ) -> Estimate:
        """The estimate of what `admitted` gave.

        Args:
            states: X.
            target: Y.
            split: their folds.
            route: how Y was taken, where that was not as it came.
        """
        told = {"route": route or _ROUTES[type(target)]}
        sides = sides_of(states, target, self.device, ends=self.ends)

        def valued(level: int) -> tuple[HeldOut, list[dict[str, Any]]]:
            starts = self.starts(states, target, split, level)
            return self._held_out(sides, split, level, starts)

        held, history = valued(TOP)
        extrapolated, most = None, math.inf
        if not isinstance(target, Classes):
            most = math.log(min(_COLUMNS, split.n_learned()))
        elif self.extrapolate and split.has_curve:
            curve = {split.n_learned(level): valued(level)[0].terms for level in range(TOP)}
            extrapolated = extrapolation(curve | {split.n_learned(): held.terms}, split)
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=held.terms,
            influence=held.influence,
            converged=2 * sum(fold["converged"] for fold in history) >= len(history),
            extrapolated=extrapolated,
            history=[told | fold for fold in history],
            saturated=bool(held.terms.mean() > most - NEAR_MOST),
            log_posterior=held.log_posterior,
        )

    @property
    def nature(self) -> Nature:
        """What it is and what it takes."""
        return Nature(
            family="discriminative",
            bound=self.value.kind,
            takes=_ALL if self.continuous else frozenset({"classes"}),
            sequences=True,
            ceiling=self.value.ceiling,
            summary=self.summary,
            reference=self.reference,
        )

    def starts(
        self,
        x: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes | Scores | TokenSequences,
        split: Split,
        level: int,
    ) -> Sequence[Start]:
        """What each fold's networks are trained on top of: nothing."""
        return ()

    def _held_out(
        self, sides: Sides, split: Split, level: int, starts: Sequence[Start]
    ) -> tuple[HeldOut, list[dict[str, Any]]]:
        """What the ensembles say of all rows, each of the fold that it never saw."""
        n, c = len(split), sides.n_classes
        terms, influence = np.empty(n), np.empty(n)
        posterior = None if c is None else np.empty((n, c))
        history = []
        found = cross_fit(self, sides, split, level, starts)
        for k, (critic, record) in enumerate(found):
            test = split.held_out(k)
            rows = torch.from_numpy(test).to(self.device)
            if isinstance(sides.target, Classes):
                held = self._of_classes(critic, rows, sides, sides.target)
            else:
                held = self._of_pairs(critic, rows, split.rows(k, level=level))
            terms[test], influence[test] = held.terms, held.influence
            if posterior is not None:
                posterior[test] = held.log_posterior
            history.append(record | {"n_test": len(test)})
        return HeldOut(terms, influence, posterior), history

    def _of_classes(
        self, critic: Ensemble, rows: Int[Tensor, " b"], sides: Sides, target: Classes
    ) -> HeldOut:
        """Against p(y) of all rows, as H(Y) is: a critic that knows nothing is at 0."""
        log_prior = as_tensor(target.log_prior).to(self.device)
        values = critic(rows, torch.arange(target.n_classes, device=rows.device))
        scores = CriticScores(values, sides.y[rows], log_prior)
        if self.value.normalised:
            scores = scores.lowered(scores.log_partition)
        if self.value.capped:
            scores = scores.capped(-log_prior)
        posterior = None
        if sides.n_classes is not None:  # rows times many classes would be all the memory
            posterior = torch.log_softmax((scores.values + log_prior).double(), 1)
            posterior = posterior.cpu().numpy()
        return self._valued([scores], paired_columns=False, posterior=posterior)

    def _of_pairs(
        self, critic: Ensemble, rows: Int[Tensor, " b"], learned: Int[np.ndarray, " m"]
    ) -> HeldOut:
        """Held-out rows against each other's Y.

        Where the bound asks for it, the critic is first normalised over training rows' Y,
        which is allowed (they are independent of the held-out pairs) and keeps exp T near
        1 on average, where a plain mean of exp T rests on a few enormous terms.
        """
        every = learned[:: max(1, len(learned) // _COLUMNS)]
        reference = torch.from_numpy(every).to(rows.device)
        scores = []
        for part in rows.tensor_split(max(1, round(len(rows) / _ROWS))):
            values = critic(part, part)
            if self.value.normalised:
                low = torch.logsumexp(critic(part, reference), 1) - math.log(len(reference))
                values = values - low[:, None]
            found = CriticScores.against_each_other(values)
            if self.value.capped:  # at what such a sample could show
                found = found.capped(torch.tensor(math.log(len(reference))))
            scores.append(found)
        return self._valued(scores, paired_columns=True)

    def _valued(
        self,
        scores: list[CriticScores],
        *,
        paired_columns: bool,
        posterior: np.ndarray | None = None,
    ) -> HeldOut:
        parts = [
            self.value.influence(part, self.tau, paired_columns=paired_columns)
            for part in scores
        ]
        terms, influence = (
            torch.cat(part).double().cpu().numpy() for part in zip(*parts, strict=True)
        )
        return HeldOut(terms, influence, posterior)
