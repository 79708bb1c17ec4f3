"""What gaps and conditional information are told: Y, Z and C as their critics see them."""

from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.analysis.sequence_features import sequence_features, vector_features
from mi_probe.errors import InputError
from mi_probe.estimators import Estimator
from mi_probe.estimators.auto import Auto
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    Target,
    TokenSequences,
    as_codes,
    as_target,
)
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import pool

Vectors: TypeAlias = np.ndarray | Tensor

_CHUNK = 512
DRAWS = 499
"""Of Y' by default; the least p-value is 1 / (1 + draws)."""


def pooled_views(z: HiddenStates, pooling: str) -> Float[np.ndarray, "n d"]:
    """Z_p of one name, or of several joined by ``+`` side by side, in float64.

    Raises:
        InputError: as `pool`.
    """
    parts = []
    for name in pooling.split("+"):
        chunks = [pool(z[i : i + _CHUNK], name) for i in range(0, len(z), _CHUNK)]
        parts.append(torch.cat(chunks))
    return torch.cat(parts, dim=1).double().cpu().numpy()


def as_classes(
    y: Target, estimator: Estimator
) -> tuple[Target, Classes | Scores | TokenSequences]:
    """Y as the estimator is told it, and as the critics and the test see it.

    `auto` takes few distinct answers, and few different numbers, for classes: then both
    are these classes.
    """
    target = as_target(y)
    codes = as_codes(target) if isinstance(estimator, Auto) else None
    return (y, target) if codes is None else (codes, as_target(codes))


def check_draws(target: Classes | Scores | TokenSequences, n_draws: Any) -> None:
    """Whether the test can be made.

    Raises:
        InputError: for a number of draws that is none, or draws of what has no posterior.
    """
    whole = isinstance(n_draws, Integral) and not isinstance(n_draws, bool)
    if not whole or n_draws < 0:
        raise InputError(
            f"n_draws must be 0 or more, a whole number; got {n_draws!r}. {DRAWS} is the "
            "default."
        )
    if n_draws and isinstance(target, TokenSequences):
        raise InputError(
            "the conditional randomisation test takes classes, floats, or answers in "
            "tokens of which few are distinct; these are too many. Pass n_draws=0 for the "
            "gap and its interval alone."
        )


def features_of(z: HiddenStates | Vectors, seed: int) -> dict[str, np.ndarray]:
    """Label-free features of states or vectors, for linear evidence and for the test."""
    if isinstance(z, HiddenStates):
        return sequence_features(z, seed=seed)
    return vector_features(as_columns(z), seed=seed)


def as_columns(x: Vectors) -> Float[np.ndarray, "n d"]:
    """Vectors as float64 columns; one column where they are single numbers."""
    columns = torch.as_tensor(x).detach().cpu().double().numpy()
    return columns[:, None] if columns.ndim == 1 else columns
