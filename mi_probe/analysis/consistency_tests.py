r"""Self-consistency of an estimator (Song and Ermon 2020), on any data, known or your own.

Whatever I(Y;X) is, an estimator contradicts itself unless it says

- *independence*: 0 for permuted Y;
- *data processing*: :math:`I(Y; [X, g(X)]) = I(Y; X)`, g a random non-linear map, and
  :math:`I(Y; [X, \epsilon]) = I(Y; X)`, noise beside X;
- *additivity*: :math:`I([Y_1, Y_2]; [X_1, X_2]) = 2\,I(Y; X)` for two independent pairs;
  where Y is classes, the pair is its product class.

The second pair is the same rows in another order, so that no more data are needed. Passing
is necessary and not sufficient: an estimator that always says 0 passes.

References:
    Understanding the Limitations of Variational Mutual Information Estimators (Song and
    Ermon, 2020), https://arxiv.org/abs/1910.06222
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.analysis.gap_inputs import as_columns
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimate, Estimator
from mi_probe.estimators.core.admission import check_seed
from mi_probe.estimators.core.targets import Classes, Scores, as_target
from mi_probe.hidden import HiddenStates

_TOLERANCE = 0.02
"""Nats by which sides may differ beside their standard errors."""
_FEWEST_A_CLASS = 5


def consistency(
    x: HiddenStates | Tensor | np.ndarray,
    y: Tensor | np.ndarray,
    *,
    estimator: str | Estimator = "auto",
    seed: int = 0,
) -> pd.DataFrame:
    """Song and Ermon's tests of one estimator on these data, in nats.

    Args:
        x: vectors (n, d), or states of all tokens.
        y: classes or real numbers.
        estimator: a name of `ESTIMATORS`, or one of your own.
        seed: of the maps, the permutations and the estimates.

    Returns:
        A row a test: ``test``, ``expected`` (from the estimate on X alone), ``got``, the
        ``stderr`` of their difference, ``ratio`` (got / expected), and ``holds``: they
        differ by no more than 0.02 nats and two standard errors. Additivity is left out
        where the product of classes would have fewer than five rows a class.

    Raises:
        InputError: for an unknown estimator, Y that is token sequences, and what the
            estimator refuses.
    """
    chosen = ESTIMATORS.chosen(estimator)
    target = as_target(y)
    if not isinstance(target, Classes | Scores):
        raise InputError("y must be classes or floats; got token sequences.")
    values = target.index if isinstance(target, Classes) else target.values
    check_seed(seed)
    rng = np.random.default_rng(seed)
    # States on the disk are read: they are joined with others here.
    states = x[:] if isinstance(x, HiddenStates) else _vectors(x)

    def said(x: HiddenStates | np.ndarray, y: np.ndarray) -> Estimate:
        return chosen.estimate(x, y, seed=seed)

    base = said(states, values)
    rows = [
        _row("independence", 0.0, said(states, values[rng.permutation(len(values))]), 0.0),
        _row("data processing, g(X)", base.nats, said(_mapped(states, rng), values), base),
        _row("data processing, noise", base.nats, said(_noisy(states, rng), values), base),
    ]
    order = rng.permutation(len(values))
    both = _product(target, order)
    if both is not None:
        pair = said(_beside(states, order), both)
        rows.append(_row("additivity", 2 * base.nats, pair, 2 * base.stderr))
    return pd.DataFrame(rows)


def _row(
    test: str, expected: float, got: Estimate, against: Estimate | float
) -> dict[str, object]:
    if isinstance(against, Estimate):
        # The same rows' noise is in both sides, so the larger error is a generous one.
        error = max(against.stderr, got.stderr)
    else:
        error = float(np.hypot(against, got.stderr))
    return {
        "test": test,
        "expected": expected,
        "got": got.nats,
        "stderr": error,
        "ratio": got.nats / expected if expected else np.nan,
        "holds": bool(abs(got.nats - expected) <= _TOLERANCE + 2 * error),
    }


def _vectors(x: Tensor | np.ndarray) -> Float[np.ndarray, "n d"]:
    values = as_columns(x)
    spread = values.std(0)
    return (values - values.mean(0)) / np.where(spread > 0, spread, 1)


def _mapped(
    x: HiddenStates | Float[np.ndarray, "n d"], rng: np.random.Generator
) -> HiddenStates | Float[np.ndarray, "n e"]:
    """X with a random non-linear map of each token, or of the vector, beside it."""
    d = x.values.shape[2] if isinstance(x, HiddenStates) else x.shape[1]
    weights = rng.normal(size=(d, min(d, 8))) / np.sqrt(d)
    if isinstance(x, HiddenStates):
        values = x.values.float()
        mapped = torch.tanh(values @ torch.as_tensor(weights, dtype=torch.float32))
        return replace(x, values=torch.cat([values, mapped], dim=2))
    return np.concatenate([x, np.tanh(x @ weights)], axis=1)


def _noisy(
    x: HiddenStates | Float[np.ndarray, "n d"], rng: np.random.Generator
) -> HiddenStates | Float[np.ndarray, "n e"]:
    """X with columns of independent noise beside it."""
    if isinstance(x, HiddenStates):
        shape = (*x.values.shape[:2], min(x.values.shape[2], 8))
        noise = torch.as_tensor(rng.normal(size=shape), dtype=torch.float32)
        return replace(x, values=torch.cat([x.values.float(), noise], dim=2))
    return np.concatenate([x, rng.normal(size=(len(x), min(x.shape[1], 8)))], axis=1)


def _beside(
    x: HiddenStates | Float[np.ndarray, "n d"], order: Int[np.ndarray, " n"]
) -> HiddenStates | Float[np.ndarray, "n e"]:
    """Each row with another row's X: columns of a vector, further tokens of a sequence."""
    if isinstance(x, HiddenStates):
        other = x[order]
        return HiddenStates(
            torch.cat([x.values, other.values], dim=1),
            torch.cat([x.mask, other.mask], dim=1),
            gold_acknowledged=x.gold_acknowledged,
        )
    return np.concatenate([x, x[order]], axis=1)


def _product(
    target: Classes | Scores, order: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"] | Float[np.ndarray, "n k"] | None:
    """Y of both rows: all columns, or the product class where it has rows enough."""
    if isinstance(target, Scores):
        return np.concatenate([target.values, target.values[order]], axis=1)
    product = target.index * target.n_classes + target.index[order]
    counts = np.bincount(product)
    return product if counts[counts > 0].min() >= _FEWEST_A_CLASS else None
