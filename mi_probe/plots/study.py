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
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mi_probe.errors import InputError
from mi_probe.plots.style import REFERENCE, ViewStyle, system_label, system_style

_LINE = 0.16
"""Inches that a system's or a comparison's line takes."""
_HEAD = 0.75
"""Inches of axis, labels and legend."""
_MARKERS = ("o", "s", "^", "D", "v", "P")


def systems_figure(table: pd.DataFrame) -> Figure:
    """Draw systems over tasks: a panel a measure, a dot a system, with its interval.

    Args:
        table: ``measure`` (what the x axis is, unit included), ``task``, ``system``,
            ``mean``, ``low`` and ``high`` (95 % interval over rows and trainings).

    Raises:
        InputError: a column missing, or no row.
    """
    _check(table, ("measure", "task", "system", "mean", "low", "high"))
    systems = list(dict.fromkeys(table["system"]))
    tasks = list(dict.fromkeys(table["task"]))
    looks = {name: _look(name, i) for i, name in enumerate(systems)}
    shown = table.assign(system=[system_label(name) or name for name in table["system"]])
    named = [system_label(name) or name for name in systems]
    plot = (
        so.Plot(shown, x="mean", y="task", color="system", marker="system")
        .add(so.Range(linewidth=1), so.Dodge(), xmin="low", xmax="high", legend=False)
        .add(so.Dot(pointsize=4), so.Dodge())
        .facet("measure")
        .share(x=False)
        .scale(
            color=so.Nominal([looks[n].colour for n in systems], order=named),
            marker=so.Nominal([looks[n].marker for n in systems], order=named),
            y=so.Nominal(order=tasks),
        )
        .label(y="", color="", marker="")
        .theme(dict(mpl.rcParams))
    )
    figure = _figure(_HEAD + _LINE * len(tasks) * (len(systems) + 1))
    with warnings.catch_warnings():
        # seaborn 0.13 still gives pandas 3 an argument that it no longer takes.
        warnings.filterwarnings("ignore", message="The copy keyword is deprecated")
        plot.on(figure).plot()
    for ax in figure.axes:
        ax.set_xlabel(ax.get_title())
        ax.set_title("")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.grid(visible=False)
    return figure


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
