"""How long estimates will take, from runs on random states of the right shape."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.estimators import Estimator
from mi_probe.hidden import HiddenStates
from mi_probe.tasks import Task

LARGEST_BYTES = 256 * 2**20
"""Of the random states that a timed run gets."""
_FIRST_ROWS = 100


@dataclass(frozen=True)
class Timing:
    """How long one run of one estimator takes."""

    seconds: float
    timed_rows: int
    """The most rows that were really run; with fewer than asked, it is extrapolated."""


def time_estimators(
    estimators: Mapping[str, Estimator],
    task: Task,
    shapes: Mapping[str, Sequence[int]],
    *,
    seconds: float = 10.0,
) -> dict[tuple[str, str], Timing | None]:
    """Time a run of each estimator on each shape.

    Random normal states: real ones can take more epochs of training, or fewer. A shape is
    run with ever more rows while its share of the time lasts, and the rest is taken to be
    linear in the rows.

    Args:
        estimators: by name.
        task: whose Y is estimated.
        shapes: by name, (n, d) or (n, t, d).
        seconds: about how long all runs may take together; a slow estimator's first two
            runs may take more.

    Returns:
        A `Timing` for each pair of estimator and shape, by their names; None where it
        refuses a part of the rows.
    """
    left = seconds
    # The cheapest first: what it leaves of its share is the others'.
    pairs = [
        (name, kind)
        for kind in sorted(shapes, key=lambda kind: math.prod(shapes[kind]))
        for name in estimators
    ]
    found: dict[tuple[str, str], Timing | None] = {}
    for i, (name, kind) in enumerate(pairs):
        began = time.perf_counter()
        share = left / (len(pairs) - i)
        try:
            found[name, kind] = _time(estimators[name], task, tuple(shapes[kind]), share)
        except InputError:  # too few of the rows hold too many classes, say
            found[name, kind] = None
        left -= time.perf_counter() - began
    return found


def _time(estimator: Estimator, task: Task, shape: tuple[int, ...], share: float) -> Timing:
    n = len(task)
    # Spread over the values of Y, so that few rows hold several classes too.
    by_label = np.argsort(task.labels, kind="stable")
    most = LARGEST_BYTES // (4 * math.prod(shape[1:]))
    began = time.perf_counter()
    rows = min(n, _FIRST_ROWS)

    def run(rows: int) -> float:
        return _run(
            estimator, task, by_label[np.linspace(0, n - 1, rows).astype(int)], shape
        )

    run(min(n, 30))  # pays for warming up
    spent = [(rows, run(rows))]
    while rows < n:
        rows = min(n, 2 * rows)
        left = share - (time.perf_counter() - began)
        # Two runs at least: one point has no slope.
        if len(spent) > 1 and (rows > most or 2.2 * spent[-1][1] > left):
            break
        spent.append((rows, run(rows)))
    (few, short), (many, long) = spent[-2:] if len(spent) > 1 else spent * 2
    slope = max(0.0, (long - short) / (many - few)) if many > few else 0.0
    return Timing(long + slope * (n - many), many)


def _run(
    estimator: Estimator, task: Task, rows: np.ndarray, shape: tuple[int, ...]
) -> float:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(rows), *shape[1:], generator=generator)
    states: Tensor | HiddenStates = values
    if values.ndim == 3:
        states = HiddenStates(values, torch.ones(values.shape[:2], dtype=torch.bool))
    began = time.perf_counter()
    estimator.estimate(states, task.labels[rows], seed=0)
    return time.perf_counter() - began
