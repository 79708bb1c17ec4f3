"""What a row is scored against: all classes, or the Y of the rows beside it."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.bounds.values import Scores


@dataclass(frozen=True)
class ClassMarginal:
    """All classes with their probabilities: the second term is an exact sum."""

    y: Int[Tensor, " n"]
    log_prior: Float[Tensor, "p c"]
    """Of the rows that each problem may learn from."""

    def columns(self, rows: Int[Tensor, "p b"]) -> Int[Tensor, "p c"]:
        """Every class, whatever the rows."""
        p, c = self.log_prior.shape
        return torch.arange(c, device=rows.device).expand(len(rows), c)

    def scores(self, values: Float[Tensor, "p b c"], rows: Int[Tensor, "p b"]) -> Scores:
        """T of rows against the classes."""
        return Scores(values, self.y[rows], self.log_prior[:, None])

    def lowered(self, scores: Scores) -> Scores:
        """The critic normalised for each x: q(y|x) in proportion to p(y) exp T."""
        return scores.lowered(scores.log_partition)

    def of_problem(self, problem: int) -> "ClassMarginal":
        """That of one problem."""
        return ClassMarginal(self.y, self.log_prior[problem : problem + 1])

    def with_own(
        self, scores: Scores
    ) -> tuple[Float[np.ndarray, " c"], Int[np.ndarray, " b"]]:
        """Log weights of the columns, and each row's own, as a likelihood needs them."""
        log_prior = self.log_prior[0].double().cpu().numpy()
        return log_prior, scores.joint[0].cpu().numpy()


@dataclass(frozen=True)
class RowMarginal:
    """The Y of the other rows of a batch: a sample, of continuous Y and of answers."""

    def columns(self, rows: Int[Tensor, "p b"]) -> Int[Tensor, "p b"]:
        """The rows themselves."""
        return rows

    def scores(self, values: Float[Tensor, "p b b"], rows: Int[Tensor, "p b"]) -> Scores:
        """T of rows against each other's Y."""
        return Scores.against_each_other(values)

    def lowered(self, scores: Scores) -> Scores:
        """As they are: a normaliser from the same sample would be no bound's."""
        return scores

    def of_problem(self, problem: int) -> "RowMarginal":
        """The same for all problems."""
        return self

    def with_own(
        self, scores: Scores
    ) -> tuple[Float[np.ndarray, " b"], Int[np.ndarray, " b"]]:
        """The own column counted among the others, all alike: InfoNCE's likelihood."""
        joint = scores.joint[0].cpu().numpy()
        return np.full(len(joint), -math.log(len(joint))), joint


Marginal: TypeAlias = ClassMarginal | RowMarginal
