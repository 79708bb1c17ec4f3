"""A study's figures: systems over tasks, and the differences that it declared."""

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

from mi_probe.errors import InputError
from mi_probe.plots.marks import marker_handle
from mi_probe.plots.parts import Entry, ceiling_handle, figure_legends, interval_handle
from mi_probe.plots.style import REFERENCE, ViewStyle, system_label, system_style

_LINE = 0.16
"""Inches that a system's or a comparison's line takes."""
_HEAD = 0.75
"""Inches of axis, labels and legend."""
_MARKERS = ("o", "s", "^", "D", "v", "P")


def systems_figure(table: pd.DataFrame) -> Figure:
    """Draw systems over tasks: a panel a measure, a dot a system, with its interval.

    A vertical mark at each task of a panel in nats is its H(Y), the most that can be known.

    Args:
        table: ``measure`` (what the x axis is, unit included), ``task``, ``system``,
            ``mean``, ``low`` and ``high`` (95 % interval over rows and trainings), ``n``
            (rows), ``trainings`` and ``H_Y_nats`` (empty where there is none).

    Raises:
        InputError: a column missing, or no row.
    """
    _check(table, ("measure", "task", "system", "mean", "low", "high", "n", "trainings"))
    systems, tasks = (list(dict.fromkeys(table[name])) for name in ("system", "task"))
    looks = {name: _look(name, i) for i, name in enumerate(systems)}
    rows = table.groupby("task", sort=False)["n"].first().astype(int)
    words = {task: f"{task}\nn = {rows[task]:,}" for task in tasks}
    measures = list(dict.fromkeys(table["measure"]))
    figure = _figure(_HEAD + _LINE * len(tasks) * (len(systems) + 1))
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    for ax, measure in zip(panels, measures, strict=True):
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
    trainings = table["trainings"]
    many = (
        f"{trainings.min()}"
        if trainings.nunique() == 1
        else (f"{trainings.min()} to {trainings.max()}")
    )
    entries.append(
        (interval_handle(across=True), f"95 % interval over rows and {many} trainings")
    )
    if "H_Y_nats" in table and table["H_Y_nats"].notna().any():
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
                linestyle=(0, (4, 2)),
            )


def differences_figure(table: pd.DataFrame) -> Figure:
    """Draw declared comparisons: one a line, its paired difference and interval.

    Filled markers are shown (p below 0.05 after Holm's correction), hollow ones are not.

    Args:
        table: ``comparison``, ``task``, ``unit``, ``difference``, ``low``, ``high`` and
            ``p_holm``, as `mi_probe.study.evaluated.evaluate` gives them.

    Raises:
        InputError: a column missing, or no row.
    """
    _check(table, ("comparison", "task", "unit", "difference", "low", "high", "p_holm"))
    figure = _figure(0.0)
    units = list(dict.fromkeys(table["unit"]))
    counts = [int((table["unit"] == unit).sum()) for unit in units]
    figure.set_size_inches(
        figure.get_figwidth(), _HEAD * len(units) + 2 * _LINE * sum(counts)
    )
    axes = figure.subplots(
        len(units), 1, squeeze=False, gridspec_kw={"height_ratios": counts}
    )[:, 0]
    for ax, unit in zip(axes, units, strict=True):
        part = table[table["unit"] == unit].reset_index(drop=True)
        ax.axvline(0, color=REFERENCE, linewidth=0.6)
        for place, line in part.iterrows():
            look = _look("", 0)
            filled = bool(line["p_holm"] < 0.05)
            ax.plot([line["low"], line["high"]], [place, place], color=look.colour, lw=1)
            ax.plot(
                line["difference"],
                place,
                look.marker,
                ms=4,
                color=look.colour,
                markerfacecolor=look.colour if filled else "white",
            )
        labels = [f"{one}\n{task}" for one, task in part[["comparison", "task"]].to_numpy()]
        ax.set_yticks(range(len(part)), labels, parse_math=False)
        ax.set_ylim(len(part) - 0.5, -0.5)
        ax.set_xlabel(f"difference ({unit}), 95 % interval over rows and trainings")
    return figure


def _figure(height: float) -> Figure:
    width = mpl.rcParams["figure.figsize"][0]
    return Figure(figsize=(width, max(height, 1.0)), layout="constrained")


def _look(system: str, number: int) -> ViewStyle:
    """A system's own look; of one that has none, the next marker."""
    known = system_style(system)
    marker = _MARKERS[number % len(_MARKERS)]
    palette = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
    colour = known.colour if system else palette[0]
    if system and system not in ("predictor", "generator", "predgen"):
        colour = palette[number % len(palette)]
    return ViewStyle(colour, marker, "-", "")


def _check(table: pd.DataFrame, needed: tuple[str, ...]) -> None:
    missing = [name for name in needed if name not in table]
    if missing or table.empty:
        said = f"it lacks {', '.join(missing)}" if missing else "it has no row"
        raise InputError(f"table must have rows with {', '.join(needed)}; {said}.")
