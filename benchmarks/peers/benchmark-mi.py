"""Neural bounds, nearest neighbours and canonical correlations.

They take real numbers only; classes become one-hot columns with a little noise, as its
documentation asks.
"""

import bmi.estimators as bmi
import numpy as np

DISTRIBUTION = "benchmark-mi"


def _method(make):
    def estimate(x, y, mask, seed):
        if np.issubdtype(y.dtype, np.integer):
            # One column less than classes: all of them would add up to 1.
            one_hot = np.eye(y.max() + 1)[y][:, :-1]
            y = one_hot + 0.01 * np.random.default_rng(seed).normal(size=one_hot.shape)
        return {"nats": float(make(seed).estimate(x, y))}

    return estimate


METHODS = {
    "mine": _method(lambda seed: bmi.MINEEstimator(seed=seed, verbose=False)),
    "infonce": _method(lambda seed: bmi.InfoNCEEstimator(seed=seed, verbose=False)),
    "ksg": _method(lambda seed: bmi.KSGEnsembleFirstEstimator()),
    "cca": _method(lambda seed: bmi.CCAMutualInformationEstimator()),
}
