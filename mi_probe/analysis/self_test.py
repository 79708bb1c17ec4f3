"""The self-test: how much of a known information an estimator recovers at a run's size.

A held-out bound is low by what must be learned, and how low depends on n, d (or t and d)
and the number of classes more than on anything else. So before a run is believed, the
estimator is tried on known-answer data of that very size: without information, and with
some at several levels and of several kinds. Real states are not these data: a number from
here says what the size allows, not what a run has missed.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from mi_probe.analysis import planted
from mi_probe.analysis.dependent_rows import groups_of
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimate, Estimator
from mi_probe.estimators.core.admission import check_seed
from mi_probe.estimators.core.split import Groups
from mi_probe.tasks import Task

YKind: TypeAlias = Literal["classes", "scores"]

LEVELS = (0.1, 0.5, 0.9)
"""Shares of H(Y), at which information is planted."""
SCORE_NATS = (0.1, 0.5, 1.5)
"""The same of continuous Y, which has no H(Y), in nats."""

_VECTORS = MappingProxyType(
    {"means": planted.means, "variances": planted.variances, "parity": planted.parity}
)
_SEQUENCES = MappingProxyType(
    {
        "means of all tokens": planted.means,
        "order of two tokens": planted.marker_order,
        "one marked token": planted.needle,
    }
)
_SCORES = MappingProxyType({"linear": planted.linear_scores, "even": planted.even_scores})
_TWO_CLASSES = ("parity", "order of two tokens")


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """What an estimator recovered of known information, in nats."""

    table: pd.DataFrame = field(repr=False)
    """One row a data set: ``dependence``, ``true``, ``nats``, ``low``, ``high``,
    ``extrapolated``, ``claim``, ``recovered`` (nats / true), ``status``, ``seconds``."""
    sentence: str
    """What it comes to, with the size and the estimator's name."""

    def _repr_html_(self) -> str:
        table = self.table.to_html(
            index=False, float_format=lambda v: f"{v:.3f}", na_rep="-"
        )
        return f"{table}<p>{escape(self.sentence)}</p>"


def self_test(
    estimator: str | Estimator = "auto",
    *,
    n: int,
    shape: Sequence[int],
    n_classes: int = 2,
    y_kind: YKind = "classes",
    levels: Sequence[float] | None = None,
    groups: Groups | None = None,
    seed: int = 0,
) -> SelfTest:
    """Try an estimator on known-answer data of this size.

    Args:
        estimator: a name of `ESTIMATORS`, or one of your own.
        n: examples.
        shape: (d,) for vectors, (t, d) for sequences.
        n_classes: classes of Y, or its columns where it is continuous.
        y_kind: ``classes`` or ``scores`` (real numbers).
        levels: planted information, beside none at all: shares of H(Y) = ln(n_classes) for
            classes (0.1, 0.5, 0.9 by default), nats for scores (0.1, 0.5, 1.5).
        groups: of a run's rows, for folds like the run's; planted rows are independent.
        seed: of the data and of the estimates.

    Raises:
        InputError: for a wrong shape, fewer than two classes, levels out of range, an
            unknown estimator, and what the estimator refuses.
    """
    size = tuple(int(one) for one in shape)
    classes = y_kind == "classes"
    chosen_levels = (LEVELS if classes else SCORE_NATS) if levels is None else levels
    _check(estimator, n, size, n_classes, y_kind, chosen_levels)
    chosen = ESTIMATORS[estimator] if isinstance(estimator, str) else estimator
    unit = float(np.log(n_classes)) if classes else 1.0
    tasks = _tasks(size, n_classes, y_kind)
    first = next(iter(tasks))
    plan = [("none", tasks[first], 0.0)]
    plan += [(name, tasks[name], unit * level) for level in chosen_levels for name in tasks]
    check_seed(seed)
    streams = np.random.SeedSequence(seed).spawn(len(plan))
    rows = []
    for (name, task, nats), stream in zip(plan, streams, strict=True):
        known = task(n, size, n_classes, nats, np.random.default_rng(stream))
        began = time.perf_counter()
        estimate = chosen.estimate(known.x, known.y, groups=groups, seed=seed)
        rows.append(_row(name, nats, estimate, time.perf_counter() - began))
    table = pd.DataFrame(rows)
    return SelfTest(
        table=table, sentence=_sentence(chosen.name, n, size, n_classes, y_kind, rows)
    )


def self_test_at(
    estimator: Estimator,
    task: Task,
    shape: Sequence[int],
    *,
    seed: int = 0,
) -> SelfTest:
    """`self_test` at the size of a run: a task's rows and classes, states of a shape.

    Sequences are tried at half of H(Y) only, because they are dear; classes beyond those
    that the rows can hold are left out.

    Args:
        estimator: to be tried.
        task: whose rows and kind of Y.
        shape: (d,) or (t, d) of one example.
        seed: of the data and of the estimates.
    """
    classes = task.kind == "classes"
    n_classes = len(np.unique(task.labels)) if classes else 1
    if task.labels.ndim > 1:
        n_classes = task.labels.shape[1]
    level = (LEVELS if classes else SCORE_NATS)[1]
    return self_test(
        estimator,
        n=len(task),
        shape=shape,
        n_classes=min(n_classes, len(task) // 2),
        y_kind="classes" if classes else "scores",
        levels=[level] if len(shape) > 1 else None,
        groups=groups_of(task),
        seed=seed,
    )


def _check(
    estimator: str | Estimator,
    n: int,
    shape: tuple[int, ...],
    n_classes: int,
    y_kind: YKind,
    levels: Sequence[float],
) -> None:
    if len(shape) not in (1, 2) or min(shape) < 2:
        raise InputError(f"shape must be (d,) or (t, d), each 2 or more; got {shape}.")
    if y_kind == "classes" and not 2 <= n_classes <= n // 2:
        raise InputError(
            f"n_classes must lie in 2 ... {n // 2} for {n} examples; got {n_classes}."
        )
    if y_kind == "scores" and n_classes < 1:
        raise InputError(f"n_classes (columns of y) must be 1 or more; got {n_classes}.")
    most = 0.95 if y_kind == "classes" else np.inf
    if not levels or min(levels) <= 0 or max(levels) > most:
        what = "shares of H(Y) in (0, 0.95]" if y_kind == "classes" else "nats above 0"
        raise InputError(f"levels must be {what}; got {list(levels)}.")
    if isinstance(estimator, str) and estimator not in ESTIMATORS:
        raise InputError(
            f"estimator must be one of {', '.join(ESTIMATORS)}; got '{estimator}'."
        )


def _tasks(
    shape: tuple[int, ...], n_classes: int, y_kind: YKind
) -> Mapping[str, planted.Planted]:
    if y_kind == "scores":
        return _SCORES
    tasks = _VECTORS if len(shape) == 1 else _SEQUENCES
    return {
        name: task
        for name, task in tasks.items()
        if n_classes == 2 or name not in _TWO_CLASSES
    }


def _row(name: str, nats: float, estimate: Estimate, seconds: float) -> dict[str, Any]:
    curve = estimate.extrapolated
    return {
        "dependence": name,
        "true": nats,
        "nats": estimate.nats,
        "low": estimate.ci[0],
        "high": estimate.ci[1],
        "extrapolated": np.nan if curve is None else curve.nats,
        "extrapolated_low": np.nan if curve is None else curve.ci[0],
        "claim": None if curve is None else curve.claim,
        "recovered": estimate.nats / nats if nats else np.nan,
        "status": estimate.status,
        "seconds": round(seconds, 2),
    }


def _sentence(
    name: str,
    n: int,
    shape: tuple[int, ...],
    n_classes: int,
    y_kind: YKind,
    rows: list[dict[str, Any]],
) -> str:
    size = f"d = {shape[0]}" if len(shape) == 1 else f"t = {shape[0]}, d = {shape[1]}"
    what = f"K = {n_classes}" if y_kind == "classes" else f"{n_classes} scores"
    levels = sorted({row["true"] for row in rows[1:]})
    level = levels[len(levels) // 2]
    parts = [_words(row) for row in rows[1:] if row["true"] == level]
    return (
        f"At n = {n:,}, {size}, {what}, {name} says {rows[0]['nats']:.3f} nats where there "
        f"is nothing, and recovers {'; '.join(parts)}."
    )


def _words(row: dict[str, Any]) -> str:
    text = f"{row['nats']:.2f} of {row['true']:.2f} nats in {row['dependence']}"
    if np.isfinite(row["extrapolated"]):
        limit = f"at least {row['extrapolated_low']:.2f}"
        if row["claim"] == "two_sided":
            limit = f"{row['extrapolated']:.2f}"
        text += f" ({limit} with endless rows)"
    return text
