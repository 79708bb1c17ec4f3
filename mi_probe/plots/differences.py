"""Systems and their paired differences: of `comparisons.csv`, and those of a study."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportOptionalMemberAccess=false

import re
import warnings

import matplotlib as mpl
import pandas as pd
import seaborn.objects as so
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mi_probe.analysis.labels import short_name
from mi_probe.plots.captions import count_words, has
from mi_probe.plots.forest import LINE, Line, draw_lines, forest_notes, headings, n_words
from mi_probe.plots.marks import DASHES, ceiling_handle, interval_entries, marker_handle
from mi_probe.plots.page import (
    IN_UNIT,
    LINE_SPACING,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    panels,
)
from mi_probe.plots.style import REFERENCE, system_label, system_styles

MOST = 36
"""Lines that a figure has at most: of more, those with the smallest p."""
_NAMES = 0.42
"""Share of the width that names may take."""
_HELD = ("checkpoint", "layer", "view", "tokens", "estimator")
_NEEDED = (
    *("task", "between", "a", "b", "difference", "low", "high", "unit"),
    *("p_value", "p_holm", "over", "n"),
)
_DECLARED = ("comparison", "task", "unit", "difference", "low", "high", "p_holm")


def difference_forest(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw `points` of `in_unit(comparisons)`: a minus b, one a line.

    A heading a task and kind of difference names n and what the intervals are over.
    Hollow markers have an interval that holds 0, or a p-value above 0.05 once it is
    corrected for all differences of the table (Holm), which stands at the right. Of more
    than `MOST` differences only those with the smallest p are drawn, and the axis says so.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(points, _NEEDED, "points", IN_UNIT)
    ax = axes_or_current(ax)
    drawn = _smallest_p(points)
    lines = _difference_lines(drawn, ax.get_figure().get_figwidth())
    draw_lines(ax, drawn, lines, {}, "difference", ticks=4)
    label = f"difference of $I(Y;Z)$ estimates ({points['unit'].iloc[0]})"
    if len(drawn) < len(points):
        label += f"\nthe {len(drawn)} of {len(points)} with the smallest $p$"
    ax.set_xlabel(label, linespacing=LINE_SPACING)
    return ax


def _smallest_p(points: pd.DataFrame) -> pd.DataFrame:
    """The lines that are drawn, in the table's order."""
    kept = points["p_value"].astype(float).sort_values(kind="stable").index[:MOST]
    return points.loc[kept.sort_values()].reset_index(drop=True)


def _difference_lines(drawn: pd.DataFrame, inches: float) -> list[Line]:
    lines: list[Line] = []
    most = int(_NAMES * inches / (0.0062 * float(mpl.rcParams["font.size"])))
    for (task, kind), group in drawn.groupby(["task", "between"], sort=False):
        heading = f"{short_name(str(task))}, between {kind}s{n_words(group)}"
        held = [name for name in _HELD if name in group]
        varying = [name for name in held if group[name].nunique(dropna=False) > 1]
        constant = [name for name in held if name not in varying and name != kind]
        told = [str(group[name].iloc[0]) for name in constant]
        told = [word for word in told if word not in ("", "nan")]
        heading += f" ({', '.join(told)})" if told else ""
        lines += headings(heading, inches)
        for i, row in group.iterrows():
            words = f"{row['a']} \N{MINUS SIGN} {row['b']}"
            words = ", ".join([words, *(str(row[name]) for name in varying)])
            # "Z - Z_mean": that they are of I(Y;Z) is said below.
            words = re.sub(r"I\(Y;(Z\w*)\)", r"\1", words)
            if len(words) > most:
                words = f"{words[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
            lines.append(Line(words, int(i)))
    return lines


def difference_figure(points: pd.DataFrame) -> Figure:
    """`difference_forest` with its legend, as wide as `style` says, as tall as its lines.

    Raises:
        InputError: as `difference_forest`.
    """
    figure, (ax,) = panels(1, 1, 1.0, 0.0)
    difference_forest(points, ax)
    figure.set_figheight(LINE * (ax.get_ylim()[0] + 1) + 0.5)
    over = list(dict.fromkeys(points["over"]))
    words = over[0] if len(over) == 1 else "rows (and groups, seeds, trainings)"
    notes = forest_notes(_smallest_p(points), "difference", words, "Holm's $p$")
    figure_legends(figure, notes)
    return figure


def declared_figure(table: pd.DataFrame) -> Figure:
    """The comparisons that a study declares: a panel a unit, a line a comparison and task.

    Markers are as those of `difference_forest`.

    Args:
        table: ``comparison``, ``task``, ``unit``, ``difference``, ``low``, ``high`` and
            ``p_holm``, as `mi_probe.study.evaluated.evaluate` gives them.

    Raises:
        InputError: a column missing, or no row.
    """
    made = "pass what mi_probe.study.evaluated.evaluate gives"
    check_table(table, _DECLARED, "comparisons", made)
    parts = [part.reset_index(drop=True) for _, part in table.groupby("unit", sort=False)]
    lines = [_declared_lines(part, 0.8 * figure_width()) for part in parts]
    tall = (LINE * sum(map(len, lines)) + 0.45 * len(parts)) / len(parts)
    ratios = [len(some) + 3 for some in lines]
    figure, axes = panels(len(parts), 1, tall, 0.1, height_ratios=ratios)
    for ax, part, some in zip(axes, parts, lines, strict=True):
        draw_lines(ax, part, some, {}, "difference")
        ax.set_xlabel(f"difference ({part['unit'].iloc[0]})")
    notes = forest_notes(table, "difference", "rows and trainings", "Holm's $p$")
    figure_legends(figure, notes)
    return figure


def _declared_lines(part: pd.DataFrame, inches: float) -> list[Line]:
    lines: list[Line] = []
    for name, group in part.groupby("comparison", sort=False):
        lines += headings(str(name), inches)
        lines += [Line(str(row["task"]), int(i)) for i, row in group.iterrows()]
    return lines


_SYSTEM = 0.16
"""Inches that a system's or a comparison's line takes."""
_HEAD = 0.75
"""Inches of axis, labels and legend."""
_SYSTEMS = ("measure", "task", "system", "mean", "low", "high", "n", "trainings")


def system_dots_figure(table: pd.DataFrame) -> Figure:
    """Draw systems over tasks: a panel a measure, a dot a system, with its interval.

    A vertical mark at each task of a panel in nats is its H(Y), the most that can be known.

    Args:
        table: ``measure`` (what the x axis is, unit included), ``task``, ``system``,
            ``mean``, ``low`` and ``high`` (95 % interval over rows and trainings), ``n``
            (rows), ``trainings`` and ``H_Y_nats`` (empty where there is none).

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(table, _SYSTEMS, "systems", "pass a study's table, with its intervals")
    systems, tasks = (list(dict.fromkeys(table[name])) for name in ("system", "task"))
    looks = system_styles(systems)
    rows = table.groupby("task", sort=False)["n"].first().astype(int)
    words = {task: f"{task}\nn = {rows[task]:,}" for task in tasks}
    measures = list(dict.fromkeys(table["measure"]))
    tall = _SYSTEM * len(tasks) * (len(systems) + 1)
    figure, axes = panels(len(measures), len(measures), tall, _HEAD, sharey=True)
    for ax, measure in zip(axes, measures, strict=True):
        part = table[table["measure"] == measure]
        part = part.assign(task=part["task"].map(words))
        order = so.Nominal(order=list(words.values()))
        plot = (
            so.Plot(part, x="mean", y="task", color="system", marker="system")
            .add(so.Range(linewidth=1), so.Dodge(), xmin="low", xmax="high", legend=False)
            .add(so.Dot(pointsize=4), so.Dodge(), legend=False)
            .scale(
                color=so.Nominal([looks[n].colour for n in systems], order=systems),
                marker=so.Nominal([looks[n].marker for n in systems], order=systems),
                y=order,
            )
            .label(x=f"{measure}", y="")
            .theme(dict(mpl.rcParams))
        )
        with warnings.catch_warnings():
            # seaborn 0.13 still gives pandas 3 an argument that it no longer takes.
            warnings.filterwarnings("ignore", message="The copy keyword is deprecated")
            plot.on(ax).plot()
        if "nats" in measure:
            _draw_ceilings(ax, part, list(words.values()))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.grid(visible=False)
        ax.label_outer(remove_inner_ticks=False)
    entries: list[Entry] = [
        (marker_handle(looks[name]), system_label(name)) for name in systems
    ]
    over = f"95 % interval over rows and {count_words(table['trainings'])} trainings"
    entries += interval_entries(table, over, across=True)
    if has(table, "H_Y_nats"):
        entries.append((ceiling_handle(), "H(Y)"))
    figure_legends(figure, entries)
    return figure


def _draw_ceilings(ax: Axes, part: pd.DataFrame, tasks: list[str]) -> None:
    """Mark H(Y) at each task that has one, where the panel reaches it."""
    for place, task in enumerate(tasks):
        known = part.loc[part["task"] == task, "H_Y_nats"].dropna()
        if len(known):
            ax.plot(
                [known.iloc[0]] * 2,
                [place - 0.4, place + 0.4],
                color=REFERENCE,
                linewidth=0.8,
                linestyle=DASHES,
            )
