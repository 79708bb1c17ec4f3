r"""The kinds together: the critic that is valued is a sum of theirs.

.. math:: T(x, y) = \sum_k w_k T_k(x, y), \qquad w_k \ge 0

The powers are those of the highest likelihood of the watched rows, pulled towards equal
shares. A kind that did not clearly beat T = 0 there is left out, so that of an X that tells
nothing T = 0 is left.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.bounds.values import Scores, Terms
from mi_probe.estimators.engine.mixing import log_linear_weights
from mi_probe.estimators.mine.marginals import Marginal
from mi_probe.estimators.mine.network import Statistics

_LEAST_ERRORS = 1.0
"""Standard errors by which a kind has to beat T = 0 on the watched rows."""
_PULL = 2.0
"""Of equal shares: as a normal prior of standard deviation 1/2 would exert it."""
_CHUNK = 1024
"""Rows that are scored at a time."""


@dataclass(frozen=True)
class Ensemble:
    """The trained kinds of one problem with their powers."""

    kinds: dict[str, Statistics]
    problem: int
    powers: Float[np.ndarray, " k"]
    level: float
    """What is taken from T: its log E exp T on the watched rows."""

    @torch.no_grad()
    def __call__(self, rows: Int[Tensor, " b"], columns: Int[Tensor, " m"]) -> Tensor:
        """T of rows against columns; 0 where no kind is left."""
        total = torch.zeros(len(rows), len(columns), device=rows.device)
        for power, network in zip(self.powers.tolist(), self.kinds.values(), strict=True):
            if power > 0:
                total += power * scored(network, self.problem, rows, columns)
        return total - self.level

    @property
    def shares(self) -> dict[str, float]:
        """The powers above 0, by kind."""
        named = zip(self.kinds, self.powers.tolist(), strict=True)
        return {name: power for name, power in named if power > 0}


@torch.no_grad()
def scored(
    network: Statistics, problem: int, rows: Int[Tensor, " b"], columns: Int[Tensor, " m"]
) -> Float[Tensor, "b m"]:
    """T of one problem's network, rows against columns."""
    at = slice(problem, problem + 1)
    return torch.cat(
        [network(part[None], columns[None], at)[0] for part in rows.split(_CHUNK)]
    )


@torch.no_grad()
def ensemble(
    kinds: dict[str, Statistics],
    problem: int,
    watched: Int[Tensor, " v"],
    marginal: Marginal,
    terms: Terms,
    *,
    levelled: bool,
) -> Ensemble:
    """Weigh the kinds of one problem by rows that stopped their training.

    Args:
        kinds: trained networks.
        problem: which of theirs.
        watched: the rows.
        marginal: what rows are scored against.
        terms: the bound's, by which a kind has to beat T = 0.
        levelled: take log E exp T from T, where the bound is not normalised for each x.
    """
    columns = marginal.columns(watched[None])[0]
    values, scores = [], []
    for network in kinds.values():
        found = scored(network, problem, watched, columns)[None]
        scores.append(marginal.of_problem(problem).scores(found, watched[None]))
        values.append(found[0].double().cpu().numpy())
    log_weights, joint = marginal.of_problem(problem).with_own(scores[0])
    kept = np.array([_beats_nothing(terms, marginal.lowered(one)) for one in scores])
    powers = np.zeros(len(kinds))
    if kept.any():
        members = [v + log_weights for v, k in zip(values, kept, strict=True) if k]
        powers[kept] = log_linear_weights(members, log_weights, joint, _PULL)
    found = Ensemble(kinds, problem, powers, 0.0)
    if not levelled or not powers.any():
        return found
    total = marginal.of_problem(problem).scores(
        found(watched, columns)[None], watched[None]
    )
    sums = total.log_partition[0]
    level = float(torch.logsumexp(sums, 0)) - math.log(len(sums))
    return Ensemble(kinds, problem, powers, level)


def _beats_nothing(terms: Terms, scores: Scores) -> bool:
    found = terms(scores)[0].double()
    if len(found) < 2:  # one row shows nothing
        return False
    error = float(found.std()) / math.sqrt(len(found))
    return bool(found.mean() > _LEAST_ERRORS * error)
