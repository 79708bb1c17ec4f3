"""I(Y;Z|C): what Z tells of Y beyond C, by the same nested critics as the gap."""

from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.analysis.gap import Gap
from mi_probe.analysis.gap_inputs import (
    DRAWS,
    Vectors,
    as_classes,
    as_columns,
    check_draws,
    features_of,
    pooled_views,
)
from mi_probe.analysis.nested_gap import Sides, nested_gap
from mi_probe.analysis.sequence_features import vector_features
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.estimators.core.admission import check_seed
from mi_probe.estimators.core.parameters import without_limit
from mi_probe.estimators.core.split import Groups, codes_of
from mi_probe.estimators.core.targets import Target
from mi_probe.hidden import HiddenStates

Given: TypeAlias = HiddenStates | Vectors

_MOST_CODES = 256
_POOLED = "mean+last"
"""What stands for a sequence beside vectors, and what C is regressed on."""


def conditional(
    z: HiddenStates | Vectors,
    y: Target,
    c: Given,
    *,
    groups: Groups | None = None,
    estimator: str | Estimator = "auto",
    seed: int = 0,
    n_draws: int = DRAWS,
    name: str = "C",
) -> Gap:
    r"""Measure and test :math:`I(Y;Z \mid C) = I(Y;Z,C) - I(Y;C) \ge 0`, in nats.

    C's critic is what Z's is learned on top of (see `mi_probe.analysis.nested_critics`).
    The amount is *at least*: what critics of these rows find. The test's level holds where
    q(y|c) *or* the regression of Z's features on C is about right. Not to be trusted where
    neither is: a rough E[Z|C] (a step, a fast wave of C) that neither follows can be taken
    for information, and so can C with about as many columns as there are rows.

    Args:
        z: vectors (n, d), or the states of all tokens.
        y: classes, real numbers, or answers in tokens.
        c: vectors (n, k), floats (n,), int codes (n,) of kinds, or states. Floats are one
            number even where they are whole and repeat: ids among them, as a table with a
            gap gives them, must be passed as ints, or a gap is found that kinds explain.
        groups: which rows depend on one another; see `Estimator.estimate`.
        estimator: a name of `ESTIMATORS`, or one of your own.
        seed: of the folds, the critics and the draws.
        n_draws: of Y' in the conditional randomisation test; 0 leaves it out.
        name: of C, in words that the verdict uses.

    Raises:
        InputError: for C of other rows or of more than 256 kinds, numbers in C that are
            not finite, and for what the estimator refuses.

    Example:
        >>> import numpy as np
        >>> from mi_probe.analysis import conditional
        >>> rng = np.random.default_rng(0)
        >>> c, z = rng.normal(size=(2, 400, 1))
        >>> y = (c + z + 0.5 * rng.normal(size=(400, 1)) > 0)[:, 0].astype(int)
        >>> gap = conditional(z, y, c, n_draws=99)
        >>> gap.ci[0] > 0.1
        True
        >>> conditional(z, y, np.hstack([c, z]), n_draws=99).p_value > 0.05
        True
    """
    chosen = without_limit(ESTIMATORS.chosen(estimator))
    y, target = as_classes(y, chosen)
    check_seed(seed)
    check_draws(target, n_draws)
    columns = _columns(c, len(target))
    beside = pooled_views(z, _POOLED) if isinstance(z, HiddenStates) else as_columns(z)
    if len(beside) != len(target):
        raise InputError(
            f"z must hold one row for each of the {len(target)} rows of y; got "
            f"{len(beside)}."
        )
    arguments: dict[str, Any] = {"groups": groups, "seed": seed}
    # The folds are those of Z and C together: copies are rows that agree in both.
    joint = chosen.estimate(np.concatenate([beside, columns], axis=1), y, **arguments)
    assert joint.split is not None
    if groups is None:
        # Equal rows of C alone are no copies.
        group = joint.split.group
        arguments["groups"] = np.arange(len(target)) if group is None else group
    pooled = [chosen.estimate(columns, y, **arguments)]
    if isinstance(c, HiddenStates):
        pooled.insert(0, chosen.estimate(c, y, **arguments))
    full = [joint]
    if isinstance(z, HiddenStates):
        full.append(chosen.estimate(z, y, **arguments))
    features = features_of(z, seed)
    # What Z tells may turn with C: functions of both.
    both = vector_features(np.concatenate([beside, columns], axis=1), seed=seed)
    features["with C"] = both["random"]
    return nested_gap(
        Sides(pooled=pooled, full=full, c=columns, features=features),
        target,
        name=name,
        given=name,
        n_draws=n_draws,
        seed=seed,
    )


def _columns(c: Given, n: int) -> Float[np.ndarray, "n k"]:
    """C as vectors: codes one-hot, states pooled."""
    if isinstance(c, HiddenStates):
        columns = pooled_views(c, _POOLED)
    else:
        values = c.detach().cpu().numpy() if isinstance(c, Tensor) else np.asarray(c)
        if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
            raise InputError(
                "c must be numbers (n,) or (n, k), int codes (n,), or HiddenStates; got "
                f"{values.dtype} of shape {values.shape}."
            )
        if values.ndim == 1 and values.dtype.kind in "biu":
            codes = codes_of(values)
            kinds = int(codes.max()) + 1 if len(codes) else 0
            if kinds > _MOST_CODES:
                raise InputError(
                    f"c must hold at most {_MOST_CODES} different codes; got {kinds}. Pass "
                    "numbers as floats."
                )
            columns = np.eye(kinds)[codes]
        else:
            columns = as_columns(torch.as_tensor(values))
    if len(columns) != n:
        raise InputError(
            f"c must hold one row for each of the {n} rows of y; got {len(columns)}."
        )
    if not np.isfinite(columns).all():
        raise InputError("c must be finite numbers; some are not. Leave these rows out.")
    return columns
