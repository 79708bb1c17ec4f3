r"""Cross-fitted variational estimation: one loop, of which every bound is a row.

Each example is scored once, by a critic that saw neither it nor its fold:
T = T_0 + residual, T_0 what `auto` makes of this X and Y, the residual a small
network trained by the objective and stopped on validation rows. The reported value is the
mean of the held-out terms; all examples count, and none is used twice.

Most rows value the critic after normalising it (`Bound.normalised`). For discrete Y,
:math:`T - \log E_{p(y)} e^T` is exact and free: it never lowers Donsker-Varadhan
(:math:`E_x \log S(x) \le \log E_x S(x)`), makes it and NWJ equal to H(Y) - CE of the
posterior :math:`q(y|x) \propto p(y)e^T`, and so keeps them at or below H(Y) on every
sample. What then tells the rows apart is what their critics were trained by.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeGuard

import numpy as np
import torch
from jaxtyping import Float

from mi_probe.errors import InputError
from mi_probe.estimators.bounds.objectives import OBJECTIVES
from mi_probe.estimators.bounds.training import Fit, Schedule, fit_residual
from mi_probe.estimators.bounds.values import BOUNDS, Bound
from mi_probe.estimators.core.admission import admitted
from mi_probe.estimators.core.assembly import HeldOut, assembled
from mi_probe.estimators.core.base import (
    Estimate,
    Extrapolation,
    Nature,
    States,
    YKind,
)
from mi_probe.estimators.core.learning_curve import extrapolation
from mi_probe.estimators.core.split import TOP, Groups, Split
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    Target,
    TokenSequences,
    as_target,
)
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.scores.pair_critic import PAIRED_ROWS
from mi_probe.estimators.variational.fold_problems import (
    FoldProblems,
    Problem,
)
from mi_probe.estimators.variational.many_classes import MANY
from mi_probe.estimators.variational.pair_problem import PairProblem
from mi_probe.estimators.variational.problems import ClassProblem
from mi_probe.estimators.variational.token_start import distinct_answers

_ALL: frozenset[YKind] = frozenset({"classes", "scores", "tokens"})
_ROUTES = {
    Classes: "classes",
    Scores: "pairs of x and numbers",
    TokenSequences: "pairs of x and answers",
}


@dataclass(frozen=True, kw_only=True)
class Variational:
    """An estimator of I(Y;X) by a trained critic. Settings only; it keeps no state.

    Not to be trusted as the *value* of I(Y;X) where the critic must be learned from few
    rows in many dimensions: a fit of p numbers to n rows loses about p/2n nats, so the
    bound is low by that (benchmarks/known_answers.csv: 0.075 at d = 768, n = 10,000).
    """

    name: str
    summary: str = ""
    """What it does, in a few words for a table."""
    reference: str = ""
    """The paper."""
    objective: Literal["mine", "nwj", "info_nce", "cross_entropy", "jensen_shannon"]
    """What is maximised in training: a row of `OBJECTIVES`."""
    bound: Literal[
        "donsker_varadhan", "barber_agakov", "info_nce", "nwj", "nwj_plain", "smile"
    ]
    """What is reported, and watched on the validation rows: a row of `BOUNDS`."""
    continuous: bool = True
    """Whether it takes Y without classes: real numbers, answers in tokens."""
    start: tuple[str, ...] = ()
    """Members of `auto`'s stack (`MEMBERS`) that T_0 is made of, of X or of each pooling of
    Z, for a Y of few classes. Nothing for another Y, whose closed forms T_0 is: a copula of
    scores, class means of many classes and of tokens."""
    n_folds: int = 5
    extrapolate: bool = True
    """Also fit the learning curve, `Estimate.extrapolated`, of classes. Elsewhere each
    level would cost another training of the networks."""
    hidden: int = 48
    """Width of the residual network."""
    pair_features: int = 32
    """Features on either side of a critic of continuous Y."""
    validation_share: float = 0.2
    """Of the rows outside the fold: they stop the training."""
    average_rate: float = 0.05
    """Of MINE's moving average."""
    tau: float = 10.0
    """SMILE's clip, in nats. The paper's 5 overshoots from about 4 nats on; the critic is
    normalised here, so that less clipping is needed to keep the variance small."""
    schedule: Schedule = field(default_factory=Schedule)
    """Of a critic of classes."""
    pair_schedule: Schedule = field(
        default_factory=lambda: Schedule(learning_rate=5e-3, patience=6)
    )
    """Of a critic of pairs: two networks must find each other, and are slow to begin."""
    device: str = "cpu"

    def estimate(
        self, x: States, y: Target, *, groups: Groups | None = None, seed: int = 0
    ) -> Estimate:
        """Estimate I(Y;X), in nats; see `Estimator.estimate`.

        Raises:
            InputError: for fewer than 10 examples, and for what `as_target` and
                `as_states` refuse.
        """
        given, route = as_target(y), ""
        if isinstance(given, TokenSequences) and (answers := distinct_answers(given)):
            y, route = answers.index, "distinct answers as classes"
        states, target, split = admitted(
            self, x, y, groups=groups, seed=seed, n_folds=self.n_folds
        )
        route = route or _ROUTES[type(target)]
        self._check(target)
        streams = iter(np.random.SeedSequence(seed).spawn(9 * self.n_folds))
        pointwise, influence = np.empty(len(target)), np.empty(len(target))
        posterior = _empty_posterior(target)
        history, fits = [], []
        problems, functions = FoldProblems(self, states, target, split), 0
        for held_out, problem in enumerate(problems.at(TOP)):
            fit, held = self._solve(problem, split, held_out, TOP, streams)
            rows = split.fold == held_out
            pointwise[rows], influence[rows] = held.terms, held.influence
            if posterior is not None:
                posterior[rows] = held.log_posterior
            fits.append(fit)
            functions += isinstance(problem, PairProblem) and problem.start.is_function
            history.append({"route": route} | _record(fit, problem, rows))
        unfinished = sum(fit.kept and not fit.converged for fit in fits)
        return assembled(
            self,
            states,
            target,
            split,
            pointwise=pointwise,
            influence=influence,
            converged=unfinished * 2 <= len(fits),
            extrapolated=self._curve(problems, target, split, fits, pointwise, streams),
            history=history,
            saturated=2 * functions > len(fits),
            log_posterior=posterior,
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

    @property
    def value(self) -> Bound:
        """The row of `BOUNDS` that is reported."""
        return BOUNDS[self.bound]

    def _curve(
        self,
        problems: FoldProblems,
        target: Classes | Scores | TokenSequences,
        split: Split,
        fits: list[Fit],
        full: Float[np.ndarray, " n"],
        streams: Iterator[np.random.SeedSequence],
    ) -> Extrapolation | None:
        """The value at n -> infinity; a network is trained where one was kept."""
        if not self.extrapolate or not problems.has_levels or not split.has_curve:
            return None
        curve: dict[int, np.ndarray] = {}
        for level in range(TOP):
            terms = np.empty(len(target))
            for k, problem in enumerate(problems.at(level)):
                if fits[k].kept:
                    held = self._solve(problem, split, k, level, streams)[1]
                else:
                    with torch.no_grad():
                        held = problem.held_out(None)
                terms[split.held_out(k)] = held.terms
            curve[split.n_learned(level)] = terms
        curve[split.n_learned()] = full
        return extrapolation(curve, split)

    def _schedule_of(self, problem: Problem) -> Schedule:
        if not isinstance(problem, ClassProblem):
            return self.pair_schedule
        if problem.lengths is None or self.start:
            return self.schedule
        # The start tells most: one epoch says whether a network of the tokens adds to it.
        return replace(self.schedule, patience=1)

    def _check(self, target: Classes | Scores | TokenSequences) -> None:
        if set(self.start) - set(MEMBERS) or bool(self.start) != _few(target):
            raise InputError(
                f"start must be of {', '.join(MEMBERS)} for at most {MANY} classes, and "
                f"empty for another y; got {self.start}."
            )

    def _solve(
        self,
        problem: Problem,
        split: Split,
        k: int,
        level: int,
        streams: Iterator[np.random.SeedSequence],
    ) -> tuple[Fit, HeldOut]:
        rng = np.random.default_rng(next(streams))
        rows = np.arange(problem.n_train)
        most = None if isinstance(problem, ClassProblem) else PAIRED_ROWS
        learned = split.rows(k, level=level)
        chosen = split.watched(learned, self.validation_share, rng, most=most)
        # Initial weights come from the global generator: lend it our seed and put it back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_integer(next(streams)))
            residual = problem.residual(torch.from_numpy(rows[~chosen])).to(self.device)
        fit = fit_residual(
            residual,
            lambda batch: problem.train_scores(residual, batch),
            OBJECTIVES[self.objective](self.average_rate),
            problem.watched,
            torch.from_numpy(rows[~chosen]),
            torch.from_numpy(rows[chosen]),
            self._schedule_of(problem),
            torch.Generator().manual_seed(_integer(next(streams))),
            ceiling=problem.ceiling,
            lengths=problem.lengths,
        )
        residual.eval()
        with torch.no_grad():
            return fit, problem.held_out(residual if fit.kept else None)


def _few(target: Classes | Scores | TokenSequences) -> TypeGuard[Classes]:
    return isinstance(target, Classes) and target.n_classes <= MANY


def _empty_posterior(
    target: Classes | Scores | TokenSequences,
) -> Float[np.ndarray, "n c"] | None:
    if not _few(target):
        return None
    return np.empty((len(target), target.n_classes))


def _record(fit: Fit, problem: Problem, rows: np.ndarray) -> dict[str, Any]:
    return {
        "n_train": int((~rows).sum()),
        "n_test": int(rows.sum()),
        "start": problem.start.chosen,
        "residual_kept": fit.kept,
        "best_epoch": fit.best_epoch,
        "train": fit.train,
        "validation": fit.validation,
    }


def _integer(stream: np.random.SeedSequence) -> int:
    return int(stream.generate_state(1)[0])
