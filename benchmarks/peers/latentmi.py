"""An autoencoder to eight dimensions, then nearest neighbours; classes as one-hot."""

import numpy as np
import torch
from latentmi import lmi

DISTRIBUTION = "latentmi"


def _latent(x, y, mask, seed):
    if np.issubdtype(y.dtype, np.integer):
        y = np.eye(y.max() + 1)[y]
    torch.manual_seed(seed)
    np.random.seed(seed)
    pointwise, *_ = lmi.estimate(x, y, quiet=True)
    # Its neighbours' values are in bits.
    return {"nats": float(np.nanmean(pointwise)) * np.log(2)}


METHODS = {"latent": _latent}
