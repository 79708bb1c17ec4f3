"""The permutation null: what an estimator says where there is nothing to find."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.core.admission import split_rows
from mi_probe.estimators.core.base import Estimate, Estimator, States
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.states import as_states
from mi_probe.estimators.core.targets import Target, TokenSequences, as_target
from mi_probe.hidden import HiddenStates


@runtime_checkable
class Permutable(Protocol):
    """An estimator with a cheaper statistic for permutation tests."""

    @property
    def p_statistic(self) -> str:
        """What the statistic is called."""
        ...

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
    groups: Groups | None = None,
    seed: int = 0,
    **more: Any,
) -> Estimate:
    """The estimate, with the same statistic of permuted Y beside it.

    A permutation keeps both margins and breaks the pairing. The statistic is the estimate
    itself, by the same seed for every Y, or the estimator's own cheaper one
    (`Estimate.statistic`); either way it is one function of (X, Y) and independent pairs
    are exchangeable with permuted ones, so `Estimate.p_value`, which breaks ties at random,
    is exact: with 19 permutations it is at most 0.05 in exactly 5 % of independent data
    sets. A p-value of 0.05 needs at least 19 of them. The rows of a group are permuted
    together: alone they would have to differ in Y, as no sample with copies does.

    Args:
        estimator: the whole procedure.
        x: the states.
        y: what is permuted.
        n_permutations: how often.
        groups: as for `Estimator.estimate`; whole groups are permuted.
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
    estimate = estimator.estimate(x, y, groups=groups, seed=seed, **more)
    if not n_permutations:
        return estimate
    # An estimator of the user's own need not say how it split; its rows are permuted alike.
    split = (
        estimate.split
        or split_rows(
            as_states(x, len(y)), as_target(y), groups, seed=seed, n_folds=1, fewest_folds=1
        )[2]
    )
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    shuffled = (split.permuted(rng) for _ in range(n_permutations))
    orders = np.stack([np.arange(len(split)), *shuffled])
    given = y if isinstance(y, TokenSequences | Tensor) else np.asarray(y)
    kept = np.arange(len(given)) if split.kept is None else split.kept
    if isinstance(estimator, Permutable):
        # All of it as it came: a slice would read what lies on a disk.
        own = x
        if split.kept is not None:
            own = x.only(kept) if isinstance(x, HiddenStates) else x[kept]
        values = estimator.permuted(own, given[kept], orders, seed)
        if values is not None:
            return estimate.with_null(
                [float(value) for value in values[1:]],
                statistic=float(values[0]),
                name=estimator.p_statistic,
            )
    null = []
    for order in orders[1:]:
        whole = np.arange(len(given))
        whole[kept] = kept[order]
        null.append(
            estimator.estimate(x, given[whole], groups=groups, seed=seed, **more).nats
        )
    return estimate.with_null(null)
