"""One held-out fold as a training problem: whose rows are scored, and against what.

All kinds of Y give the training loop the same thing, `Scores` of a batch of rows; they
differ in the columns of Y's marginal (all classes here, other rows' Y in `pair_problem`)
and in how the held-out terms are made from them.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mi_probe.estimators.bounds.values import Bound, Scores
from mi_probe.estimators.core.assembly import HeldOut
from mi_probe.estimators.core.targets import Classes, as_tensor
from mi_probe.estimators.variational.many_classes import MANY
from mi_probe.estimators.variational.residuals import residual_for
from mi_probe.estimators.variational.starts import ClassStart
from mi_probe.hidden import HiddenStates

_CHUNK = 512


@runtime_checkable
class CriticSettings(Protocol):
    """What a problem needs to know of its estimator."""

    @property
    def hidden(self) -> int:
        """Width of the residual network."""
        ...

    @property
    def pair_features(self) -> int:
        """Features on either side of a critic of continuous Y."""
        ...

    @property
    def device(self) -> str:
        """Where the residual is trained."""
        ...

    @property
    def value(self) -> Bound:
        """What is reported, and watched on the validation rows."""
        ...

    @property
    def tau(self) -> float:
        """Of the clip in `smile`."""
        ...


class ClassVectors(nn.Module):
    """Features of x to scores of classes: a product with a vector for each class."""

    def __init__(self, n_classes: int, width: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(n_classes, width) / math.sqrt(width))

    def forward(self, features: Float[Tensor, "b w"]) -> Float[Tensor, "b c"]:
        """The score of each class."""
        return features @ self.vectors.T


class ClassProblem:
    """One fold of a discrete target: scores are examples against all classes."""

    def __init__(
        self,
        settings: "CriticSettings",
        x: Tensor | HiddenStates,
        target: Classes,
        train: Bool[np.ndarray, " n"],
        test: Bool[np.ndarray, " n"],
        start: ClassStart,
    ) -> None:
        self._settings, self._x, self.start = settings, x, start
        self._rows = torch.from_numpy(np.flatnonzero(train))
        self._held_out = torch.from_numpy(np.flatnonzero(test))
        self._y = torch.from_numpy(target.index)
        self._log_prior = as_tensor(start.log_prior).to(settings.device)
        self._offset = as_tensor(start.train).to(settings.device)
        self._log_shares = as_tensor(target.log_prior).to(settings.device)
        self._many = target.n_classes > MANY
        self.ceiling = target.entropy

    @property
    def n_train(self) -> int:
        """Rows that are learned from."""
        return len(self._rows)

    @property
    def lengths(self) -> Tensor | None:
        """Tokens of each training row; None for vectors."""
        x = self._x
        return x.mask[self._rows].sum(1) if isinstance(x, HiddenStates) else None

    def residual(self, rows: Tensor) -> nn.Module:
        """A residual that gives one feature a class, standardised on these rows.

        Of many classes each has a vector instead, whose product with x's features counts.
        """
        c, hidden = len(self._log_prior), self._settings.hidden
        width = self._settings.pair_features if self._many else c
        x_side = residual_for(self._x, self._rows[rows], width, hidden)
        return nn.Sequential(x_side, ClassVectors(c, width)) if self._many else x_side

    def train_scores(self, residual: nn.Module, rows: Tensor) -> Scores:
        """Scores of training rows, T_0 out of fold."""
        return self._scores(residual, self._rows[rows], self._offset[rows])

    def held_out(self, residual: nn.Module | None) -> HeldOut:
        """Held-out terms and the posterior."""
        offset = as_tensor(self.start.test).to(self._settings.device)
        scores = self._scores(residual, self._held_out, offset)
        # Against p(y) of all rows, as H(Y) is: a critic that knows nothing is at 0.
        scores = Scores(scores.values, scores.joint, self._log_shares)
        terms, influence = (
            part.double().cpu().numpy()
            for part in self._settings.value.influence(
                self._normalised(scores), self._settings.tau, paired_columns=False
            )
        )
        if self._many:  # rows times classes would be larger than all else
            return HeldOut(terms, influence)
        posterior = torch.log_softmax((scores.values + scores.log_weights).double(), dim=1)
        return HeldOut(terms, influence, posterior.cpu().numpy())

    def watched(self, scores: Scores) -> Tensor:
        """Terms whose mean stops the training."""
        terms = self._settings.value.terms(self._settings.tau)
        return terms(self._normalised(scores))

    def _normalised(self, scores: Scores) -> Scores:
        if not self._settings.value.normalised:
            return scores
        return scores.lowered(scores.log_partition)

    def _scores(self, residual: nn.Module | None, rows: Tensor, offset: Tensor) -> Scores:
        device = self._settings.device
        if residual is not None:
            offset = offset + features_of(residual, self._x, rows, device)
        return Scores(offset, self._y[rows].to(device), self._log_prior)


def features_of(
    residual: nn.Module, x: Tensor | HiddenStates, rows: Tensor, device: str
) -> Tensor:
    """The residual's features of some rows of x."""

    def batch(part: Tensor) -> Tensor | HiddenStates:
        return x[part].to(device)

    # In chunks, so that a long validation set of sequences does not double the memory.
    return torch.cat([residual(batch(part)) for part in rows.split(_CHUNK)])
