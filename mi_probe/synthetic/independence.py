"""X says nothing about Y: exactly 0 nats."""

import numpy as np

from mi_probe.hidden import HiddenStates
from mi_probe.synthetic.known import Known


def independent(n: int, d: int, n_classes: int, *, seed: int = 0) -> Known:
    """Normal vectors and classes that ignore them."""
    rng = np.random.default_rng(seed)
    return Known(rng.normal(size=(n, d)), rng.integers(n_classes, size=n), 0.0)


def independent_scores(
    n: int, d: int, k: int = 1, *, dof: int | float | None = None, seed: int = 0
) -> Known:
    """Vectors and k real numbers that ignore them, normal or Student-t (``dof``)."""
    rng = np.random.default_rng(seed)
    shapes = ((n, d), (n, k))
    x, y = (
        rng.normal(size=s) if dof is None else rng.standard_t(dof, size=s) for s in shapes
    )
    return Known(x, y, 0.0)


def independent_sequences(
    n: int, t: int = 16, d: int = 16, n_classes: int = 2, *, seed: int = 0
) -> Known:
    """Sequences of normal tokens, of varying length, and classes that ignore them."""
    rng = np.random.default_rng(seed)
    mask = np.arange(t) < rng.integers(max(2, t // 2), t + 1, size=(n, 1))
    values = rng.normal(size=(n, t, d)).astype(np.float32) * mask[..., None]
    pooled: dict[str, float] = {"mean": 0.0, "first": 0.0, "last": 0.0, "max": 0.0}
    y = rng.integers(n_classes, size=n)
    return Known(HiddenStates(values, mask), y, 0.0, pooled_nats=pooled)
