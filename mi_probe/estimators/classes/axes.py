r"""Axes that matter, found without looking at Y: independent components of X.

In whitened coordinates the axes are arbitrary: any rotation is as white. Where X is a mix
of independent sources that are not Gaussian, FastICA finds the rotation

.. math:: \max_w \; \bigl(E\,G(w^\top u) - E\,G(\nu)\bigr)^2, \qquad G = \log\cosh,
          \quad \nu \sim N(0, 1)

back to them; where X is Gaussian the axes found are as arbitrary as before, and no worse.
Labels take no part, so rows that are reported may (see `whitened`).

References:
    Hyvarinen 1999, Fast and robust fixed-point algorithms for independent component
    analysis.
"""

import warnings

import numpy as np
from jaxtyping import Float

INDEPENDENT_LIMIT = 8
"""Dimensions up to which independent axes are sought."""
_ROWS = 5000
_STEPS = 60
_FEWEST = 20
"""Rows a dimension below which what looks independent is chance."""


def independent_axes(u: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
    """Independent components of whitened coordinates; no column where none are sought."""
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    n, d = u.shape
    if not 2 <= d <= INDEPENDENT_LIMIT or n < _FEWEST * d:
        return u[:, :0]
    model = FastICA(
        whiten=False,  # pyright: ignore[reportArgumentType]
        max_iter=_STEPS,
        tol=1e-4,
        random_state=0,
    )
    with warnings.catch_warnings():
        # Gaussian directions never settle; any rotation of them is as good.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(u[:: max(1, n // _ROWS)].astype(np.float64))
    return model.transform(u).astype(np.float32)
