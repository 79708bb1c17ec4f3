"""The declared comparisons of a study, evaluated: a table of paired differences."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from mi_probe.analysis.multiplicity import holm
from mi_probe.analysis.paired import Scored, compare
from mi_probe.study.declared import FACTORS, Study
from mi_probe.study.endpoints import Comparison, matches
from mi_probe.study.gathered import Measured

AVERAGE = "average"
"""What stands in the column ``task`` where tasks are averaged."""
COLUMNS = (
    *("question", "comparison", "primary", "task", "unit", "a", "b", "difference"),
    *("stderr", "low", "high", "p_value", "p_holm", "n", "trainings", "seen"),
)


@dataclass(frozen=True)
class Difference:
    """One difference, in the unit of its line, with the degrees of freedom of its error."""

    a: float
    b: float
    stderr: float
    freedom: float
    p_value: float
    low: float
    high: float
    n: int
    trainings: int

    @property
    def seen(self) -> float:
        """The smallest true difference that such an error would show in 80 % of runs."""
        t = stdtrit(self.freedom, 0.975) + stdtrit(self.freedom, 0.8)
        return float(t) * self.stderr


def evaluate(study: Study, known: Sequence[Measured]) -> pd.DataFrame:
    """A line a comparison and task, and one for the average of the tasks.

    ``difference`` is in nats for information of one task, a share of H(Y) (of scores,
    1 - exp(-2 I), the share of variance that as much information is worth where all is
    Gaussian) for an average of tasks; of scores of answers, accuracy or explained variance.
    Trainings are paired by their seed, and rows by their place. ``p_holm`` is corrected
    over the primary comparisons, or over the exploratory ones, averages apart. ``seen`` is
    the smallest difference that so many rows and trainings would show in 80 % of runs.
    """
    lines: list[dict[str, Any]] = []
    for one in study.comparisons:
        found = dict(_by_task(one, known))
        for task, (difference, unit) in found.items():
            lines.append(_line(one, task, unit, difference))
        shares = [difference for difference, _ in _shares(one, known)]
        if len(shares) > 1:
            unit = "share of H(Y)" if one.of == "information" else "score"
            lines.append(_line(one, AVERAGE, unit, average_of(shares)))
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    for primary in (True, False):
        for averages in (True, False):
            at = (table["primary"] == primary) & ((table["task"] == AVERAGE) == averages)
            table.loc[at, "p_holm"] = holm(table.loc[at, "p_value"].to_numpy(float))
    return table


def _by_task(
    one: Comparison, known: Sequence[Measured]
) -> Iterator[tuple[str, tuple[Difference, str]]]:
    for task, a, b in _sides(one, known):
        unit = "nats" if one.of == "information" else a[0].metric
        yield task, (difference([m.scored for m in a], [m.scored for m in b]), unit)


def _shares(one: Comparison, known: Sequence[Measured]) -> Iterator[tuple[Difference, str]]:
    """The same in a unit that tasks share."""
    for task, a, b in _sides(one, known):
        yield difference(*([as_share(m) for m in side] for side in (a, b))), task


def as_share(one: Measured) -> Scored:
    """Information as a share: of H(Y), or of the variance of scores."""
    scored = one.scored
    if one.of == "score":
        return scored
    if scored.entropy_y is not None:
        share, slope = scored.nats / scored.entropy_y, 1 / scored.entropy_y
    else:
        # The influence of a row on a function of the mean is that on the mean, times its
        # slope.
        share = 1 - math.exp(-2 * scored.nats)
        slope = 2 * math.exp(-2 * scored.nats)
    influence = share + slope * (scored.influence - scored.influence.mean())
    return replace(scored, nats=share, influence=influence)


def _sides(
    one: Comparison, known: Sequence[Measured]
) -> Iterator[tuple[str, list[Measured], list[Measured]]]:
    """The trainings of both sides by what they share: task, backbone, method."""
    sides: list[dict[tuple[Any, ...], list[Measured]]] = []
    differ = {name for name in FACTORS if name in one.a or name in one.b}
    shared = [name for name in FACTORS if name not in differ and name != "seed"]
    for side in (one.a, one.b):
        wanted = {"view": "full", "token_set": "prompt", **one.where, **side}
        by: dict[tuple[Any, ...], list[Measured]] = {}
        for entry in known:
            if entry.of == one.of and matches(entry.told, wanted):
                by.setdefault(tuple(entry.told[name] for name in shared), []).append(entry)
        sides.append(by)
    for at, a in sides[0].items():
        b = sides[1].get(at)
        if b:
            told = dict(zip(shared, at, strict=True))
            others = [str(told[n]) for n in ("backbone", "method") if _several(n, known)]
            yield ", ".join([str(told["task"]), *filter(None, others)]), a, b


def _several(name: str, known: Sequence[Measured]) -> bool:
    return len({entry.told[name] for entry in known if entry.told[name]}) > 1


def difference(a: Sequence[Scored], b: Sequence[Scored]) -> Difference:
    """The paired difference of two sides, a list of trainings each."""
    found = compare(a, b)
    reach = (found.ci[1] - found.ci[0]) / 2
    # The degrees of freedom that the interval was made with, for what could be seen.
    freedom = _freedom(reach / found.stderr) if found.stderr else math.inf
    mean_a, mean_b = (float(np.mean([one.nats for one in side])) for side in (a, b))
    return Difference(
        *(mean_a, mean_b, found.stderr, freedom, found.p_value, *found.ci),
        *(found.n, found.draws),
    )


def _freedom(quantile: float) -> float:
    """The degrees of freedom whose 97.5 % quantile this is."""
    grid = np.geomspace(1, 1e6, 400)
    return float(grid[np.abs(stdtrit(grid, 0.975) - quantile).argmin()])


def average_of(of: Sequence[Difference]) -> Difference:
    """The mean over tasks, whose errors are independent; Satterthwaite's freedom."""
    variances = np.array([one.stderr**2 for one in of]) / len(of) ** 2
    error = math.sqrt(variances.sum())
    a, b = (float(np.mean([getattr(one, side) for one in of])) for side in ("a", "b"))
    if error == 0:
        return Difference(a, b, 0.0, math.inf, float(a == b), a - b, a - b, 0, 0)
    parts = variances**2 / np.array([one.freedom for one in of])
    freedom = float(variances.sum() ** 2 / parts.sum()) if parts.sum() else 1e6
    reach = float(stdtrit(freedom, 0.975)) * error
    p = float(2 * stdtr(freedom, -abs(a - b) / error))
    rows, trainings = sum(one.n for one in of), min(one.trainings for one in of)
    return Difference(
        *(a, b, error, freedom, p, a - b - reach, a - b + reach, rows, trainings)
    )


def _line(one: Comparison, task: str, unit: str, found: Difference) -> dict[str, Any]:
    return {
        "question": one.question,
        "comparison": one.name,
        "primary": one.primary,
        "task": task,
        "unit": unit,
        "a": found.a,
        "b": found.b,
        "difference": found.a - found.b,
        "stderr": found.stderr,
        "low": found.low,
        "high": found.high,
        "p_value": found.p_value,
        "p_holm": math.nan,
        "n": found.n,
        "trainings": found.trainings,
        "seen": found.seen,
    }
