"""Errors of estimators on data of known information: a panel a group, a line a method.

    python benchmarks/errors_figure.py --out figures

draws `known_answers.csv` as ``benchmark`` in PDF, PNG and CSV.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mi_probe.errors import InputError
from mi_probe.plots import save, style
from mi_probe.plots.captions import count_words
from mi_probe.plots.marks import draw_values, marker_handle
from mi_probe.plots.page import (
    LINE_SPACING,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    panels,
    wrapped,
)
from mi_probe.plots.style import INK, REFERENCE, VIEW_STYLES, ViewStyle
from mi_probe.synthetic import GROUPS

FLOOR = 1e-3
"""Nats; smaller errors are drawn here: below the truths' and rows' own noise."""
_FAILED = 12.0
_LINE = 0.135
_KEPT = (
    *("group", "task", "view", "seed", "n", "package", "method", "true", "error"),
    *("absolute_error", "status"),
)
_NEEDED = (
    *("group", "task", "view", "package", "estimator", "error", "status"),
    *("extrapolated", "extrapolated_error"),
)
_OURS = VIEW_STYLES["full"]
_THEIRS = VIEW_STYLES["mean"]


def error_points(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a cell of the benchmark and method, in nats; refused tasks are left out.

    A learning curve's value is a method of its own, ``NAME, extrapolated``.

    Raises:
        InputError: a column missing, or no row.
    """
    made = "give the table that benchmarks/compare.py wrote"
    check_table(cells, _NEEDED, "cells", made)
    own = cells.assign(method=cells["estimator"])
    curve = cells[cells["extrapolated"].notna()]
    curve = curve.assign(
        method=curve["estimator"] + ", extrapolated", error=curve["extrapolated_error"]
    )
    points = pd.concat([own, curve], ignore_index=True)
    points = points[points["status"] != "refused"]
    if points.empty:
        raise InputError("cells hold no rows; there is nothing to draw.")
    points = points.assign(absolute_error=points["error"].abs())
    return points[[c for c in _KEPT if c in points]].reset_index(drop=True)


def method_errors(
    points: pd.DataFrame, methods: Sequence[tuple[str, str]], ax: Axes | None = None
) -> Axes:
    """Draw one group of `error_points`: a line a method, a dot a cell, a bar the median.

    A cross at the right is a method with a failure or a time-out. Errors below `FLOOR`
    are drawn at it; the table holds them as they are.

    Raises:
        InputError: no method.
    """
    if not methods:
        raise InputError("methods must name at least one (package, method); got none.")
    ax = axes_or_current(ax)
    for place, (package, method) in enumerate(methods):
        look = _look(package)
        part = points[(points["package"] == package) & (points["method"] == method)]
        good = part[part["status"] == "ok"]["absolute_error"].clip(lower=FLOOR)
        at, hollow = np.full(len(good), place), np.full(len(good), look is _THEIRS)
        draw_values(ax, good, at, look, hollow, size=2.4, zorder=2.0)
        if len(good):
            ax.plot(good.median(), place, "|", color=INK, markersize=7, mew=1.3)
        if (part["status"] != "ok").any():
            ax.plot(_FAILED, place, "x", color=REFERENCE, markersize=3.0)
    ours = sum(package == "mi_probe" for package, _ in methods)
    if 0 < ours < len(methods):
        ax.axhline(ours - 0.5, color=INK, linewidth=0.4)
    ax.set_xscale("log")
    ax.set_xlim(0.8 * FLOOR, 20)
    ax.grid(axis="x", color="0.9", linewidth=0.5)
    names = [f"{package} {method}" for package, method in methods]
    ax.set_yticks(range(len(methods)), names, fontsize=6, parse_math=False)
    ax.set_ylim(len(methods) - 0.5, -0.5)
    return ax


def _look(package: str) -> ViewStyle:
    return _OURS if package == "mi_probe" else _THEIRS


def benchmark_figure(points: pd.DataFrame, groups: Mapping[str, str]) -> Figure:
    """`method_errors`, a panel a group, as wide as `style` says.

    Args:
        points: of `error_points`.
        groups: their names in order, and what each is; others are left out.

    Raises:
        InputError: no row of a known group.
    """
    shown = [group for group in groups if (points["group"] == group).any()]
    if not shown:
        raise InputError(f"points must hold a group of {', '.join(groups)}; none does.")
    found = list(dict.fromkeys(zip(points["package"], points["method"], strict=True)))
    ours = [name for name in found if name[0] == "mi_probe"]
    methods = [*ours, *sorted(name for name in found if name[0] != "mi_probe")]
    width = figure_width()
    columns = min(len(shown), 4 if width > 6 else 3 if width > 4.5 else 1)
    room = (width - 1.1) / columns
    tall = 0.4 + _LINE * len(methods)
    figure, axes = panels(len(shown), columns, tall, 0.35, sharex=True, sharey=True)
    # Long names are a little wider at a file's resolution than where they are laid out.
    figure.set_layout_engine("constrained", w_pad=0.07)
    for i, (ax, group) in enumerate(zip(axes, shown, strict=True)):
        part = points[points["group"] == group]
        method_errors(part, methods, ax)
        title = wrapped(groups[group] + _sample_words(part), room, size=7.0)
        ax.set_title(title, loc="left", fontsize=7, linespacing=LINE_SPACING)
        if i + columns >= len(shown):
            ax.set_xlabel("absolute error (nats)", fontsize=7)
            ax.tick_params(labelbottom=True)
    figure_legends(figure, _entries(points))
    return figure


def _sample_words(points: pd.DataFrame) -> str:
    """Rows behind an error, of those that have one."""
    sizes = points.loc[points["status"] == "ok", "n"] if "n" in points else []
    return f", n = {count_words(sizes)}" if len(sizes) else ""


def _entries(points: pd.DataFrame) -> list[Entry]:
    entries: list[Entry] = []
    own = points["package"] == "mi_probe"
    if own.any():
        entries.append((marker_handle(_OURS), "mi_probe, a cell"))
    if not own.all():
        entries.append((marker_handle(_THEIRS, hollow=True), "another package, a cell"))
    bar = Line2D([], [], color=INK, marker="|", markersize=7, mew=1.3, linestyle="")
    entries.append((bar, f"median; below {FLOOR:g} at {FLOOR:g}"))
    if (points["status"] != "ok").any():
        cross = Line2D([], [], color=REFERENCE, marker="x", markersize=3.0, linestyle="")
        entries.append((cross, "failure or time-out"))
    return entries


def main() -> None:
    """Draw the table of known answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("figures"))
    asked = parser.parse_args()
    points = error_points(pd.read_csv(Path(__file__).parent / "known_answers.csv"))
    with style("acl", "page"):
        words = "Errors of estimators where the truth is known, by group of tasks."
        save(
            benchmark_figure(points, GROUPS), points, "benchmark", asked.out, caption=words
        )


if __name__ == "__main__":
    main()
