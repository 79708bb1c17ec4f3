"""I(Y;X) of two arrays, in one call."""

from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators.core.base import Estimate, Estimator, States
from mi_probe.estimators.core.null import with_null
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Target


def mutual_information(
    x: States | Any,
    y: Target | Any,
    *,
    groups: Groups | Any | None = None,
    discrete: bool | None = None,
    estimator: str | Estimator = "auto",
    n_permutations: int = 0,
    seed: int = 0,
) -> Estimate:
    r"""Estimate :math:`I(Y;X)` in nats on held-out rows.

    Args:
        x: the states: floats (n, d) as an array, tensor, data frame or list of rows, one
            column (n,), or `HiddenStates` of all tokens.
        y: the target, one a row: text, whole numbers and booleans are classes, floats are
            scores; floats (n, k) are several scores.
        groups: which rows depend on one another (one document, one speaker), one value a
            row, or `Blocks` of ordered rows. Without, rows are taken as independent; signs
            that they are not give the status ``dependent_rows``.
        discrete: whether Y is classes; True takes floats as classes, False whole numbers as
            scores. None goes by their type.
        estimator: a name of `ESTIMATORS`, or an estimator.
        n_permutations: of Y, for the null and ``p_value``; 0 leaves them out.
        seed: of folds, critics and permutations.

    Returns:
        `Estimate`: ``nats`` is the held-out value and ``ci`` its 95 % interval; a value of
        few rows is low, and ``extrapolated`` says how far. Look at ``status`` first.

    Raises:
        InputError: for an unknown estimator, classes that are scores, and what the
            estimator refuses.

    Examples:
        >>> import numpy as np
        >>> from mi_probe import mutual_information
        >>> rng = np.random.default_rng(0)
        >>> y = np.repeat(["no", "yes"], 200)
        >>> x = rng.normal(size=(400, 3)) + 2 * (y == "yes")[:, None]
        >>> found = mutual_information(x, y)
        >>> bool(0.5 < found.nats < found.entropy_y), found.status
        (True, 'ok')
    """
    from mi_probe.estimators import ESTIMATORS  # which holds this function too

    chosen = ESTIMATORS.chosen(estimator)
    x, target = _numbers(x), _array(y) if discrete is None else _as(y, discrete)
    labels = None if groups is None else _array(groups)
    if n_permutations:
        return with_null(
            chosen, x, target, groups=labels, seed=seed, n_permutations=n_permutations
        )
    return chosen.estimate(x, target, groups=labels, seed=seed)


def _numbers(x: Any) -> Any:
    """X as an array; what has columns that are no numbers is refused by their names."""
    if hasattr(x, "toarray"):
        raise InputError(
            f"x must be a dense array; got {type(x).__name__}. Pass x.toarray(), or fewer "
            "columns of it."
        )
    if isinstance(x, pd.DataFrame):
        columns = [str(name) for name, kind in x.dtypes.items() if kind.kind not in "biuf"]
        if columns:
            raise InputError(
                f"x must hold numbers; its columns {', '.join(columns[:5])} do not. Leave "
                "them out, or encode them; the states of texts are made by extract."
            )
    return _array(x)


def _as(y: Any, discrete: bool) -> np.ndarray:
    values = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if discrete:
        if values.ndim != 1:
            raise InputError(
                "discrete must be False or left out where y has several columns; got True "
                f"with shape {values.shape}."
            )
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise InputError(
                "y must be finite; it holds NaN or infinity. Leave these rows out of x "
                "and y."
            )
        return np.unique(values, return_inverse=True)[1]
    if values.dtype.kind not in "biuf":
        raise InputError(
            f"discrete must be True or left out where y is text; got False with "
            f"{values.dtype}."
        )
    return values.astype(np.float64)


def _array(values: Any) -> Any:
    """Data frames, their columns and lists as arrays; what estimators take as it is."""
    if not hasattr(values, "to_numpy") and not isinstance(values, list):
        return values
    try:
        return np.asarray(values)
    except ValueError:
        return values  # ragged, which estimators refuse by name, or answers in tokens
