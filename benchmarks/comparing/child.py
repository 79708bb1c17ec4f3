"""One cell in a process of its own: read the rows, estimate, write what it said and cost.

    PYTHON child.py ADAPTER METHOD DATA.npz OUT.json SEED CPU_SECONDS

Runs in a package's own environment, so it knows NumPy and the standard library only. An
adapter's ``METHODS`` map a name to ``estimate(x, y, mask, seed)``, which returns a dict
with ``nats``; one that cannot take such data raises NotImplementedError.
"""

import importlib.util
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np


def _adapter(path: Path):
    spec = importlib.util.spec_from_file_location("adapter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _peak_mb() -> float:
    """Of this process alone: getrusage would begin with the parent's peak."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _main() -> None:
    adapter, method, data, out, seed, limit = sys.argv[1:]
    said: dict = {"status": "failed"}
    try:
        module = _adapter(Path(adapter))
        said["version"] = version(module.DISTRIBUTION)
        with np.load(data) as rows:
            x, y, mask = rows["x"], rows["y"], rows.get("mask")
        # Imports are not counted; they have used up some of the limit.
        spent = time.process_time()
        most = int(spent + float(limit)) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))
        said |= module.METHODS[method](x, y, mask, int(seed))
        said |= {"status": "ok", "cpu_seconds": time.process_time() - spent}
        said["peak_mb"] = _peak_mb()
        if not np.isfinite(said["nats"]):
            said |= {"status": "failed", "reason": f"nats = {said.pop('nats')}"}
    except NotImplementedError as error:
        said |= {"status": "refused", "reason": str(error)}
    except Exception as error:  # a peer may fail in any way; that is a result
        said |= {"reason": f"{type(error).__name__}: {error}"}
    Path(out).write_text(json.dumps(said, default=float))


if __name__ == "__main__":
    _main()
