"""One held-out fold as a training problem: whose rows are scored, and against what.

Both kinds of Y give the training loop the same thing, `Scores` of a batch of rows; they
differ in the columns of Y's marginal (all classes, or other rows' values) and in how the
held-out terms are made from them.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.bounds import Bound, Scores
from mi_probe.estimators.class_start import ClassStart
from mi_probe.estimators.critics import residual_for
from mi_probe.estimators.many_classes import MANY
from mi_probe.estimators.score_start import ScoreStart
from mi_probe.estimators.targets import Classes, as_tensor
from mi_probe.hidden import HiddenStates

_CHUNK = 512
_COLUMNS = 2048
"""Training rows whose Y normalise a critic of continuous Y."""


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


@dataclass(frozen=True)
class HeldOut:
    """What a critic says of the rows that it never saw, in nats."""

    terms: Float[np.ndarray, " m"]
    """i(y; x) of each row."""
    influence: Float[np.ndarray, " m"]
    """Of each row on the terms' mean."""
    log_posterior: Float[np.ndarray, "m c"] | None = None
    """The log q(y|x) of every class."""


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
        train: np.ndarray,
        start: ClassStart,
    ) -> None:
        self._settings, self._x, self.start = settings, x, start
        self._rows = torch.from_numpy(np.flatnonzero(train))
        self._held_out = torch.from_numpy(np.flatnonzero(~train))
        self._y = torch.from_numpy(target.index)
        self._log_prior = as_tensor(start.log_prior).to(settings.device)
        self._offset = as_tensor(start.train).to(settings.device)
        self._log_shares = as_tensor(target.log_prior).to(settings.device)
        self._many = target.n_classes > MANY
        self.ceiling = target.entropy

    @property
    def n_train(self) -> int:
        """Rows outside the fold."""
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
            offset = offset + _features(residual, self._x, rows, device)
        return Scores(offset, self._y[rows].to(device), self._log_prior)


class ScoreProblem:
    """One fold of a continuous target: scores are examples against each other's Y."""

    ceiling = None

    def __init__(
        self,
        settings: "CriticSettings",
        x: Tensor | HiddenStates,
        train: np.ndarray,
        start: ScoreStart,
    ) -> None:
        self._settings, self._x, self.start = settings, x, start
        self._rows = torch.from_numpy(np.flatnonzero(train))
        self._held_out = torch.from_numpy(np.flatnonzero(~train))

    @property
    def n_train(self) -> int:
        """Rows outside the fold."""
        return len(self._rows)

    @property
    def lengths(self) -> None:
        """None, so that batches mix lengths.

        A batch's rows are each other's negatives; negatives of about the same length
        would hide from the critic what the length tells.
        """
        return None

    def residual(self, rows: Tensor) -> nn.Module:
        """Networks for either side; their inner product is the residual."""
        width, hidden = self._settings.pair_features, self._settings.hidden
        k = self.start.y_train.shape[1]
        y_side = nn.Sequential(nn.Linear(k, hidden), nn.GELU(), nn.Linear(hidden, width))
        x_side = residual_for(self._x, self._rows[rows], width, hidden)
        return nn.ModuleDict({"x": x_side, "y": y_side})

    def train_scores(self, residual: nn.Module, rows: Tensor) -> Scores:
        """Scores of training rows, T_0 out of fold; each is the others' negative."""
        index = rows.numpy()
        return self._scores(
            residual, self._rows[rows], self.start.train[index], self.start.y_train[index]
        )

    def watched(self, scores: Scores) -> Tensor:
        """Terms whose mean stops the training."""
        return self._settings.value.terms(self._settings.tau)(scores)

    def held_out(self, residual: nn.Module | None) -> HeldOut:
        """Held-out terms in nats, and each row's influence on their mean.

        Where the bound asks for it, the critic is first normalised over training rows' Y,
        which is allowed (they are independent of the held-out pairs) and keeps exp T near
        1 on average, where a plain mean of exp T rests on a few enormous terms.
        """
        start, value = self.start, self._settings.value
        scores = self._scores(residual, self._held_out, start.test, start.y_test)
        if value.normalised:
            columns = start.y_train[:: max(1, len(start.y_train) // _COLUMNS)]
            log_mean = self._pairs(residual, self._held_out, start.test, columns)
            scores = scores.lowered(torch.logsumexp(log_mean, 1) - math.log(len(columns)))
        terms, influence = (
            part.double().cpu().numpy()
            for part in value.influence(scores, self._settings.tau, paired_columns=True)
        )
        return HeldOut(terms, influence)

    def _scores(
        self, residual: nn.Module | None, rows: Tensor, f: np.ndarray, y: np.ndarray
    ) -> Scores:
        values = self._pairs(residual, rows, f, y)
        log_weights = torch.full_like(values, -math.log(len(values) - 1))
        log_weights.fill_diagonal_(-math.inf)
        joint = torch.arange(len(values), device=values.device)
        return Scores(values, joint, log_weights)

    def _pairs(
        self, residual: nn.Module | None, rows: Tensor, f: np.ndarray, y: np.ndarray
    ) -> Tensor:
        device = self._settings.device
        values = as_tensor(self.start.ratio(f, y)).to(device)
        if residual is not None:
            assert isinstance(residual, nn.ModuleDict)
            x_features = _features(residual["x"], self._x, rows, device)
            values = values + x_features @ residual["y"](as_tensor(y).to(device)).T
        return values


def _features(
    residual: nn.Module, x: Tensor | HiddenStates, rows: Tensor, device: str
) -> Tensor:
    def batch(part: Tensor) -> Tensor | HiddenStates:
        return x[part].to(device)

    # In chunks, so that a long validation set of sequences does not double the memory.
    return torch.cat([residual(batch(part)) for part in rows.split(_CHUNK)])
