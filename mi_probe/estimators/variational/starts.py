"""Where a critic of classes starts: T_0 = log q_0(y|x) - log p(y), made before it trains.

Trained on rows that T_0 has seen, a residual would only learn T_0's overconfidence. So T_0
of a training row comes from fits that did not see it, and that of a held-out row from fits
and choices that never saw its fold.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class ClassStart:
    """T_0 for one held-out fold, as log q_0(y|x) - log p(y)."""

    train: Float[np.ndarray, "n c"]
    """Of the rows outside the fold, each by members that did not see it."""
    test: Float[np.ndarray, "m c"]
    """Of the held-out rows, by members that saw no row of their fold."""
    log_prior: Float[np.ndarray, " c"]
    """log p(y) of the rows outside the fold."""
    chosen: dict[str, float]
    """The members' weights."""


def smoothed_log_prior(y: Int[np.ndarray, " n"], n_classes: int) -> Float[np.ndarray, " c"]:
    """The log shares of the classes in these rows, half a row added to each."""
    counts = np.bincount(y, minlength=n_classes) + 0.5
    return np.log(counts / counts.sum())
