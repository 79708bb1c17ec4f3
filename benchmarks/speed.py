"""What one estimate costs: CPU seconds on one thread, and peak memory above the data.

    python benchmarks/speed.py                    # both targets, with `auto`
    python benchmarks/speed.py --scale 0.1        # a tenth of the rows

`vectors` is (10,000, 768) with four classes, at most 20 CPU seconds; `long` is
(10,000, 128, 576) with two, at most 4 GB above its data. Each runs in a process of its own.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from mi_probe.estimators import ESTIMATORS
from mi_probe.hidden import HiddenStates
from mi_probe.synthetic import class_gaussians

SUBJECTS = ("vectors", "long")


def _vectors(n: int) -> tuple[np.ndarray, np.ndarray]:
    known = class_gaussians(n, 768, 4, separation=3.0)
    assert isinstance(known.x, np.ndarray)
    return known.x, known.y


def _long(n: int, t: int = 128, d: int = 576) -> tuple[HiddenStates, np.ndarray]:
    """Tokens of noise, two markers whose order is Y; drawn in place, in float32."""
    rng = np.random.default_rng(0)
    values = torch.randn(n, t, d, generator=torch.Generator().manual_seed(0))
    y = rng.integers(2, size=n)
    places = np.sort(
        rng.permuted(np.tile(np.arange(t // 2), (n, 1)), axis=1)[:, :2], axis=1
    )
    rows = np.arange(n)
    values[rows, places[:, 0], y] += 20.0
    values[rows, places[:, 1], 1 - y] += 20.0
    mask = np.arange(t) < rng.integers(t // 2, t + 1, size=(n, 1))
    return HiddenStates(values, mask), y


def _megabytes(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (one for one in lines if one.startswith(field))
    return int(line.split()[1]) / 1024


def data(subject: str, n: int) -> tuple[np.ndarray | HiddenStates, np.ndarray]:
    """X and Y of a subject."""
    return _vectors(n) if subject == "vectors" else _long(n)


def measured(subject: str, estimator: str, n: int) -> dict[str, float | str | int]:
    """One estimate in this process; memory is NaN where Linux is not."""
    torch.set_num_threads(1)
    x, y = data(subject, n)
    reset = Path("/proc/self/clear_refs")
    before = float("nan")
    if reset.exists():
        reset.write_text("5")  # forget the peak so far
        before = _megabytes("VmRSS")
    began = time.process_time()
    estimate = ESTIMATORS[estimator].estimate(x, y, seed=0)
    seconds = time.process_time() - began
    rise = _megabytes("VmHWM") - before if reset.exists() else float("nan")
    return {
        "subject": subject,
        "estimator": estimator,
        "n": n,
        "nats": round(estimate.nats, 4),
        "cpu_seconds": round(seconds, 2),
        "peak_rise_mb": round(rise),
    }


def main() -> None:
    """Measure each subject in a fresh process and write the JSON beside this file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--estimator", choices=list(ESTIMATORS), default="auto")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--child", choices=SUBJECTS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    n = int(10_000 * asked.scale)
    if asked.child:
        print(json.dumps(measured(asked.child, asked.estimator, n)))
        return
    out = Path(__file__).with_suffix(".json")
    result = json.loads(out.read_text()) if out.exists() else {}
    for subject in asked.subjects:
        command = [sys.executable, __file__, "--child", subject]
        command += ["--estimator", asked.estimator, "--scale", str(asked.scale)]
        ran = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(ran.stdout.splitlines()[-1])
        print(*(f"{key} {value}" for key, value in row.items()), sep=", ", flush=True)
        if asked.scale == 1:  # a smaller run says nothing of the target
            result[f"{subject}, {asked.estimator}"] = row
            out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
