"""One held-out fold of a Y without classes: rows are scored against each other's Y.

Real numbers and answers in tokens differ in where T_0 comes from and in the network that
reads Y; the two networks' features meet in a product, so that all pairs of a batch cost
one matrix product.
"""

import math
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mi_probe.estimators.bounds import Scores
from mi_probe.estimators.critics import residual_for
from mi_probe.estimators.problems import CriticSettings, HeldOut, features_of
from mi_probe.estimators.score_start import ScoreStart
from mi_probe.estimators.targets import as_tensor
from mi_probe.estimators.token_start import TokenEncoder, TokenStart
from mi_probe.hidden import HiddenStates

_COLUMNS = 2048
"""Training rows whose Y normalise a critic."""
_ROWS = 2500
"""Held-out rows that are scored against each other at once, about."""


@runtime_checkable
class PairStart(Protocol):
    """T_0 of one fold: of its training rows, and of the rows that are held out."""

    @property
    def chosen(self) -> dict[str, float]:
        """What the start was made of."""
        ...

    def train_pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """T_0 of training rows (by their place) against training rows' Y."""
        ...

    def test_pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """T_0 of held-out rows against held-out Y."""
        ...

    def reference_pairs(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """T_0 of held-out rows against training rows' Y."""
        ...


class GaussianPairs:
    """The linear-Gaussian start of a continuous Y, as T_0 of pairs."""

    def __init__(self, start: ScoreStart) -> None:
        self._start, self.chosen = start, start.chosen

    def train_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """Training rows, out of fold, against training rows' Y."""
        start = self._start
        return start.ratio(start.train[rows], start.y_train[columns])

    def test_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """Held-out rows against held-out Y."""
        start = self._start
        return start.ratio(start.test[rows], start.y_test[columns])

    def reference_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """Held-out rows against training rows' Y."""
        start = self._start
        return start.ratio(start.test[rows], start.y_train[columns])


class PairProblem:
    """One fold of real numbers or answers as Y."""

    ceiling = None

    def __init__(
        self,
        settings: "CriticSettings",
        x: Tensor | HiddenStates,
        train: np.ndarray,
        test: np.ndarray,
        start: ScoreStart | TokenStart,
    ) -> None:
        self._settings, self._x = settings, x
        self._rows, self._held_out = torch.from_numpy(train), torch.from_numpy(test)
        self.start: PairStart
        if isinstance(start, TokenStart):
            self.start, self._n_tokens = start, start.n_tokens
            self._y_train = torch.from_numpy(start.ids_train)
            self._y_test = torch.from_numpy(start.ids_test)
        else:
            self.start = GaussianPairs(start)
            self._y_train, self._y_test = as_tensor(start.y_train), as_tensor(start.y_test)

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
        y = self._y_train
        if y.is_floating_point():
            y_side = nn.Sequential(
                nn.Linear(y.shape[1], hidden), nn.GELU(), nn.Linear(hidden, width)
            )
        else:
            y_side = TokenEncoder(self._n_tokens, y.shape[1], width, hidden)
        x_side = residual_for(self._x, self._rows[rows], width, hidden)
        return nn.ModuleDict({"x": x_side, "y": y_side})

    def train_scores(self, residual: nn.Module, rows: Tensor) -> Scores:
        """Scores of training rows, T_0 out of fold; each is the others' negative."""
        places = rows.numpy()
        start = self.start.train_pairs(places, places)
        return _against_each_other(
            self._pairs(residual, self._rows[rows], start, self._y_train[rows])
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
        n = len(self._held_out)
        groups = np.array_split(np.arange(n), max(1, round(n / _ROWS)))
        parts = [self._held_out_group(residual, group) for group in groups]
        terms, influence = (
            torch.cat(part).double().cpu().numpy() for part in zip(*parts, strict=True)
        )
        return HeldOut(terms, influence)

    def _held_out_group(
        self, residual: nn.Module | None, group: Int[np.ndarray, " g"]
    ) -> tuple[Tensor, Tensor]:
        value, rows = self._settings.value, self._held_out[group]
        start = self.start.test_pairs(group, group)
        scores = _against_each_other(
            self._pairs(residual, rows, start, self._y_test[group])
        )
        if value.normalised:
            columns = np.arange(0, self.n_train, max(1, self.n_train // _COLUMNS))
            start = self.start.reference_pairs(group, columns)
            reference = self._pairs(residual, rows, start, self._y_train[columns])
            log_mean = torch.logsumexp(reference, 1) - math.log(len(columns))
            scores = scores.lowered(log_mean)
        return value.influence(scores, self._settings.tau, paired_columns=True)

    def _pairs(
        self, residual: nn.Module | None, rows: Tensor, start: np.ndarray, y: Tensor
    ) -> Tensor:
        device = self._settings.device
        values = as_tensor(start).to(device)
        if residual is not None:
            assert isinstance(residual, nn.ModuleDict)
            x_features = features_of(residual["x"], self._x, rows, device)
            values = values + x_features @ residual["y"](y.to(device)).T
        return values


def _against_each_other(values: Float[Tensor, "b b"]) -> Scores:
    log_weights = torch.full_like(values, -math.log(len(values) - 1))
    log_weights.fill_diagonal_(-math.inf)
    return Scores(values, torch.arange(len(values), device=values.device), log_weights)
