"""The permutation null: what an estimator says where there is nothing to find."""

import numpy as np
import torch
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.base import Estimate, Estimator, States, Target


def with_null(
    estimator: Estimator,
    x: States,
    y: Target,
    *,
    n_permutations: int,
    seed: int = 0,
) -> Estimate:
    """The estimate, with the whole procedure repeated on permuted Y beside it.

    A permutation keeps both margins and breaks the pairing, so each repeat estimates 0
    nats with this n, d and these classes. A p-value of 0.05 needs at least 19 of them.

    Raises:
        InputError: for a negative number of permutations.
    """
    if n_permutations < 0:
        raise InputError(
            f"n_permutations must be 0 or more; got {n_permutations}. "
            "19 or more give a p-value of 0.05."
        )
    estimate = estimator.estimate(x, y, seed=seed)
    values = y.detach().cpu() if isinstance(y, Tensor) else torch.as_tensor(np.asarray(y))
    null = []
    for stream in np.random.SeedSequence([seed, 1]).spawn(n_permutations):
        order = np.random.default_rng(stream).permutation(len(values))
        shuffled = values[torch.from_numpy(order)]
        null.append(
            estimator.estimate(x, shuffled, seed=int(stream.generate_state(1)[0])).nats
        )
    return estimate.with_null(null)
