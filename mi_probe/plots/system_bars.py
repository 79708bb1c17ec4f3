"""The three systems side by side on each task: I(Y;Z) and every I(Y;Z_p)."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportAssignmentType=false, reportIndexIssue=false

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mi_probe.analysis.control_points import (
    controls_beside,
    controls_of,
    states_of,
    with_controls,
)
from mi_probe.analysis.labels import in_order, view_label
from mi_probe.analysis.summaries import layer_words
from mi_probe.analysis.training_runs import systems_in_order
from mi_probe.errors import InputError
from mi_probe.plots.bars import bar_notes, draw_bar, draw_ceiling_piece
from mi_probe.plots.controls import control_entries, draw_control_pieces
from mi_probe.plots.panels import (
    LINE_SPACING,
    axes_or_current,
    figure_width,
    fitted_names,
    head,
    panels,
    plain_title,
    slant_names,
)
from mi_probe.plots.parts import (
    Entry,
    check_points,
    figure_legends,
    sample_label,
    y_label,
)
from mi_probe.plots.style import (
    INK,
    REFERENCE,
    ViewStyle,
    system_label,
    system_style,
    view_styles,
)

BAR = 0.085
"""Inches that a bar takes at least."""
_SPACE = 0.6
"""Between two systems of a task, in bars."""


def system_bars(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one estimator's points of one layer: a task a group, a system a block in it.

    In a block are the views of one network: the full states plain, pooled ones hatched,
    which the data processing inequality orders. It says nothing about the order of blocks,
    which are different networks. Ceilings, nulls, intervals and flags are those of
    `grouped_bars`; controls are thin segments over the block of their network.

    Raises:
        InputError: not a table of `with_runs(over_seeds(results))`, or two points for one
            bar.
    """
    check_points(points)
    controls, points = controls_of(points), states_of(points)
    _check(points)
    ax = axes_or_current(ax)
    tasks = list(dict.fromkeys(points["task_label"]))
    views = in_order(points["view"])
    hatches = view_styles(views)
    widest = max(_bars(points[points["task_label"] == task], views) for task in tasks)
    width = 0.86 / widest
    ax.axhline(0, color=REFERENCE, linewidth=0.5, zorder=2)
    for at, task in enumerate(tasks):
        members = points[points["task_label"] == task]
        left = at - width * _bars(members, views) / 2
        start = left
        for objective, block in _blocks(members):
            shown = [view for view in views if (block["view"] == view).any()]
            for i, view in enumerate(shown):
                (_, row), *_ = block[block["view"] == view].iterrows()
                colour = system_style(objective).colour
                look = ViewStyle(colour, "", "-", hatches[view].hatch)
                draw_bar(ax, row, start + (i + 0.5) * width, width, look, _lines(colour))
            places = {view: start + (i + 0.5) * width for i, view in enumerate(shown)}
            ends = start, start + width * len(shown)
            draw_control_pieces(ax, controls_beside(block, controls), *ends, places)
            start += width * (len(shown) + _SPACE)
        draw_ceiling_piece(ax, members, left - 0.03, start - width * _SPACE + 0.03)
    ax.set_xticks(range(len(tasks)), tasks, parse_math=False)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.56, len(tasks) - 0.44)
    ax.set_ylabel(y_label(points))
    return ax


def _check(points: pd.DataFrame) -> None:
    if not {"run", "objective"} <= set(points.columns):
        raise InputError(
            "points lack the columns run, objective; pass them through "
            "mi_probe.analysis.training_runs.with_runs first."
        )
    panel = ["estimator_label", "stack"]
    if points.duplicated([*panel, "task_label", "objective", "run", "view"]).any():
        raise InputError(
            "points must hold one row a task, run and view; choose the last_steps, one "
            "layer with at_layer and one estimator."
        )


def _blocks(members: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """One a run, in the order of systems."""
    return [
        (objective, block)
        for objective in systems_in_order(members)
        for _, block in members[members["objective"] == objective].groupby(
            "run", sort=False
        )
    ]


def _bars(members: pd.DataFrame, views: list[str]) -> float:
    """What a task's group takes, in bars."""
    blocks = _blocks(members)
    shown = sum(block["view"].isin(views).sum() for _, block in blocks)
    return float(shown + _SPACE * (len(blocks) - 1))


def _lines(colour: str) -> str:
    """A hatch that is seen on the colour."""
    red, green, blue = to_rgb(colour)
    return INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"


def system_figure(points: pd.DataFrame) -> Figure:
    """`system_bars`, a panel an estimator, over several rows where tasks are many.

    `points` are those of one layer of each run's last step. As wide as `style` says.

    Raises:
        InputError: as `system_bars`.
    """
    check_points(points)
    controls, points = controls_of(points), states_of(points)
    _check(points)
    width = figure_width()
    views = in_order(points["view"])
    parts: list[tuple[str, pd.DataFrame]] = []
    for name, rows in points.groupby(["estimator_label", "stack"], sort=False):
        parts += [(str(name[0]), part) for part in _parts(rows, views, width - 0.5)]
    # A panel of fewer tasks has more room for the name of each.
    named = [_fitted(part, width - 0.5) for _, part in parts]
    every = [name for names, _ in named for name in names]
    deep = 0.12 * (max(name.count("\n") for name in every) + 1)
    deep += 0.028 * max(map(len, every)) if any(slant for _, slant in named) else 0.0
    figure, axes = panels(len(parts), 1, 1.35 + deep, 0.5)
    steps = ", last step of each run" if points["checkpoint_step"].notna().any() else ""
    head(figure, layer_words(points) + steps)
    for ax, (estimator, part), (names, slant) in zip(axes, parts, named, strict=True):
        system_bars(with_controls(part, controls), ax)
        plain_title(ax, f"{estimator}, {sample_label(part)}", 0.9 * width)
        ax.set_xticklabels(names, parse_math=False, linespacing=LINE_SPACING)
        slant_names(ax, slant)
    axes[-1].set_xlabel("different systems are not ordered by the DPI")
    beside = control_entries(controls_beside(points, controls))
    of_views = _view_entries(views)
    figure_legends(figure, _system_entries(points), of_views, beside, bar_notes(points))
    return figure


def _fitted(part: pd.DataFrame, room: float) -> tuple[list[str], float]:
    names = list(dict.fromkeys(part["task_label"]))
    return fitted_names(names, room / len(names) - 0.05)


def _parts(rows: pd.DataFrame, views: list[str], room: float) -> list[pd.DataFrame]:
    """Tasks in rows of panels, so that no bar is too thin; balanced."""
    tasks = list(dict.fromkeys(rows["task_label"]))
    widest = max(_bars(rows[rows["task_label"] == task], views) for task in tasks)
    most = max(1, int(room / (BAR * (widest + 1.5))))
    count = -(-len(tasks) // most)
    each = -(-len(tasks) // count)
    return [
        rows[rows["task_label"].isin(tasks[i : i + each])]
        for i in range(0, len(tasks), each)
    ]


def _system_entries(points: pd.DataFrame) -> list[Entry]:
    return [
        (Patch(facecolor=system_style(name).colour, linewidth=0), system_label(name))
        for name in systems_in_order(points)
    ]


def _view_entries(views: list[str]) -> list[Entry]:
    looks = view_styles(views)
    return [
        (
            Patch(facecolor="0.85", edgecolor=INK, hatch=looks[view].hatch, linewidth=0),
            view_label(view),
        )
        for view in views
    ]
