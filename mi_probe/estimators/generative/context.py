"""What a density of continuous Y is conditioned on: a few numbers of x."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.conditional.models import ScoreRows
from mi_probe.estimators.protocol.targets import as_tensor

_RIDGE = 1.0


def context_of(rows: ScoreRows, width: int) -> Callable[[Float[np.ndarray, "n d"]], Tensor]:
    """X itself, or in many dimensions its ridge prediction of y and principal directions.

    A deterministic map of x found on these rows, so it adds no information.
    """
    if rows.x.shape[1] <= width:
        return as_tensor
    centre = rows.x.mean(0)
    x = rows.x - centre
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    slopes = vectors @ (
        (vectors.T @ (x.T @ rows.y)) / (len(x) * (values + _RIDGE))[:, None]
    )
    directions = np.hstack([slopes, vectors[:, ::-1][:, :width]])
    scale = (x @ directions).std(0) + 1e-9
    return lambda other: as_tensor((other - centre) @ directions / scale)
