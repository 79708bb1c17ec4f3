"""How well a system predicts: scores of what it said, against Y.

A prediction that could not be read from the written answer is NaN. Of classes it counts
as wrong. Of scores it has no size of error, and no number is made up in its place: the
row is left out, and `score` says how many were. So a system that fails on the hard rows
looks better than it is; read a score beside the parse-failure rate.
"""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64, Num
from scipy import stats
from sklearn import metrics

from mi_probe.errors import InputError
from mi_probe.tasks import Task

_NO_CLASS = -1


def accuracy(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """Share of rows whose class is right."""
    return float(metrics.accuracy_score(_classes(y), _classes(said)))


def macro_f1(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """F1, averaged over the classes that occur in y, each counting alike."""
    labels = np.unique(_classes(y))
    return float(
        metrics.f1_score(
            _classes(y),
            _classes(said),
            labels=labels,
            average="macro",
            zero_division=0,  # pyright: ignore[reportArgumentType]
        )
    )


def mse(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """Mean squared error, in squared units of the score."""
    return _read(y, said, 1, metrics.mean_squared_error)


def mae(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """Mean absolute error, in units of the score."""
    return _read(y, said, 1, metrics.mean_absolute_error)


def rmse(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """Root of the mean squared error, in units of the score."""
    return _read(y, said, 1, metrics.root_mean_squared_error)


def r2(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """1 - MSE / Var(y) over the rows read: 0 for their mean, negative for worse."""
    return _read(y, said, 2, metrics.r2_score)


def pearson(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """Linear correlation; NaN where one side is constant."""
    return _read(y, said, 2, _correlation(stats.pearsonr))


def spearman(y: Num[np.ndarray, " n"], said: Num[np.ndarray, " n"]) -> float:
    """Correlation of the ranks; NaN where one side is constant."""
    return _read(y, said, 2, _correlation(stats.spearmanr))


METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "mse": mse,
    "mae": mae,
    "rmse": rmse,
    "r2": r2,
    "pearson": pearson,
    "spearman": spearman,
}
"""Called with Y and what was said, NaN where nothing could be read."""

KINDS = {
    "classes": ("accuracy", "macro_f1"),
    "scores": ("mse", "mae", "rmse", "r2", "pearson", "spearman"),
}
"""The metrics that a kind of labels has."""


def main_metric(task: Task) -> str:
    """The one that selects and is reported: the declared task's first, or its kind's."""
    return (task.metrics or KINDS[task.kind])[0]


def selection_score(task: Task, said: Num[np.ndarray, " n"], unread: float) -> float:
    """The main metric as it selects a checkpoint: no row is left out.

    Left out, unread answers of the hard rows would make a checkpoint look good. A row
    whose answer could not be read counts as a class that is wrong, or as the score
    ``unread``; a correlation with a constant counts as 0.

    Args:
        task: the rows and their Y.
        said: the class or score predicted for each; NaN where none could be read.
        unread: what stands for an unread score: the training rows' mean.
    """
    whole = said if task.kind == "classes" else np.where(np.isnan(said), unread, said)
    found = METRICS[main_metric(task)](task.labels, whole)
    return 0.0 if math.isnan(found) else found


def score(
    task: Task,
    said: Num[np.ndarray, " n"],
    failed: np.ndarray | None = None,
) -> dict[str, float]:
    """All metrics of the task's kind, and the parse-failure rate where text was written.

    Args:
        task: the rows and their Y.
        said: the class or score predicted for each; NaN where none could be read.
        failed: where the written answer could not be read; None: nothing was written.

    Raises:
        InputError: unless there is one prediction a row.
    """
    if len(said) != len(task):
        raise InputError(
            f"predictions must be one a row, {len(task)} for task '{task.name}'; got "
            f"{len(said)}."
        )
    found = {name: METRICS[name](task.labels, said) for name in KINDS[task.kind]}
    if failed is not None:
        found["parse_failure_rate"] = float(np.mean(failed)) if len(failed) else 0.0
    return found


def _classes(values: Num[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(values), _NO_CLASS, values).astype(np.int64)


def _read(
    y: np.ndarray,
    said: np.ndarray,
    least: int,
    metric: Callable[[np.ndarray, np.ndarray], float],
) -> float:
    """A metric over the rows that were read; NaN for fewer than it needs."""
    y, said = np.asarray(y, dtype=np.float64), np.asarray(said, dtype=np.float64)
    read = ~np.isnan(said)
    return float(metric(y[read], said[read])) if read.sum() >= least else math.nan


def _correlation(statistic: Callable) -> Callable[[np.ndarray, np.ndarray], float]:
    def correlation(y: Float64[np.ndarray, " n"], said: Float64[np.ndarray, " n"]) -> float:
        constant = np.ptp(y) == 0 or np.ptp(said) == 0
        return math.nan if constant else float(statistic(y, said).statistic)

    return correlation
