r"""A critic of continuous Y: a closed form plus two towers, valued on held-out rows.

    T(x, y) = T_0(x, y) + g(x)' h(y) + b(y)

T_0 is a stack of closed-form starts, the product of elliptical ratios,

.. math:: T_0(x, y) = \sum_v w_v T_v(x, y), \quad w_v \ge 0 .

The powers are the best for telling a row's own Y from others' (InfoNCE) on nested rows: all
training rows, each by fits that did not see it. A view that knows nothing gets the power 0,
so that a stack of useless starts is the marginal, 0 nats; linear and ridge regressions of
several penalties, principal and independent components add up, where choosing the clearly
best of them would lose what the others know. The product is then mixed with the marginal,
so that no row far out costs much. The towers are trained from 0 on the
training rows, whose T_0 is out of fold. They are for what no view makes straight, such as a
product of two of ten columns. A held-out row's term is InfoNCE's, its own Y among the
others' (training rows included: thousands of them),

.. math:: T(x, y) - \log \frac{1}{m + 1} \Bigl(e^{T(x, y)} + \sum_j e^{T(x, y_j)}\Bigr),

a lower bound whatever the critic, and without the variance of Donsker-Varadhan. It falls
short from about log m - 4 on.

Reference: Heskes 1998, Selecting weighting factors in logarithmic opinion pools.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import logsumexp
from torch import Tensor, nn

from mi_probe.estimators.bounds.training import Fit, Schedule, fit_residual
from mi_probe.estimators.bounds.values import Scores, info_nce
from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.engine.mixing import marginal_weight, mixed, pair_powers
from mi_probe.estimators.scores.canonical import CanonicalStart
from mi_probe.estimators.scores.elliptical import Side

_HIDDEN, _FEATURES = 64, 32
"""Width of the towers; features of either, whose inner product is the residual."""
_SCHEDULE = Schedule(patience=3, least_errors=2.0)
_CHUNK = 512
CLEAR = 0.2
"""Correlation from which a direction is no accident of the rows that it came from."""
PAIRED_ROWS = 4096
"""Validation rows that are scored against each other, at most: 64 MiB of scores."""
_COLUMNS = 8192
"""Other rows' Y that a held-out term is compared with, at most."""
_NESTED_ROWS, _NESTED_COLUMNS = 1000, 256
"""Nested rows that the powers are learned from, and Y of others beside each row's own."""


@dataclass(frozen=True)
class PairStack:
    """T of one held-out fold: starts to powers."""

    starts: tuple[CanonicalStart, ...]
    powers: Float[np.ndarray, " s"]
    lead: CanonicalStart
    """The start that is clearly best alone; networks read its directions."""
    marginal: float = 0.0
    """Share of the marginal in the mixture with the product, once that is normalised."""
    is_density: bool = False
    """Whether T is the lead alone, a ratio of densities that needs no samples of Y."""

    @classmethod
    def alone(cls, start: CanonicalStart, *, is_density: bool = False) -> "PairStack":
        """A single start as it is."""
        return cls((start,), np.ones(1), start, is_density=is_density)

    @classmethod
    def of(cls, starts: list[CanonicalStart], lead: CanonicalStart) -> "PairStack":
        """The starts to the powers that do best on nested rows; those of 0 left out."""
        heard = [start for start in starts if not start.ratio.silent]
        if not heard:
            return cls.alone(lead)
        n = len(lead.x_train)
        rows, columns = (
            np.arange(0, n, max(1, n // m)) for m in (_NESTED_ROWS, _NESTED_COLUMNS)
        )
        members = [
            np.column_stack(
                [
                    s.ratio.paired(s.x_train[rows], s.y_train[rows]),
                    s.ratio.pairs(s.x_train[rows], s.y_train[columns]),
                ]
            )
            for s in heard
        ]
        powers = pair_powers(members)
        product = np.tensordot(powers, np.stack(members), 1)
        gain = product[:, 0] - logsumexp(product[:, 1:], axis=1) + np.log(len(columns))
        used = np.flatnonzero(powers > 0)
        kept = tuple(heard[place] for place in used)
        return cls(kept, powers[used], lead, marginal_weight(gain))

    def mixed(self, ratio: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """A normalised log ratio, mixed with the marginal's, which is 0."""
        return mixed(ratio, self.marginal) if self.marginal else ratio

    @property
    def silent(self) -> bool:
        """Whether it says 0 nats of every pair."""
        return all(start.ratio.silent for start in self.starts)

    def train_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """T of training rows, out of fold, against training rows' Y."""
        return self._pairs("x_train", rows, "y_train", columns)

    def test_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """T of held-out rows against held-out Y."""
        return self._pairs("x_test", rows, "y_test", columns)

    def reference_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """T of held-out rows against training rows' Y."""
        return self._pairs("x_test", rows, "y_reference", columns)

    def held_out(self) -> Float[np.ndarray, " m"]:
        """T of each held-out row with its own Y."""
        total = np.zeros(len(self.lead.x_test))
        for power, start in zip(self.powers, self.starts, strict=True):
            total += power * start.ratio.paired(start.x_test, start.y_test)
        return total

    def _pairs(self, x: str, rows: np.ndarray, y: str, columns: np.ndarray) -> np.ndarray:
        total = np.zeros((len(rows), len(columns)))
        for power, start in zip(self.powers, self.starts, strict=True):
            if not start.ratio.silent:
                pairs = start.ratio.pairs(
                    getattr(start, x)[rows], getattr(start, y)[columns]
                )
                total += power * pairs
        return total


class Towers(nn.Module):
    """Networks for either side; their inner product is the residual, 0 at first."""

    def __init__(self, x_width: int, y_width: int) -> None:
        super().__init__()

        def tower(width: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(width, _HIDDEN),
                nn.GELU(),
                nn.Linear(_HIDDEN, _HIDDEN),
                nn.GELU(),
                nn.Linear(_HIDDEN, _FEATURES),
            )

        self.x, self.y = tower(x_width), tower(y_width)
        self.bias = nn.Sequential(
            nn.Linear(y_width, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, 1)
        )
        for network in (self.x, self.bias):
            for weights in list(network.parameters())[-2:]:  # of the last layer
                nn.init.zeros_(weights)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The residual of all pairs, (n, m)."""
        return self.x(x) @ self.y(y).T + self.bias(y)[:, 0]

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """The residual of row i of X with row i of Y."""
        return (self.x(x) * self.y(y)).sum(1) + self.bias(y)[:, 0]


@dataclass(frozen=True)
class PairRows:
    """One held-out fold: its stack, and what the towers read of either side."""

    stack: PairStack
    x: Tensor
    """Of all rows, columns of about unit scale."""
    y: Tensor
    train: np.ndarray
    test: np.ndarray

    @property
    def start(self) -> CanonicalStart:
        """The stack's leading start."""
        return self.stack.lead

    def inputs(self, side: str, part: str) -> Tensor:
        """A side's columns and its canonical coordinates, of the rows of a part."""
        rows = self.train if part == "train" else self.test
        values = (self.x if side == "x" else self.y)[torch.from_numpy(rows)]
        return torch.cat([values, self.found(getattr(self.start, f"{side}_{part}"))], dim=1)

    def reference(self) -> Tensor:
        """Y's inputs of the training rows, by the fit that scores the held-out rows."""
        values = self.y[torch.from_numpy(self.train)]
        return torch.cat([values, self.found(self.start.y_reference)], dim=1)

    def found(self, side: Side) -> Tensor:
        """Canonical coordinates that are the same axes in every fit, as inputs."""
        clear = self.start.ratio.correlations > CLEAR
        return as_tensor(np.clip(side.variates[:, clear], -5, 5))


def fit_towers(
    rows: PairRows, watched: Bool[np.ndarray, " m"], seeds: tuple[int, int]
) -> tuple[Towers, Fit]:
    """Towers trained on the training rows, stopped on those that are watched.

    Args:
        rows: one held-out fold.
        watched: True for the training rows that are.
        seeds: of the weights and of the batches.
    """
    x, y = rows.inputs("x", "train"), rows.inputs("y", "train")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds[0])
        towers = Towers(x.shape[1], y.shape[1])

    def score_rows(batch: Tensor) -> Scores:
        index = batch.numpy()
        values = as_tensor(rows.stack.train_pairs(index, index)) + towers(
            x[batch], y[batch]
        )
        log_weights = torch.full_like(values, -math.log(len(values) - 1))
        log_weights.fill_diagonal_(-math.inf)
        return Scores(values, torch.arange(len(values)), log_weights)

    fit = fit_residual(
        towers,
        score_rows,
        lambda scores: info_nce(scores).mean(),
        info_nce,
        torch.from_numpy(np.flatnonzero(~watched)),
        torch.from_numpy(np.flatnonzero(watched)),
        _SCHEDULE,
        torch.Generator().manual_seed(seeds[1]),
    )
    return towers.eval(), fit


@torch.no_grad()
def held_out_terms(rows: PairRows, towers: Towers | None) -> Float[np.ndarray, " m"]:
    """InfoNCE terms of the held-out rows against training and other held-out Y, in nats."""
    if rows.stack.silent and towers is None:
        return np.zeros(len(rows.test))
    step = max(1, math.ceil(len(rows.train) / _COLUMNS))
    columns = np.arange(0, len(rows.train), step)
    own = rows.stack.held_out()
    x, y = rows.inputs("x", "test"), rows.inputs("y", "test")
    others = rows.y[torch.from_numpy(rows.train[::step])]
    others = torch.cat([others, rows.found(rows.start.y_reference[columns])], dim=1)
    if towers is not None:
        own = own + towers.paired(x, y).double().numpy()
    log_sum = np.empty(len(rows.test))
    for part in np.split(np.arange(len(rows.test)), range(_CHUNK, len(rows.test), _CHUNK)):
        pairs = as_tensor(rows.stack.reference_pairs(part, columns))
        if towers is not None:
            pairs += towers(x[part], others)
        log_sum[part] = torch.logsumexp(pairs, 1).double().numpy()
    m = len(columns)
    # Normalised over the others' Y, so that the mixture with the marginal is a critic too.
    ratio = rows.stack.mixed(own - (log_sum - math.log(m)))
    return ratio - np.logaddexp(ratio, math.log(m)) + math.log(m + 1)


def most_shown(rows: int) -> float:
    """The most nats that a held-out term can show among so many training rows' Y."""
    return math.log(math.ceil(rows / max(1, math.ceil(rows / _COLUMNS))) + 1)


def nested_terms(start: CanonicalStart, most: int = 2000) -> Float[np.ndarray, " m"]:
    """InfoNCE terms of training rows by the start alone: what views are chosen by."""
    rows = slice(None, None, max(1, len(start.x_train) // most))
    x, y = start.x_train[rows], start.y_train[rows]
    if start.ratio.silent:
        return np.zeros(len(x))
    pairs = as_tensor(start.ratio.pairs(x, y))
    log_mean = torch.logsumexp(pairs, 1).double().numpy() - math.log(len(x))
    return pairs.diagonal().double().numpy() - log_mean
