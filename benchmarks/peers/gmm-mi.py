"""Gaussian mixtures of a pair of numbers, or of a number and a class."""

import numpy as np
from gmm_mi.mi import EstimateMI

DISTRIBUTION = "gmm-mi"


def _mixture(x, y, mask, seed):
    if x.shape[1] > 1 or (y.ndim == 2 and y.shape[1] > 1):
        raise NotImplementedError("takes one column of X and of Y")
    np.random.seed(seed)
    estimator = EstimateMI()
    if np.issubdtype(y.dtype, np.integer):
        nats, sd = estimator.fit_estimate_categorical(x, y[:, None])
    else:
        nats, sd = estimator.fit_estimate(x, y)
    return {"nats": nats, "ci_low": nats - 1.96 * sd, "ci_high": nats + 1.96 * sd}


METHODS = {"mixture": _mixture}
