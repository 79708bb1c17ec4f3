"""Peak memory and CPU time of `auto` on long sequences, above the data themselves.

``python -m benchmarks.long_sequences`` draws Z of 10,000 x 128 x 576 (2.9 GB in float32,
half of that with ``--dtype float16``, on disk with ``--mapped``), with the answer written
at one marked position, estimates I(Y;Z) once, and prints what the process held at its peak
beyond Z. Lengths vary between half of t and t.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mi_probe import HiddenStates
from mi_probe.estimators import ESTIMATORS

_ROWS = 256


def drawn(n: int, t: int, d: int, dtype: str, folder: Path | None) -> tuple:
    """Z with a class code and a marker at one position, and Y; drawn in place."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(d, 5)))[0].T.astype(np.float32)
    if folder is None:
        values = np.empty((n, t, d), dtype=dtype)
    else:
        values = np.memmap(folder / "states", dtype=dtype, mode="w+", shape=(n, t, d))
    y = rng.integers(4, size=n)
    lengths = rng.integers(t // 2, t + 1, size=n)
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        rows = np.arange(stop - start)
        part = rng.standard_normal((stop - start, t, d), dtype=np.float32)
        places = (rng.random(stop - start) * lengths[start:stop]).astype(int)
        part[rows, places] += 4 * (axes[y[start:stop]] + axes[4])
        values[start:stop] = part
    mask = np.arange(t)[None] < lengths[:, None]
    return HiddenStates(torch.from_numpy(values), mask), y


def peak_bytes() -> int:
    """The most that this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Draw, estimate, print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--t", type=int, default=128)
    parser.add_argument("--d", type=int, default=576)
    parser.add_argument("--dtype", choices=["float32", "float16"], default="float32")
    parser.add_argument("--mapped", action="store_true", help="keep Z in a file")
    parser.add_argument("--estimator", choices=sorted(ESTIMATORS), default="auto")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) if given.mapped else None
        z, y = drawn(given.n, given.t, given.d, given.dtype, place)
        data, before = z.values.nbytes, peak_bytes()
        started = time.process_time()
        estimate = ESTIMATORS[given.estimator].estimate(z, y)
        seconds = time.process_time() - started
        after = peak_bytes()
    found = {
        "states": [given.n, given.t, given.d, given.dtype],
        "mapped": given.mapped,
        "estimator": given.estimator,
        "nats": round(estimate.nats, 4),
        "cpu_seconds": round(seconds, 1),
        "data_gb": round(data / 1e9, 2),
        "peak_before_gb": round(before / 1e9, 2),
        "peak_gb": round(after / 1e9, 2),
        "above_data_gb": round((after - data) / 1e9, 2),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
