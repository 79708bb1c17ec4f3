"""The declared comparisons of a study, evaluated: a table of paired differences."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from mi_probe.analysis.multiplicity import holm
from mi_probe.analysis.paired import PairedDifference, compare, with_error
from mi_probe.analysis.scored import Scored, averaged
from mi_probe.errors import InputError
from mi_probe.study.declared import Study
from mi_probe.study.endpoints import Comparison, matches, wanted_of
from mi_probe.study.gathered import Measured

AVERAGE = "average"
"""What stands in the column ``task`` where tasks are averaged."""
_SHARED = (
    *("task", "backbone", "method", "system", "site", "view", "token_set", "estimator"),
    *("control", "step", "rows"),
)
"""What the sides of a line have in common, unless they are told apart by it."""
_OF_CONTROLS = ("site", "view", "estimator")
"""In which the control of a text, or a model's own answer, is unlike any states."""
COLUMNS = (
    *("question", "comparison", "primary", "task", "unit", "a", "b", "difference"),
    *("stderr", "low", "high", "p_value", "p_holm", "n", "trainings", "seen"),
)


def evaluate(
    study: Study, known: Sequence[Measured], fixed: Collection[str] | None = None
) -> pd.DataFrame:
    """A line a comparison and task, and one for the average of the tasks.

    ``difference`` is in nats for information of one task, a share of H(Y) (of scores,
    1 - exp(-2 I), the share of variance that as much information is worth where all is
    Gaussian) for an average of tasks; of scores of answers, accuracy or explained variance.
    Trainings are paired by their seed, and rows by their place. ``p_holm`` is corrected
    over the primary comparisons, or over the exploratory ones, averages apart. ``seen`` is
    the smallest difference that so many rows and trainings would show in 80 % of runs.

    Args:
        study: what was declared.
        known: what was measured.
        fixed: `Comparison.digest` of those that were declared before anything was run;
            a primary one that is not among them is exploratory. None: all are.

    Raises:
        InputError: where a side has several trainings of one seed.
    """
    lines: list[dict[str, Any]] = []
    for one in study.comparisons:
        if fixed is not None and one.digest not in fixed:
            one = replace(one, primary=False)  # its results were there before it was
        sides = _sides(one, known)
        shares: dict[_Place, list[PairedDifference]] = {}
        for place, (a, b) in sides.items():
            found = compare([m.scored for m in a], [m.scored for m in b])
            lines.append(_line(one, _words(place, [*sides]), a[0].metric, found))
            share = compare([as_share(m) for m in a], [as_share(m) for m in b])
            shares.setdefault(place[1:], []).append(share)
        unit = "share of H(Y)" if one.of == "information" else "score"
        for rest, of_tasks in shares.items():
            if len(of_tasks) > 1:
                words = _words((AVERAGE, *rest), [(AVERAGE, *other) for other in shares])
                lines.append(_line(one, words, unit, average_of(of_tasks)))
    table = pd.DataFrame(lines, columns=list(COLUMNS))
    for primary in (True, False):
        for averages in (True, False):
            of_tasks = table["task"].astype(str).str.startswith(AVERAGE)
            at = (table["primary"] == primary) & (of_tasks == averages)
            table.loc[at, "p_holm"] = holm(table.loc[at, "p_value"].to_numpy(float))
    return table


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


_Place: TypeAlias = tuple[Any, ...]
"""What both sides of a line share: the task first, then all else that can differ."""


def _sides(
    one: Comparison, known: Sequence[Measured]
) -> dict[_Place, tuple[list[Measured], list[Measured]]]:
    """Both sides, a list of trainings each, by what they share.

    What a side does not name (a site, an estimator, a method) is shared: trainings that
    differ in it are of other lines.
    """
    differ = {*one.a, *one.b}
    if "control" in differ:
        differ |= {*_OF_CONTROLS}
    shared = [name for name in _SHARED if name not in differ]
    sides: list[dict[_Place, list[Measured]]] = []
    for side in (one.a, one.b):
        wanted = wanted_of(one.of, one.where, side)
        by: dict[_Place, list[Measured]] = {}
        for entry in known:
            if entry.of == one.of and matches(entry.told, wanted):
                place = tuple(entry.told.get(name) for name in shared)
                by.setdefault(place, []).append(entry)
        sides.append({place: over_critics(entries) for place, entries in by.items()})
    return {
        place: (a, sides[1][place]) for place, a in sides[0].items() if place in sides[1]
    }


def over_critics(entries: Sequence[Measured]) -> list[Measured]:
    """One entry a training: the mean over the seeds of its critics.

    Raises:
        InputError: if entries of one seed differ in something else.
    """
    by: dict[Any, list[Measured]] = {}
    for entry in entries:
        by.setdefault(entry.told["seed"], []).append(entry)
    for same in by.values():
        several = {
            name: values
            for name in same[0].told
            if len(values := {str(entry.told.get(name)) for entry in same}) > 1
        }
        if several:
            name, values = next(iter(several.items()))
            raise InputError(
                "the sides of a comparison must be of one estimate a training; of seed "
                f"{same[0].told['seed']} there are several, of {name} "
                f"{', '.join(sorted(values))}. Name more of a, b or where."
            )
    return [
        replace(same[0], scored=averaged([one.scored for one in same]))
        for same in by.values()
    ]


def _words(place: _Place, known: Sequence[_Place]) -> str:
    """The place's task, and what tells it from the other lines of its comparison."""
    varying = [i for i in range(1, len(place)) if len({other[i] for other in known}) > 1]
    return ", ".join([str(place[0]), *(str(place[i]) for i in varying)])


def average_of(of: Sequence[PairedDifference]) -> PairedDifference:
    """The mean over tasks, whose errors are independent; Satterthwaite's freedom."""
    variances = np.array([one.stderr**2 for one in of]) / len(of) ** 2
    parts = float((variances**2 / np.array([one.freedom for one in of])).sum())
    return with_error(
        *(float(np.mean([getattr(one, side) for one in of])) for side in ("a", "b")),
        stderr=math.sqrt(variances.sum()),
        freedom=float(variances.sum()) ** 2 / parts if parts else math.inf,
        n=sum(one.n for one in of),
        units=sum(one.units for one in of),
        draws=min(one.draws for one in of),
    )


def _line(one: Comparison, task: str, unit: str, found: PairedDifference) -> dict[str, Any]:
    return {
        "question": one.question,
        "comparison": one.name,
        "primary": one.primary,
        "task": task,
        "unit": unit,
        "a": found.a,
        "b": found.b,
        "difference": found.difference,
        "stderr": found.stderr,
        **dict(zip(("low", "high"), found.ci, strict=True)),
        "p_value": found.p_value,
        "p_holm": math.nan,
        "n": found.n,
        "trainings": found.draws,
        "seen": found.seen,
    }
