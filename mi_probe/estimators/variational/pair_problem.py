"""One held-out fold of a Y without classes: rows are scored against each other's Y.

Real numbers and answers in tokens differ in where T_0 comes from and in the network that
reads Y; the two networks' features meet in a product, so that all pairs of a batch cost
one matrix product.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import logsumexp
from torch import Tensor, nn

from mi_probe.estimators.bounds.values import Scores
from mi_probe.estimators.core.assembly import HeldOut
from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.models.normal_scores import normal_scores
from mi_probe.estimators.scores.canonical import FUNCTION, CanonicalStart
from mi_probe.estimators.scores.elliptical import EllipticalRatio, Side
from mi_probe.estimators.scores.pair_critic import PairRows, PairStack
from mi_probe.estimators.variational.problems import CriticSettings, features_of
from mi_probe.estimators.variational.residuals import residual_for
from mi_probe.estimators.variational.token_start import TokenEncoder, TokenStart
from mi_probe.hidden import HiddenStates

_COLUMNS = 2048
"""Training rows whose Y normalise a critic."""
_ROWS = 2500
"""Held-out rows that are scored against each other at once, about."""


class CopulaPairs:
    """The copula's start of a continuous Y (`scores.fits`), as T_0 of pairs."""

    def __init__(self, rows: PairRows, name: str) -> None:
        """Hold one fold's stack; T_0 is 0 where it found nothing."""
        stack, start = rows.stack, rows.start
        self._stack, self._used = stack, not stack.silent
        self.y_train, self.y_test = rows.inputs("y", "train"), rows.inputs("y", "test")
        self.y_reference = rows.reference()
        self.chosen = {f"{name}:pairs": float(len(start.ratio.correlations))}
        self.is_density = self._used and stack.is_density
        self.is_function = bool((start.ratio.correlations > FUNCTION).any())
        # A product is no ratio of densities: each row's is made one on average.
        self._low = {"train": np.zeros(len(rows.train)), "test": np.zeros(len(rows.test))}
        if self._used and not self.is_density:
            columns = every(len(rows.train), _COLUMNS)
            parts = (("train", stack.train_pairs), ("test", stack.reference_pairs))
            for part, pairs in parts:
                low = self._low[part]
                for at in np.array_split(np.arange(len(low)), max(1, len(low) // 512)):
                    total = np.asarray(logsumexp(pairs(at, columns), axis=1))
                    low[at] = total - math.log(len(columns))

    @classmethod
    def of_nothing(
        cls, y: Float[np.ndarray, "n k"], fold: Int[np.ndarray, " n"], k: int
    ) -> "CopulaPairs":
        """Of an X that does not vary."""
        columns = as_tensor(np.zeros((len(y), 1))), as_tensor(normal_scores(y))
        train, test = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        sides = [Side(np.zeros((len(r), 0)), np.zeros(len(r))) for r in (train, test)]
        ratio = EllipticalRatio(np.zeros(0), math.inf, (1, y.shape[1]))
        start = CanonicalStart(
            ratio, sides[0], sides[0], sides[1], sides[1], sides[0], ridge=0.0
        )
        return cls(PairRows(PairStack.alone(start), *columns, train, test), "nothing")

    def x(self, rows: PairRows) -> Tensor:
        """What the network reads of X, of all rows."""
        parts = {part: rows.inputs("x", part) for part in ("train", "test")}
        found = torch.empty(len(rows.x), parts["train"].shape[1])
        found[torch.from_numpy(rows.train)] = parts["train"]
        found[torch.from_numpy(rows.test)] = parts["test"]
        return found

    def y_network(self, width: int, hidden: int) -> nn.Module:
        """The network that reads Y."""
        return nn.Sequential(
            nn.Linear(self.y_train.shape[1], hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, width),
        )

    def train_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """Training rows, out of fold, against training rows' Y."""
        return self._pairs(self._stack.train_pairs, rows, columns, "train")

    def test_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """Held-out rows against held-out Y."""
        return self._pairs(self._stack.test_pairs, rows, columns, "test")

    def reference_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """Held-out rows against training rows' Y."""
        return self._pairs(self._stack.reference_pairs, rows, columns, "test")

    def _pairs(
        self,
        pairs: Callable[[np.ndarray, np.ndarray], np.ndarray],
        rows: np.ndarray,
        columns: np.ndarray,
        part: str,
    ) -> np.ndarray:
        if not self._used:
            return np.zeros((len(rows), len(columns)))
        return self._stack.mixed(pairs(rows, columns) - self._low[part][rows][:, None])


class TokenPairs:
    """The start of answers in tokens, and the answers as the network reads them."""

    is_density = is_function = False

    def __init__(self, start: TokenStart) -> None:
        self._n_tokens, self.chosen = start.n_tokens, start.chosen
        self.train_pairs, self.test_pairs = start.train_pairs, start.test_pairs
        self.reference_pairs = start.reference_pairs
        self.y_train = self.y_reference = torch.from_numpy(start.ids_train)
        self.y_test = torch.from_numpy(start.ids_test)

    def y_network(self, width: int, hidden: int) -> nn.Module:
        """The network that reads Y."""
        return TokenEncoder(self._n_tokens, self.y_train.shape[1], width, hidden)


class PairProblem:
    """One fold of real numbers or answers as Y."""

    ceiling = None

    def __init__(
        self,
        settings: "CriticSettings",
        x: Tensor | HiddenStates,
        train: np.ndarray,
        test: np.ndarray,
        start: CopulaPairs | TokenPairs,
    ) -> None:
        self._settings, self._x, self.start = settings, x, start
        self._rows, self._held_out = torch.from_numpy(train), torch.from_numpy(test)

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
        x_side = residual_for(self._x, self._rows[rows], width, hidden)
        return nn.ModuleDict({"x": x_side, "y": self.start.y_network(width, hidden)})

    def train_scores(self, residual: nn.Module, rows: Tensor) -> Scores:
        """Scores of training rows, T_0 out of fold; each is the others' negative."""
        places = rows.numpy()
        start = self.start.train_pairs(places, places)
        return Scores.against_each_other(
            self._pairs(residual, self._rows[rows], start, self.start.y_train[rows])
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
        scores = Scores.against_each_other(
            self._pairs(residual, rows, start, self.start.y_test[group])
        )
        # A Gaussian ratio is normalised as it is, better than by any sample of Y.
        if value.normalised and not (residual is None and self.start.is_density):
            columns = every(self.n_train, _COLUMNS)
            start = self.start.reference_pairs(group, columns)
            reference = self._pairs(residual, rows, start, self.start.y_reference[columns])
            log_mean = torch.logsumexp(reference, 1) - math.log(len(columns))
            # Any function of x and y is a critic: one that never says more than such a
            # sample could show keeps a single far row from ruling a mean of exp T.
            values = (scores.values - log_mean[:, None]).clamp(max=math.log(len(columns)))
            scores = Scores(values, scores.joint, scores.log_weights)
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


def every(n: int, most: int) -> Int[np.ndarray, " m"]:
    """Evenly spaced rows, about as many as ``most``."""
    return np.arange(0, n, max(1, n // most))
