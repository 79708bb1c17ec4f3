"""An amortised network; its wheel holds no weights, and without them it is random."""

from pathlib import Path

import mist_statinf
import numpy as np

DISTRIBUTION = "mist-statinf"
_ENDINGS = (".ckpt", ".pt", ".pth", ".safetensors", ".bin")


def _amortised(x, y, mask, seed):
    folder = Path(mist_statinf.__file__).parent
    if not any(path.suffix in _ENDINGS for path in folder.rglob("*")):
        raise FileNotFoundError("no trained weights come with the package")
    if np.issubdtype(y.dtype, np.integer):
        y = np.eye(y.max() + 1)[y]
    return {"nats": float(mist_statinf.MISTQuickEstimator().estimate_point(x, y))}


METHODS = {"amortised": _amortised}
