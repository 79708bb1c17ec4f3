"""Estimates against known answers, n = 10,000: `python benchmarks/known_answers.py`.

Prints a table; a run of all tasks writes benchmarks/known_answers.csv. Errors are in nats;
seconds are of this process's CPU time. `--only TASK ...` runs some of the tasks,
`--seeds 0,1` repeats.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mi_probe.estimators import ESTIMATORS, Variational
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import pool
from mi_probe.synthetic import (
    Known,
    class_gaussians,
    gaussian_pair,
    independent,
    mean_sufficient,
    needle,
    order,
    xor,
)

N = 10_000
TASKS: dict[str, Callable[[int], Known]] = {
    "gaussians d=1 c=2": lambda s: class_gaussians(N, 1, 2, separation=3.0, seed=s),
    "gaussians d=2 c=5": lambda s: class_gaussians(N, 2, 5, separation=3.0, seed=s),
    "gaussians d=8 c=5": lambda s: class_gaussians(N, 8, 5, separation=3.0, seed=s),
    "gaussians d=16 c=10": lambda s: class_gaussians(N, 16, 10, separation=3.0, seed=s),
    "gaussians d=64 c=2": lambda s: class_gaussians(N, 64, 2, separation=2.0, seed=s),
    "gaussians d=64 c=4": lambda s: class_gaussians(N, 64, 4, separation=3.0, seed=s),
    "gaussians d=64 c=20": lambda s: class_gaussians(N, 64, 20, separation=3.0, seed=s),
    "gaussians d=64 c=20 far": lambda s: class_gaussians(N, 64, 20, separation=6.0, seed=s),
    "own covariances d=8 c=5": lambda s: class_gaussians(
        N, 8, 5, separation=2.0, shared_covariance=False, seed=s
    ),
    "own covariances d=64 c=4": lambda s: class_gaussians(
        N, 64, 4, separation=1.0, shared_covariance=False, seed=s
    ),
    "own covariances d=64 c=20": lambda s: class_gaussians(
        N, 64, 20, separation=3.0, shared_covariance=False, seed=s
    ),
    "parity of 2 signs d=16": lambda s: xor(N, 16, seed=s),
    "parity of 2 signs d=64": lambda s: xor(N, 64, seed=s),
    "gaussians d=768 c=4": lambda s: class_gaussians(N, 768, 4, separation=3.0, seed=s),
    "gaussians d=768 c=4, 8 axes": lambda s: class_gaussians(
        N, 768, 4, separation=3.0, informative=8, seed=s
    ),
    "independent d=20 c=20": lambda s: independent(N, 20, 20, seed=s),
    "independent d=768 c=4": lambda s: independent(N, 768, 4, seed=s),
    "order of two markers": lambda s: order(N, seed=s),
    "needle": lambda s: needle(N, seed=s),
    "mean sufficient": lambda s: mean_sufficient(N, seed=s),
    "gaussian pair d=1": lambda s: gaussian_pair(N, 1, 0.9, seed=s),
    "gaussian pair d=5": lambda s: gaussian_pair(N, 5, 0.7, seed=s),
}


def views_of(
    known: Known,
) -> dict[str, tuple[np.ndarray | torch.Tensor | HiddenStates, float]]:
    """What is estimated of a task: all of it, and poolings with a known truth."""
    if not isinstance(known.x, HiddenStates):
        return {"x": (known.x, known.nats)}
    views: dict[str, tuple] = {"full": (known.x, known.nats)}
    for name, nats in known.pooled_nats.items():
        views[name] = (pool(known.x, name), nats)
    return views


def measure(task: str, seed: int) -> list[dict[str, object]]:
    """One row an estimator and view."""
    known = TASKS[task](seed)
    continuous = np.issubdtype(known.y.dtype, np.floating)
    rows = []
    for name, estimator in ESTIMATORS.items():
        if continuous and isinstance(estimator, Variational) and not estimator.continuous:
            continue
        for view, (x, nats) in views_of(known).items():
            began = time.process_time()
            estimate = estimator.estimate(x, known.y, seed=seed)
            rows.append(
                {
                    "task": task,
                    "view": view,
                    "estimator": name,
                    "seed": seed,
                    "true": round(nats, 4),
                    "nats": round(estimate.nats, 4),
                    "error": round(estimate.nats - nats, 4),
                    "stderr": round(estimate.stderr, 4),
                    "status": estimate.status,
                    "cpu_seconds": round(time.process_time() - began, 1),
                }
            )
            print(*rows[-1].values(), sep="  ", flush=True)
    return rows


def main() -> None:
    """Run the tasks asked for and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", default="0")
    arguments = parser.parse_args()
    rows = []
    for task in arguments.only:
        for seed in map(int, arguments.seeds.split(",")):
            rows += measure(task, seed)
    table = pd.DataFrame(rows)
    out = Path(__file__).with_suffix(".csv")
    if arguments.only == list(TASKS):  # a part must not replace the whole table
        table.to_csv(out, index=False)
    print(table.to_string(index=False))
    worst = table.loc[table.groupby("estimator").error.apply(lambda e: e.abs().idxmax())]
    print("\nlargest errors:\n" + worst.to_string(index=False))


if __name__ == "__main__":
    main()
