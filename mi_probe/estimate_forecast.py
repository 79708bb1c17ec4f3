"""What ``python -m mi_probe.estimate`` says before it starts: cost, and self-tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mi_probe.analysis.cells import Cell
from mi_probe.analysis.printed import format_bytes, format_duration, format_timings
from mi_probe.analysis.rows_needed import FEWEST, rows_needed
from mi_probe.analysis.self_test import self_test_at
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.timing import time_estimators
from mi_probe.capture.sizes import free_bytes
from mi_probe.estimate_settings import Choice, Settings
from mi_probe.tasks import Task

_MOST_PLANTED = 1600
"""Rows of planted data in a dry run, at most: its answer should take less than a minute."""


def print_forecast(
    found: Mapping[str, Any],
    todo: Sequence[Cell],
    missing: Sequence[Cell],
    *,
    task: Task,
    settings: Settings,
    choice: Choice,
    threads: int,
) -> None:
    """Say how long a capture and its estimates will take.

    Args:
        found: what `mi_probe.capture.forecast` gave.
        todo: all estimates.
        missing: those that are not finished.
        task: the rows.
        settings: of the command.
        choice: the same, taken apart.
        threads: of an estimate.
    """
    shapes = found["shapes"]
    print(
        f"  capture: {found['rows']} rows, {found['tokens']} tokens, longest "
        f"{found['longest']}; {format_bytes(found['bytes_on_disk'])} on disk "
        f"({format_bytes(free_bytes(Path(settings.out)))} free), about "
        f"{format_duration(found['seconds'])}"
    )
    for name, shape in shapes.items():
        print(f"    {name}: {' x '.join(map(str, shape))}")
    runs = 1 + settings.permutations
    print(
        f"  estimates: {len(todo)}, of which {len(todo) - len(missing)} are "
        f"finished; {len(missing) * runs} runs of an estimator"
    )
    if missing:
        with limited_threads(threads):
            timings = time_estimators(choice.estimators, task, _largest(shapes))
        print(
            format_timings(
                timings,
                [(cell.estimator, _kind(cell.view)) for cell in missing],
                rows=len(task),
                runs=runs,
                # A site is one worker's, so more workers than sites are no help.
                jobs=min(settings.jobs, len({cell.site for cell in missing})),
                threads=threads,
            )
        )
    _print_rows_needed(task, shapes, threads)


def _print_rows_needed(
    task: Task, shapes: Mapping[str, Sequence[int]], threads: int
) -> None:
    """Say from how many rows on a twentieth of H(Y) would be seen, of classes."""
    if task.label_names is None:
        return
    counts = np.bincount(task.labels)
    shares = counts[counts > 0] / len(task)
    nats = float(-0.05 * (shares * np.log(shares)).sum())
    if not nats:
        return
    width = max(shape[-1] for shape in shapes.values())
    with limited_threads(threads):
        found = rows_needed(
            nats,
            shape=(width,),
            n_classes=len(shares),
            most=min(_MOST_PLANTED, max(FEWEST, 4 * len(task))),
            draws=3,
        )
    print(f"  rows, by planting in {width} columns: {found.sentence}; here {len(task):,}")


def print_self_tests(
    found: Mapping[str, Any], *, task: Task, choice: Choice, threads: int
) -> list[dict[str, Any]]:
    """Say how much of known information each estimator recovers at this run's size.

    Args:
        found: what `mi_probe.capture.forecast` gave.
        task: the rows.
        choice: the estimators.
        threads: of an estimate.

    Returns:
        What provenance keeps of each test.
    """
    tests = []
    for kind, shape in _largest(found["shapes"]).items():
        for name, estimator in choice.estimators.items():
            print(f"  self-test of {name} on {kind} states", flush=True)
            with limited_threads(threads):
                test = self_test_at(estimator, task, shape[1:])
            print(f"    {test.sentence}")
            tests.append(
                {
                    "estimator": name,
                    "states": kind,
                    "shape": shape,
                    "sentence": test.sentence,
                    "table": test.table.to_dict("records"),
                }
            )
    return tests


def _largest(shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """One shape for all poolings, and one for all sites."""
    largest: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        kind = _kind(name.partition("/")[0])
        largest[kind] = max(largest.get(kind, ()), tuple(shape))
    return largest


def _kind(view: str) -> str:
    return "full" if view == "full" else "pooled"
