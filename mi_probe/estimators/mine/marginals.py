"""What a row is scored against, all classes or the Y beside it, and what T starts from."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.critic.bounds import Scores


@dataclass(frozen=True)
class Start:
    """T_0(x, y) of one problem: what is known before its networks are trained.

    A training row's comes from fits that did not see it: on rows that T_0 has seen,
    networks would only learn its overconfidence. A held-out row's comes from fits and
    choices that never saw its fold.
    """

    scores: Callable[[Int[Tensor, " b"], Int[Tensor, " m"]], Float[Tensor, "b m"]]
    """T_0 of rows against columns: all classes, or the Y of other rows."""
    chosen: dict[str, float]
    """Weight of each part that it is made of."""


@dataclass(frozen=True)
class ClassMarginal:
    """All classes with their probabilities: the second term is an exact sum."""

    y: Int[Tensor, " n"]
    log_prior: Float[Tensor, "p c"]
    """Log p(y) of the rows that each problem may learn from."""
    starts: tuple[Start, ...] = field(default=(), repr=False)
    """T_0 of each problem; none where it is 0."""

    def columns(self, rows: Int[Tensor, "p b"]) -> Int[Tensor, "p c"]:
        """Every class, whatever the rows."""
        p, c = self.log_prior.shape
        return torch.arange(c, device=rows.device).expand(len(rows), c)

    def scores(self, values: Float[Tensor, "p b c"], rows: Int[Tensor, "p b"]) -> Scores:
        """T of rows against the classes, from what the networks say."""
        values = _on_top(values, self.starts, rows, self.columns(rows))
        return Scores(values, self.y[rows], self.log_prior[:, None])

    def lowered(self, scores: Scores) -> Scores:
        """The critic normalised for each x: q(y|x) in proportion to p(y) exp T."""
        return scores.lowered(scores.log_partition)

    def of_problem(self, problem: int) -> "ClassMarginal":
        """That of one problem."""
        one = slice(problem, problem + 1)
        return replace(self, log_prior=self.log_prior[one], starts=self.starts[one])

    def with_own(
        self, scores: Scores
    ) -> tuple[Float[np.ndarray, " c"], Int[np.ndarray, " b"]]:
        """Log weights of the columns, and each row's own, as a likelihood needs them."""
        log_prior = self.log_prior[0].double().cpu().numpy()
        return log_prior, scores.joint[0].cpu().numpy()


@dataclass(frozen=True)
class RowMarginal:
    """The Y of the other rows of a batch: a sample, of continuous Y and of answers."""

    starts: tuple[Start, ...] = field(default=(), repr=False)
    """T_0 of each problem; none where it is 0."""

    def columns(self, rows: Int[Tensor, "p b"]) -> Int[Tensor, "p b"]:
        """The rows themselves."""
        return rows

    def scores(self, values: Float[Tensor, "p b b"], rows: Int[Tensor, "p b"]) -> Scores:
        """T of rows against each other's Y, from what the networks say."""
        return Scores.against_each_other(_on_top(values, self.starts, rows, rows))

    def lowered(self, scores: Scores) -> Scores:
        """As they are: a normaliser from the same sample would be no bound's."""
        return scores

    def of_problem(self, problem: int) -> "RowMarginal":
        """That of one problem."""
        return RowMarginal(self.starts[problem : problem + 1])

    def with_own(
        self, scores: Scores
    ) -> tuple[Float[np.ndarray, " b"], Int[np.ndarray, " b"]]:
        """The own column counted among the others, all alike: InfoNCE's likelihood."""
        joint = scores.joint[0].cpu().numpy()
        return np.full(len(joint), -math.log(len(joint))), joint


Marginal: TypeAlias = ClassMarginal | RowMarginal


def _on_top(
    values: Float[Tensor, "p b m"],
    starts: tuple[Start, ...],
    rows: Int[Tensor, "p b"],
    columns: Int[Tensor, "p m"],
) -> Float[Tensor, "p b m"]:
    if not starts:
        return values
    told = zip(starts, rows, columns, strict=True)
    return values + torch.stack([start.scores(r, c) for start, r, c in told])
