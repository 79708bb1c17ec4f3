r"""The statistics network T(x, y), many of one shape side by side.

.. math:: T(x, y) = f(x) \cdot g(y) + b(y)

Where Y has few classes g is the identity: f gives a score for each class. Else the two
sides meet in a product, so that all pairs of a batch cost one product of matrices.

f of a vector is a linear map plus a network of two hidden layers; f of a sequence is the
evidence network of `sequences.evidence`, which reads all tokens with their places and is
unchanged by padding. T is 0 before the first step.

The first axis of every weight is that of problems (a held-out fold each): they share
nothing but the time of a step, which on one processor is two to three times as short for
five small networks at once as for one after another.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from mi_probe.estimators.critic.batched import Problem
from mi_probe.estimators.mine.inputs import Vectors
from mi_probe.estimators.sequences.evidence import (
    evidence_scores,
    evidence_weights,
)
from mi_probe.estimators.sequences.token_coordinates import TokenInputs

HIDDEN = 64
FEW = 64
"""Columns up to which X counts as one of few dimensions."""
_SPEED, _LINEAR_SPEED = 4, 15
"""Learning rates of vectors as multiples of the schedule's."""
_TOKEN_RATE, _TOKEN_DECAY = 1e-2, 5e-2
"""Learning rate of tokens, whatever the schedule's: they begin on a plateau, which small
steps do not leave while the watched rows have patience, and closed forms of poolings know
nothing of what lies behind it."""

Groups: TypeAlias = Iterator[dict[str, Any]]
"""Weights with the learning rate that they are trained by."""


@dataclass(frozen=True)
class Kind:
    """A member of the ensemble that reads vectors."""

    columns: Literal["columns", "whitened"]
    scale: float
    """Spread of the first layer's sums where it starts; 0 leaves the linear map alone."""
    wave: bool = False
    """Whether the first layer's units are sines: for what changes often along x."""
    fewest: int = 1
    """Columns from which it is tried."""
    most: float = math.inf
    """Columns up to which it is tried."""

    def reads(self, d: int) -> bool:
        """Whether it is tried on so many columns."""
        return self.fewest <= d <= self.most


KINDS: dict[str, Kind] = {
    "linear": Kind("columns", 0.0, fewest=FEW + 1),
    "smooth": Kind("columns", 0.3),
    "rough": Kind("columns", 1.0),
    "waves": Kind("whitened", 2.0, wave=True, most=float(FEW)),
}
"""Networks of different reach; the rows that weigh them say which one this X needs. In few
columns a linear map alone adds nothing to the networks, which hold one; in many nothing
repeats along a random line."""


class VectorSide(nn.Module):
    """f or g of vectors: a linear map plus a network of two layers."""

    def __init__(
        self, x: Vectors, kind: Kind, problems: int, width: int, draw: torch.Generator
    ) -> None:
        super().__init__()
        self.x, self.kind = getattr(x, kind.columns), kind
        d = self.x.shape[1]
        self.linear = nn.Parameter(torch.zeros(problems, d, width))
        """0 where it starts, as the head: so is T then."""
        self.bias = nn.Parameter(torch.zeros(problems, 1, width))
        if kind.scale:
            spread = 3.0 if kind.wave else 1.0
            self.first = _normal((problems, d, HIDDEN), kind.scale / math.sqrt(d), draw)
            self.shift = _normal((problems, 1, HIDDEN), spread, draw)
            self.second = _normal((problems, HIDDEN, HIDDEN), math.sqrt(2 / HIDDEN), draw)
            self.second_shift = nn.Parameter(torch.zeros(problems, 1, HIDDEN))
            self.head = nn.Parameter(torch.zeros(problems, HIDDEN, width))

    def forward(
        self, rows: Int[Tensor, "p b"], at: slice = slice(None)
    ) -> Float[Tensor, "p b w"]:
        """Features of these rows by the problems ``at``."""
        x = self.x[rows]
        found = torch.baddbmm(self.bias[at], x, self.linear[at])
        if not self.kind.scale:
            return found
        z = torch.baddbmm(self.shift[at], x, self.first[at])
        z = torch.sin(z) if self.kind.wave else silu(z)
        z = silu(torch.baddbmm(self.second_shift[at], z, self.second[at]))
        return torch.baddbmm(found, z, self.head[at])

    def as_y(self, draw: torch.Generator) -> "VectorSide":
        """The same as g: features that differ from the start, but for b(y), the last."""
        with torch.no_grad():
            for w in (self.linear, getattr(self, "head", self.linear)):
                spread = torch.full((w.shape[2],), 1 / math.sqrt(w.shape[1]))
                spread[-1] = 0
                w.copy_(torch.randn(w.shape, generator=draw) * spread)
        return self

    def groups(self, rate: float) -> Groups:
        """In many columns the linear map takes steps in proportion to its gradient.

        Adam's, all of one size, would add as much noise in each of hundreds of columns
        that tell nothing as they learn from the few that do.
        """
        params = dict(self.named_parameters())
        if self.linear.shape[1] > FEW:
            linear = params.pop("linear")
            yield {"params": [linear], "lr": _LINEAR_SPEED * rate, "eps": 1.0}
        yield {"params": list(params.values()), "lr": _SPEED * rate}


class TokenSide(nn.Module):
    """f of sequences: the evidence network over all tokens."""

    def __init__(
        self, x: TokenInputs, problems: int, width: int, draw: torch.Generator
    ) -> None:
        super().__init__()
        self.x = x
        seeds = torch.randint(2**31, (problems,), generator=draw).tolist()
        nothing = np.zeros(0, dtype=np.int64), np.zeros(width)
        drawn = evidence_weights(x.coordinates, [Problem(*nothing, s) for s in seeds])
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(w) for name, w in drawn.items()}
        )

    def forward(
        self, rows: Int[Tensor, "p b"], at: slice = slice(None)
    ) -> Float[Tensor, "p b w"]:
        """Features of these rows by the problems ``at``."""
        weights = {name: w[at] for name, w in self.weights.items()}
        return evidence_scores(weights, *self.x.batch(rows))

    def groups(self, rate: float) -> Groups:
        """One rate for all, not the schedule's."""
        params = list(self.parameters())
        yield {"params": params, "lr": _TOKEN_RATE, "weight_decay": _TOKEN_DECAY}


class ClassVectors(nn.Module):
    """g of many classes: a vector and a number for each."""

    def __init__(
        self, n_classes: int, problems: int, width: int, draw: torch.Generator
    ) -> None:
        super().__init__()
        size = (problems, n_classes, width)
        self.vectors = _normal(size, 1 / math.sqrt(width), draw)
        self.levels = nn.Parameter(torch.zeros(problems, n_classes, 1))

    def forward(
        self, columns: Int[Tensor, "p m"], at: slice = slice(None)
    ) -> Float[Tensor, "p m w"]:
        """The vector of every class, its number last, whatever the columns."""
        return torch.cat([self.vectors[at], self.levels[at]], 2)


class AnswerSide(nn.Module):
    """g of answers in tokens: what each token is, by its position, added up."""

    def __init__(
        self,
        ids: Int[Tensor, "n t"],
        problems: int,
        width: int,
        draw: torch.Generator,
    ) -> None:
        super().__init__()
        self.ids = ids
        """Token ids, -1 behind the answer's end."""
        tokens, longest, out = int(ids.max()) + 1, ids.shape[1], width + 1
        self.tokens = _normal((problems, tokens, HIDDEN), 0.5, draw)
        self.places = _normal((problems, longest, HIDDEN), 1.0, draw)
        self.shift = _normal((problems, 1, HIDDEN), 1.0, draw)
        self.linear = _normal((problems, HIDDEN, out), 1 / math.sqrt(HIDDEN), draw)
        self.head = _normal((problems, HIDDEN, out), 1 / math.sqrt(HIDDEN), draw)
        with torch.no_grad():
            self.linear[..., -1], self.head[..., -1] = 0, 0

    def forward(
        self, columns: Int[Tensor, "p m"], at: slice = slice(None)
    ) -> Float[Tensor, "p m w"]:
        """Features of the answers of these rows, b(y) last."""
        ids = self.ids[columns]
        problem = torch.arange(len(ids), device=ids.device)[:, None, None]
        read = self.tokens[at][problem, ids.clamp(min=0)] * self.places[at][:, None]
        total = (read * (ids >= 0)[..., None]).sum(2)
        z = silu(total + self.shift[at])
        return torch.bmm(total, self.linear[at]) + torch.bmm(z, self.head[at])


XSide: TypeAlias = VectorSide | TokenSide
YSide: TypeAlias = ClassVectors | VectorSide | AnswerSide


class Statistics(nn.Module):
    """T(x, y) of one kind, for all problems."""

    def __init__(self, x_side: XSide, y_side: YSide | None) -> None:
        super().__init__()
        self.x_side, self.y_side = x_side, y_side

    def forward(
        self,
        rows: Int[Tensor, "p b"],
        columns: Int[Tensor, "p _"],
        at: slice = slice(None),
    ) -> Float[Tensor, "p b m"]:
        """T of rows' X against columns: all classes, or the Y of other rows."""
        features = self.x_side(rows, at)
        if self.y_side is None:
            return features
        y = self.y_side(columns, at)
        level = y[..., -1][:, None].expand(-1, features.shape[1], -1)
        return torch.baddbmm(level, features, y[..., :-1].transpose(1, 2))

    def groups(self, rate: float) -> Groups:
        """Weights with their learning rates, from the schedule's."""
        yield from self.x_side.groups(rate)
        if self.y_side is not None:
            yield {"params": list(self.y_side.parameters()), "lr": _SPEED * rate}


def _normal(size: tuple[int, ...], spread: float, draw: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.randn(size, generator=draw) * spread)
