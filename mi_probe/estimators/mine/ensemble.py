r"""The kinds together: the critic that is valued is a sum of theirs.

.. math:: T(x, y) = T_0(x, y) + \sum_k w_k T_k(x, y), \qquad w_k \ge 0

T_0 is the start, 0 in MINE. The powers are those of the highest likelihood of the watched
rows, pulled towards equal shares. A kind that did not clearly beat T_0 there is left out,
so that of an X that tells nothing T = 0 is left.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.critic.bounds import Terms
from mi_probe.estimators.engine.mixing import log_linear_weights
from mi_probe.estimators.mine.marginals import Marginal, Start
from mi_probe.estimators.mine.statistics_network import Statistics

_LEAST_ERRORS = 1.0
"""Standard errors by which a kind has to beat T_0 on the watched rows."""
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
    start: Start | None = None
    """T_0; None where it is 0."""
    level: float = 0.0
    """Log E exp T on the watched rows, which is taken from T."""

    @torch.no_grad()
    def __call__(self, rows: Int[Tensor, " b"], columns: Int[Tensor, " m"]) -> Tensor:
        """T of rows against columns; T_0 where no kind is left."""
        total = torch.zeros(len(rows), len(columns), device=rows.device)
        if self.start is not None:
            total = self.start.scores(rows, columns)
        for power, network in zip(self.powers.tolist(), self.kinds.values(), strict=True):
            if power > 0:
                total = total + power * scored(network, self.problem, rows, columns)
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
        terms: the bound's, by which a kind has to beat T_0.
        levelled: take log E exp T from T, where the bound is not normalised for each x.
    """
    columns, one = marginal.columns(watched[None])[0], marginal.of_problem(problem)
    found = [scored(n, problem, watched, columns)[None] for n in kinds.values()]
    nothing = one.scores(torch.zeros_like(found[0]), watched[None])
    log_weights, joint = one.with_own(nothing)
    least = terms(marginal.lowered(nothing))[0].double() if one.starts else 0.0
    kept = np.array(
        [
            _beats(
                terms(marginal.lowered(one.scores(f, watched[None])))[0].double() - least
            )
            for f in found
        ]
    )
    powers = np.zeros(len(kinds))
    if one.starts:
        log_weights = log_weights + nothing.values[0].double().cpu().numpy()
    if kept.any():
        said = [f[0].double().cpu().numpy() for f, k in zip(found, kept, strict=True) if k]
        members = [values + log_weights for values in said]
        powers[kept] = log_linear_weights(members, log_weights, joint, _PULL)
    start = one.starts[0] if one.starts else None
    made = Ensemble(kinds, problem, powers, start)
    if not levelled or not (powers.any() or start):
        return made
    values = replace(made, start=None)(watched, columns)[None]
    sums = one.scores(values, watched[None]).log_partition[0]
    level = float(torch.logsumexp(sums, 0)) - math.log(len(sums))
    return replace(made, level=level)


def _beats(gain: Float[Tensor, " v"]) -> bool:
    if len(gain) < 2:  # one row shows nothing
        return False
    error = float(gain.std()) / math.sqrt(len(gain))
    return bool(gain.mean() > _LEAST_ERRORS * error)
