"""A study's systems over tasks: how well they answer, and how much their states know."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false, reportOptionalMemberAccess=false

import warnings

import matplotlib as mpl
import pandas as pd
import seaborn.objects as so
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mi_probe.plots.captions import count_words, has
from mi_probe.plots.marks import DASHES, ceiling_handle, interval_entries, marker_handle
from mi_probe.plots.page import Entry, check_table, figure_legends, panels
from mi_probe.plots.style import REFERENCE, system_label, system_styles

_LINE = 0.16
"""Inches that a system's or a comparison's line takes."""
_HEAD = 0.75
"""Inches of axis, labels and legend."""
_NEEDED = ("measure", "task", "system", "mean", "low", "high", "n", "trainings")


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
    check_table(table, _NEEDED, "systems", "pass a study's table, with its intervals")
    systems, tasks = (list(dict.fromkeys(table[name])) for name in ("system", "task"))
    looks = system_styles(systems)
    rows = table.groupby("task", sort=False)["n"].first().astype(int)
    words = {task: f"{task}\nn = {rows[task]:,}" for task in tasks}
    measures = list(dict.fromkeys(table["measure"]))
    tall = _LINE * len(tasks) * (len(systems) + 1)
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
