"""The permutation null: what an estimator says where there is nothing to find."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.protocol.base import Estimate, Estimator, States, Target
from mi_probe.estimators.protocol.copies import first_of_each
from mi_probe.estimators.protocol.tokens import TokenSequences


@runtime_checkable
class Permutable(Protocol):
    """An estimator with a cheaper statistic for permutation tests."""

    def permuted(
        self, x: States, y: Target, orders: Int[np.ndarray, "p n"], seed: int
    ) -> Float[np.ndarray, " p"] | None:
        """The statistic for Y in each of these orders; None where it has none."""
        ...


def with_null(
    estimator: Estimator,
    x: States,
    y: Target,
    *,
    n_permutations: int,
    seed: int = 0,
    **more: Any,
) -> Estimate:
    """The estimate, with the same statistic of permuted Y beside it.

    A permutation keeps both margins and breaks the pairing. The statistic is the estimate
    itself, by the same seed for every Y, or the estimator's own cheaper one
    (`Estimate.statistic`); either way it is one function of (X, Y) and independent pairs
    are exchangeable with permuted ones, so `Estimate.p_value`, which breaks ties at random,
    is exact: with 19 permutations it is at most 0.05 in exactly 5 % of independent data
    sets. A p-value of 0.05 needs at least 19 of them. Copies of an example are permuted
    together: alone they would have to differ in Y, as no sample with copies does.

    Args:
        estimator: the whole procedure.
        x: the states.
        y: what is permuted.
        n_permutations: how often.
        seed: of the permutations and of every estimate.
        more: the estimator's own further arguments, such as ``hints``.

    Raises:
        InputError: for a negative number of permutations.
    """
    if n_permutations < 0:
        raise InputError(
            f"n_permutations must be 0 or more; got {n_permutations}. "
            "19 or more give a p-value of 0.05."
        )
    estimate = estimator.estimate(x, y, seed=seed, **more)
    if not n_permutations:
        return estimate
    n = len(estimate.pointwise)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    shuffled = (_order(n, estimate.group, rng) for _ in range(n_permutations))
    orders = np.stack([np.arange(n), *shuffled])
    if isinstance(estimator, Permutable):
        values = estimator.permuted(x, y, orders, seed)
        if values is not None:
            return estimate.with_null(
                [float(value) for value in values[1:]], statistic=float(values[0])
            )
    given = y if isinstance(y, TokenSequences | Tensor) else np.asarray(y)
    return estimate.with_null(
        [
            estimator.estimate(x, given[order], seed=seed, **more).nats
            for order in orders[1:]
        ]
    )


def _order(
    n: int, group: Int[np.ndarray, " n"] | None, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Whose Y each row takes: a permutation, of the groups where there are copies."""
    if group is None:
        return rng.permutation(n)
    first = first_of_each(group)
    return first[rng.permutation(len(first))][group]
