"""Many tests at once: p-values of which few are false together."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import false_discovery_control


def holm(p_values: Sequence[float | None] | np.ndarray) -> Float[np.ndarray, " k"]:
    """Holm's step-down correction: the chance of one false finding among all is kept.

    Unknown ones (None, NaN) stay unknown, and count as tests.
    """
    p = _plain(p_values)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def false_discovery(
    p_values: Sequence[float | None] | np.ndarray,
) -> Float[np.ndarray, " k"]:
    """Benjamini and Hochberg's correction: of those at or below q, a share q is false.

    On average, and for tests that depend on one another positively. Unknown ones (None,
    NaN) stay unknown, and are left out.
    """
    p = _plain(p_values)
    known = ~np.isnan(p)
    corrected = np.full_like(p, np.nan)
    if known.any():
        corrected[known] = false_discovery_control(p[known])
    return corrected


def _plain(p_values: Sequence[float | None] | np.ndarray) -> np.ndarray:
    return np.array([np.nan if p is None else p for p in p_values], dtype=np.float64)
