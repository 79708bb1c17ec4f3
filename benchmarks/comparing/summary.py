"""From cells to a table: errors, coverage and cost by group of tasks and method."""

import numpy as np
import pandas as pd

from mi_probe.provenance import code_version
from mi_probe.synthetic import GROUPS

_COLUMNS = [
    *("group", "package", "estimator", "cells", "failures", "median_error", "max_error"),
    *("bias", "coverage", "cpu_seconds", "peak_mb"),
]


def summary(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a group and method; extrapolated values are methods of their own.

    Errors are absolute, in nats; the bias is signed; CPU seconds and megabytes are the
    median and the largest of a cell. A method that refuses a task is not counted there; a
    failure or time-out is counted, and has no error.
    """
    beyond = _extrapolated(cells)
    claimed = beyond[beyond.claim.eq("two_sided")].copy()
    claimed["estimator"] += ", two-sided"
    table = pd.concat([cells, beyond, claimed], ignore_index=True)
    table = table[table.status != "refused"]
    rows = []
    for (group, package, estimator), part in table.groupby(
        ["group", "package", "estimator"], sort=False
    ):
        good = part[part.status == "ok"]
        covered = good.covers.dropna().astype(float)
        rows.append(
            {
                "group": group,
                "package": package,
                "estimator": estimator,
                "cells": len(part),
                "failures": len(part) - len(good),
                "median_error": good.error.abs().median(),
                "max_error": good.error.abs().max(),
                "bias": good.error.mean(),
                "coverage": covered.mean() if len(covered) else None,
                "cpu_seconds": good.cpu_seconds.median(),
                "peak_mb": good.peak_mb.max(),
            }
        )
    result = pd.DataFrame(rows, columns=_COLUMNS)
    # In the groups' own order, the best first.
    place = {group: i for i, group in enumerate(GROUPS)}
    order = result.assign(place=result.group.map(place)).sort_values(
        ["place", "median_error"], na_position="last"
    )
    return order[_COLUMNS].reset_index(drop=True)


def _extrapolated(cells: pd.DataFrame) -> pd.DataFrame:
    part = cells[cells.extrapolated.notna()].copy()
    part["estimator"] += ", extrapolated"
    part["error"] = part.extrapolated_error
    # A value that is claimed from below alone has no upper end.
    low, high = part.extrapolated_low, part.extrapolated_high.fillna(np.inf)
    slack = 2 * part.true_stderr
    part["covers"] = (low - slack <= part.true) & (part.true <= high + slack)
    return part


def markdown(table: pd.DataFrame) -> str:
    """The table as text, a section a group."""
    lines = [
        "# Known answers, by group of tasks",
        "",
        "Written by `make bench`. Errors in nats; CPU seconds of one cell (median) on one",
        "thread, imports not counted; peak memory of the process. Coverage is the share of",
        "95 % intervals that hold the true value; a lower bound's is of the bound.",
        "A value that is claimed from below alone is covered where the truth is no less;",
        "`extrapolated, two-sided` leaves those out.",
        f"Last run with mi_probe {code_version()}; cells that it kept may be older.",
    ]
    for group, part in table.groupby("group", sort=False):
        lines += ["", f"## {GROUPS[str(group)]}", ""]
        lines += [
            "| package | estimator | cells | failed | median error | max error | bias "
            "| coverage | CPU s | peak MB |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in part.itertuples():
            numbers = [f"{v:.3f}" for v in (row.median_error, row.max_error)]
            numbers.append(f"{row.bias:+.3f}")
            numbers.append(f"{row.coverage:.2f}" if pd.notna(row.coverage) else "")
            numbers += [f"{row.cpu_seconds:.1f}", f"{row.peak_mb:.0f}"]
            shown = ["" if "nan" in number else number for number in numbers]
            head = [row.package, row.estimator, str(row.cells), str(row.failures or "")]
            lines.append("| " + " | ".join(head + shown) + " |")
    return "\n".join(lines) + "\n"
