r"""A critic of continuous Y: a closed form plus two towers, valued on held-out rows.

    T(x, y) = T_0(x, y) + g(x)' h(y) + b(y)

T_0 is a stack of elliptical ratios (`pair_stack`); the towers are trained from 0 on the
training rows, whose T_0 is out of fold. They are for what no view makes straight, such as a
product of two of ten columns. A held-out row's term is InfoNCE's, its own Y among the
others' (training rows included: thousands of them),

.. math:: T(x, y) - \log \frac{1}{m + 1} \Bigl(e^{T(x, y)} + \sum_j e^{T(x, y_j)}\Bigr),

a lower bound whatever the critic, and without the variance of Donsker-Varadhan. It falls
short from about log m - 4 on.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mi_probe.estimators.continuous.canonical import CanonicalStart
from mi_probe.estimators.continuous.elliptical import Side
from mi_probe.estimators.continuous.pair_stack import PairStack
from mi_probe.estimators.critic.bounds import Scores, info_nce
from mi_probe.estimators.critic.training import Fit, Schedule, descend
from mi_probe.estimators.protocol.targets import as_tensor

_CHUNK = 512
CLEAR = 0.2
"""Correlation from which a direction is no accident of the rows that it came from."""
PAIRED_ROWS = 4096
"""Validation rows that are scored against each other, at most: 64 MiB of scores."""
_COLUMNS = 8192
"""Other rows' Y that a held-out term is compared with, at most."""


class Towers(nn.Module):
    """Networks for either side; their inner product is the residual, 0 at first."""

    def __init__(self, x_width: int, y_width: int, hidden: int, features: int) -> None:
        super().__init__()

        def tower(width: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(width, hidden),
                nn.GELU(),
                nn.Linear(hidden, hidden),
                nn.GELU(),
                nn.Linear(hidden, features),
            )

        self.x, self.y = tower(x_width), tower(y_width)
        self.bias = nn.Sequential(
            nn.Linear(y_width, hidden), nn.GELU(), nn.Linear(hidden, 1)
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
    rows: PairRows,
    split: np.ndarray,
    schedule: Schedule,
    generator: torch.Generator,
    *,
    hidden: int,
    features: int,
) -> tuple[Towers, Fit]:
    """Towers trained on the training rows, stopped on those that ``split`` marks."""
    x, y = rows.inputs("x", "train"), rows.inputs("y", "train")
    towers = Towers(x.shape[1], y.shape[1], hidden, features)

    def score_rows(batch: Tensor) -> Scores:
        index = batch.numpy()
        values = as_tensor(rows.stack.train_pairs(index, index)) + towers(
            x[batch], y[batch]
        )
        log_weights = torch.full_like(values, -math.log(len(values) - 1))
        log_weights.fill_diagonal_(-math.inf)
        return Scores(values, torch.arange(len(values)), log_weights)

    train, other = (torch.from_numpy(np.flatnonzero(part)) for part in (~split, split))
    fit = descend(
        towers,
        lambda batch: -info_nce(score_rows(train[batch])),
        len(train),
        lambda: -info_nce(score_rows(other)),
        schedule,
        generator,
    )
    return towers, fit


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
