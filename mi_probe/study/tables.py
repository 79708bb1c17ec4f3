r"""The paper's table of a study: systems against tasks, in Markdown, CSV and LaTeX.

A cell is the mean over trainings with half of its 95 % interval, over rows and trainings.
The best of a column is bold only where the paired differences say that it is better than
each other, Holm-corrected within the column.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false
# pyright: reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
# pyright: reportOperatorIssue=false

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from mi_probe.analysis.multiplicity import holm
from mi_probe.analysis.paired import compare
from mi_probe.analysis.scored import Scored
from mi_probe.estimators import ESTIMATORS
from mi_probe.plots.curves import PLACE
from mi_probe.study.endpoints import matches, wanted_of
from mi_probe.study.evaluated import AVERAGE, as_share, average_of, over_critics
from mi_probe.study.gathered import Measured

COLUMNS = (
    *("system", "task", "mean", "half_width", "best", "trainings", "measure"),
    *("H_Y_nats", "n"),
)
_LEVEL = 0.05


@dataclass(frozen=True)
class TableOf:
    """What one table shows."""

    stem: str
    """Name of its files."""
    caption: str
    of: str
    """``information`` or ``score``."""
    wanted: dict[str, Any]
    """Values that its entries have, such as the view."""


TABLES = (
    TableOf("scores", "Accuracy; of scores, the share of variance explained", "score", {}),
    TableOf(
        "information",
        "I(Y;Z) of all tokens of the prompt, in nats; the average is of shares of H(Y)",
        "information",
        wanted_of("information", {"site": "final_norm"}),
    ),
)


def table_lines(entries: Sequence[Measured], table: TableOf) -> pd.DataFrame:
    """A line a system, task and method: mean, half-width, and whether it is the best.

    ``measure`` is nats, accuracy or explained variance, ``H_Y_nats`` the most that nats can
    be, ``n`` the number of rows; all three are empty for an average. ``best`` is True where
    the paired differences show it to be better than each other system of its column.
    """
    chosen = [e for e in entries if e.of == table.of and matches(e.told, table.wanted)]
    trained = [e for e in chosen if e.told["system"]]
    lines = []
    columns = dict.fromkeys(e.told["task"] for e in trained)
    by = {
        task: _by_system([e for e in trained if e.told["task"] == task], trained)
        for task in columns
    }
    for task, systems in by.items():
        values = {name: _value([e.scored for e in side]) for name, side in systems.items()}
        best = _best({n: [e.scored for e in side] for n, side in systems.items()}, values)
        for name, (mean, half) in values.items():
            entry = systems[name][0]
            lines.append(
                {
                    **_line(name, task, mean, half, name == best, len(systems[name])),
                    "measure": entry.metric,
                    "H_Y_nats": entry.scored.entropy_y,
                    "n": len(entry.scored.terms),
                }
            )
    for name in dict.fromkeys(name for systems in by.values() for name in systems):
        if len(by) < 2 or not all(name in systems for systems in by.values()):
            continue  # an average of fewer tasks would be of others
        shares = [_value([as_share(e) for e in systems[name]]) for systems in by.values()]
        mean = float(np.mean([m for m, _ in shares]))
        half = math.sqrt(sum(h**2 for _, h in shares)) / len(shares)
        fewest = min(len(systems[name]) for systems in by.values())
        lines.append(_line(name, AVERAGE, mean, half, _best_on_average(name, by), fewest))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def markdown(lines: pd.DataFrame) -> str:
    """The table as Markdown."""
    return ruled(_cells(lines, "**{}**".format, " ± "))


def ruled(cells: pd.DataFrame) -> str:
    """A table of words, its index apart, as Markdown."""
    rows = [cells.columns, ["---"] * len(cells.columns), *cells.to_numpy()]
    return "".join("| " + " | ".join(map(str, row)) + " |\n" for row in rows)


def latex(lines: pd.DataFrame, caption: str) -> str:
    """The table as a LaTeX ``table`` with the rules of the package booktabs."""
    cells = _cells(lines, r"\textbf{{{}}}".format, r" $\pm$ ")
    body = [" & ".join([_escaped(str(name)), *row]) for name, *row in cells.to_numpy()]
    parts = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escaped(caption)}. Mean $\pm$ half of the 95 \% interval.}}",
        r"\begin{tabular}{l" + "r" * (len(cells.columns) - 1) + "}",
        r"\toprule",
        " & ".join(map(_escaped, cells.columns)) + r" \\",
        r"\midrule",
        *(line + r" \\" for line in body),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(parts) + "\n"


def _cells(lines: pd.DataFrame, bold: Callable[[str], str], sign: str) -> pd.DataFrame:
    def cell(line: pd.Series) -> str:
        mean = f"{line['mean']:.3f}"
        half = line["half_width"]
        shown = f"{bold(mean) if line['best'] else mean}"
        return shown if math.isnan(half) else f"{shown}{sign}{half:.3f}"

    filled = lines.assign(cell=[cell(line) for _, line in lines.iterrows()])
    tasks = list(dict.fromkeys(lines["task"]))
    systems = list(dict.fromkeys(lines["system"]))
    cells = filled.pivot(index="system", columns="task", values="cell")
    return cells.reindex(index=systems, columns=tasks).fillna("").reset_index()


def _by_system(
    entries: Sequence[Measured], everywhere: Sequence[Measured]
) -> dict[str, list[Measured]]:
    """A list of trainings each: by system, and by what else differs in the table."""
    telling = ("method", "backbone", "site", "estimator", "rows")
    varying = [n for n in telling if len({e.told.get(n) for e in everywhere}) > 1]
    found: dict[str, list[Measured]] = {}
    for entry in entries:
        parts = [str(entry.told[name]) for name in ("system", *varying)]
        found.setdefault(", ".join(parts), []).append(entry)
    return {name: over_critics(same) for name, same in found.items()}


def _value(side: Sequence[Scored]) -> tuple[float, float]:
    """Mean over trainings and half its interval: its difference from a constant 0."""
    none = [replace(one, nats=0.0, influence=np.zeros_like(one.influence)) for one in side]
    found = compare(side, none)
    return found.difference, (found.ci[1] - found.ci[0]) / 2


def _best(
    sides: dict[str, list[Scored]], values: dict[str, tuple[float, float]]
) -> str | None:
    """The system that is shown to be better than each other; None where none is."""
    if len(sides) < 2:
        return None
    top = max(values, key=lambda name: values[name][0])
    p = [compare(sides[top], side).p_value for n, side in sides.items() if n != top]
    return top if bool((holm(np.array(p)) < _LEVEL).all()) else None


def _best_on_average(name: str, by: dict[str, dict[str, list[Measured]]]) -> bool:
    others = {other for systems in by.values() for other in systems} - {name}
    p, better = [], []
    for other in others:
        if not all(other in systems for systems in by.values()):
            continue
        mean = average_of(
            [
                compare(
                    [as_share(e) for e in systems[name]],
                    [as_share(e) for e in systems[other]],
                )
                for systems in by.values()
            ]
        )
        p.append(mean.p_value)
        better.append(mean.difference > 0)
    return bool(p) and all(better) and bool((holm(np.array(p)) < _LEVEL).all())


def _line(
    name: str, task: str, mean: float, half: float, best: bool, trainings: int
) -> dict[str, Any]:
    return {
        "system": name,
        "task": task,
        "mean": mean,
        "half_width": half,
        "best": best,
        "trainings": trainings,
    }


def _escaped(text: str) -> str:
    special = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$"}
    return "".join(special.get(c, c) for c in text)


_OF_CRITICS = (
    *("task", "backbone", "site", "view", "estimator", "family", "rows"),
    *("nats", "low", "high", "H_Y_nats"),
)
_STATES = {"system": "", "token_set": "prompt", "control": ""}


def critic_lines(entries: Sequence[Measured]) -> pd.DataFrame:
    """A line an estimator and number of rows, of models as they are.

    Only where several estimators measured the same states with several numbers of rows
    each. The interval is an estimate's own, 95 %, over rows; estimators at one number of
    rows are of the same rows, so that their difference is better known than their intervals
    say (a declared comparison has it).
    """
    lines = [
        {
            **{name: entry.told[name] for name in (*PLACE, "estimator", "rows")},
            "family": _family(entry.told["estimator"]),
            "nats": entry.scored.nats,
            **dict(zip(("low", "high"), entry.scored.ci, strict=True)),
            "H_Y_nats": entry.scored.entropy_y,
        }
        for entry in entries
        if entry.of == "information" and matches(entry.told, _STATES)
    ]
    table = pd.DataFrame(lines, columns=list(_OF_CRITICS))
    counts = table.groupby([*PLACE, "estimator"])["rows"].transform("nunique")
    kept = [
        part.sort_values(["family", "estimator", "rows"], kind="stable")
        for _, part in table[counts > 1].groupby([*PLACE], sort=False)
        if part["estimator"].nunique() > 1
    ]
    return pd.concat(kept, ignore_index=True) if kept else table.iloc[:0]


def _family(estimator: str) -> str:
    """Its family; empty for an estimator of the user's own."""
    return ESTIMATORS[estimator].nature.family if estimator in ESTIMATORS else ""
