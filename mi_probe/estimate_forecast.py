"""What ``mi_probe.estimate``, ``gap`` and ``tokens`` say before they start."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mi_probe.analysis.made_states import MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.printed import format_bytes, format_duration, format_timings
from mi_probe.analysis.rows_needed import FEWEST, rows_needed
from mi_probe.analysis.self_test import self_test_at
from mi_probe.analysis.threads import limited_threads
from mi_probe.analysis.timing import time_estimators
from mi_probe.capture import forecast
from mi_probe.capture.sizes import free_bytes
from mi_probe.estimate_settings import Choice, Settings
from mi_probe.estimators import Estimator
from mi_probe.memory import held_bytes, on_disk_bytes, size_of
from mi_probe.parts import Part
from mi_probe.run_settings import RunSettings
from mi_probe.tasks import Task

_MOST_PLANTED, _MOST_GAP = 1600, 400
"""Rows of planted data in a dry run, at most, for a value and for a gap: its answer should
take less than a minute, and that of a gap, whose every draw is tested, a few."""


def costs_of(model: Measurable | MadeStates, part: Part, batch_size: int) -> dict[str, Any]:
    """What the capture of a part takes; see `mi_probe.capture.forecast`."""
    capture = part.capture
    assert capture is not None
    if isinstance(model, MadeStates):
        return {
            "rows": len(model.lengths),
            "tokens": sum(model.lengths),
            "longest": max(model.lengths),
            "shapes": model.shapes(capture.sites, capture.told["views"]),
        }
    source = model.sources[capture.token_set]
    return forecast(model.backbone, source, batch_size=batch_size, **capture.told)


def print_forecast(
    model: Measurable | MadeStates,
    part: Part,
    threads: int,
    *,
    settings: Settings,
    choice: Choice,
) -> None:
    """Say how long a capture and its estimates will take.

    Args:
        model: what is measured.
        part: of its states.
        threads: of an estimate.
        settings: of the command.
        choice: the same, taken apart.
    """
    assert part.capture is not None
    if len(model.sources) > 1:
        print(f"  token set '{part.capture.token_set}':")
    found, task = costs_of(model, part, settings.batch_size), model.task
    shapes = found["shapes"]
    missing = part.missing
    _print_capture(found, settings.out)
    _print_reading(shapes, size_of(settings.memory))
    runs = 1 + settings.permutations
    print(
        f"  estimates: {len(part.todo)}, of which {part.finished} are "
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
    width = max(shape[-1] for shape in shapes.values())
    with limited_threads(threads):
        print_rows_needed(task, (width,))


def print_table_forecast(
    model: Measurable | MadeStates,
    parts: Sequence[Part],
    settings: RunSettings,
    called: str,
) -> None:
    """Say what captures will take, and how many tables there will be.

    Args:
        model: what is measured.
        parts: of its states.
        settings: of the command.
        called: what one job makes, in the plural.
    """
    for part in parts:
        found = costs_of(model, part, settings.batch_size)
        _print_capture(found, settings.out)
        _print_reading(found["shapes"], size_of(settings.memory))
        done = part.finished
        print(f"  {called}: {len(part.todo)}, of which {done} are finished")


def print_gap_rows_needed(
    model: Measurable | MadeStates,
    part: Part,
    settings: RunSettings,
    estimator: Estimator,
) -> None:
    """Say from how many rows on a gap would be seen by an estimator."""
    found = costs_of(model, part, settings.batch_size)
    tokens = max(2, round(found["tokens"] / max(found["rows"], 1)))
    width = max(shape[-1] for shape in found["shapes"].values())
    # A capture's longest row says little of what critics read: the mean length does.
    print_rows_needed(model.task, (tokens, width), estimator)


def _print_capture(found: Mapping[str, Any], out: str) -> None:
    read = f"{found['rows']} rows, {found['tokens']} tokens, longest {found['longest']}"
    if "seconds" in found:
        print(
            f"  capture: {read}; {format_bytes(found['bytes_on_disk'])} on disk "
            f"({format_bytes(free_bytes(Path(out)))} free), about "
            f"{format_duration(found['seconds'])}"
        )
    else:
        print(f"  states: {read}; they are there already")
    for name, shape in found["shapes"].items():
        print(f"    {name}: {' x '.join(map(str, shape))}")


def _print_reading(shapes: Mapping[str, Sequence[int]], memory: int) -> None:
    """Say where the states of a site are while they are estimated from, and what fits."""
    called = {"full": "all tokens of a site", "pooled": "vectors of a site"}
    for kind, shape in _largest(shapes).items():
        size, needed = 4 * math.prod(shape), held_bytes(shape)
        how = "into memory at once"
        if needed > memory:
            rows = f"--rows {max(1, shape[0] * memory // needed)}"
            how = f"from the disk by rows (in memory with --memory {-(-needed // 10**9)}GB"
            how += f" or {rows}), {format_bytes(on_disk_bytes(shape))} more in TMPDIR"
        print(
            f"  {called[kind]}: {format_bytes(size)} in float32, with an estimate about "
            f"{format_bytes(needed)}, read {how}"
        )


def print_rows_needed(
    task: Task, shape: tuple[int, ...], estimator: str | Estimator = "auto"
) -> None:
    """Say from how many rows on a twentieth of H(Y) would be seen, of classes.

    Args:
        task: the rows; nothing is said where their labels are no classes.
        shape: (d,) for a value, (t, d) for a gap between the tokens and their mean.
        estimator: that would see it.
    """
    if task.label_names is None:
        return
    counts = np.bincount(task.labels)
    shares = counts[counts > 0] / len(task)
    nats = float(-0.05 * (shares * np.log(shares)).sum())
    if not nats:
        return
    gap = len(shape) > 1
    found = rows_needed(
        nats,
        shape=shape,
        n_classes=len(shares),
        estimator=estimator,
        gap=gap,
        most=min(_MOST_GAP if gap else _MOST_PLANTED, max(FEWEST, 4 * len(task))),
        draws=3,
    )
    *tokens, width = shape
    where = f"{tokens[0]} tokens of {width}" if tokens else f"{width}"
    print(f"  rows, by planting in {where} columns: {found.sentence}; here {len(task):,}")


def print_self_tests(
    model: Measurable | MadeStates,
    part: Part,
    threads: int,
    *,
    settings: Settings,
    choice: Choice,
) -> list[dict[str, Any]]:
    """Say how much of known information each estimator recovers at this run's size.

    Args:
        model: what is measured.
        part: of its states.
        threads: of an estimate.
        settings: of the command.
        choice: the same, taken apart.

    Returns:
        What provenance keeps of each test.
    """
    found, task = costs_of(model, part, settings.batch_size), model.task
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
