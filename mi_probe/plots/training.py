"""Information while a system is trained: over its steps, and against its accuracy."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportAssignmentType=false, reportIndexIssue=false
# pyright: reportOptionalMemberAccess=false

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from mi_probe.analysis.control_points import states_of
from mi_probe.analysis.labels import in_order, subjects, systems_in_order, view_label
from mi_probe.analysis.summaries import layer_words
from mi_probe.errors import InputError
from mi_probe.plots.captions import (
    check_points,
    flag_label,
    sample_label,
    y_label,
)
from mi_probe.plots.marks import (
    PLAIN,
    aside,
    draw_ceiling,
    draw_intervals,
    draw_line,
    draw_reference,
    draw_values,
    drawn_so_far,
    line_handle,
    marker_handle,
    open_handle,
)
from mi_probe.plots.page import (
    NARROW,
    Entry,
    axes_or_current,
    check_table,
    figure_legends,
    figure_width,
    head,
    panels,
)
from mi_probe.plots.style import REFERENCE, ViewStyle, system_label, system_style

_ASIDE = 2.4
"""Points between two runs at one step."""
_MOST_TICKS = 7
_NEAREST = 0.1
"""Share of the axis between two checkpoints that both have a tick."""
_NEEDED = ("run", "objective", "checkpoint_step", "metric", "metric_value")
Against = Literal["checkpoint_step", "metric_value"]


def information_line(
    points: pd.DataFrame, ax: Axes | None = None, *, against: Against = "checkpoint_step"
) -> Axes:
    """Draw one view of one task: a line a run, a point a checkpoint.

    H(Y) is the dashed line; flagged estimates have open markers. Against a metric, a run's
    checkpoints are joined in the order of their steps, and their markers grow. Different
    runs are different networks, which the data processing inequality does not order.

    Raises:
        InputError: not a table of `with_runs(over_seeds(results))`, or several views.
    """
    _check(points)
    if points["view"].nunique() > 1 or points["task_label"].nunique() > 1:
        raise InputError(
            "points must hold one view of one task; use training_figure for several."
        )
    ax = axes_or_current(ax)
    draw_reference(ax, 0.0, color=REFERENCE, linewidth=0.5, zorder=0.7)
    draw_ceiling(ax, float(points["ceiling"].mean()))
    runs = list(_runs(points))
    for place, (look, label, run) in enumerate(runs):
        before = drawn_so_far(ax)
        x, y = run[against].to_numpy(float), run["value"].to_numpy(float)
        placed = np.isfinite(x)
        run, x, y = run[placed], x[placed], y[placed]
        draw_intervals(ax, x, run["low"], run["high"], look.colour)
        draw_line(ax, x, y, look, label)
        if against == "metric_value":
            _draw_growing(ax, run, look, _steps(points))
            continue
        flagged = (run["status"] != "ok").to_numpy()
        hollow = np.full(flagged.sum(), True)
        draw_values(ax, x[flagged], y[flagged], look, hollow, zorder=6.0)
        aside(ax, before, _ASIDE * (place - (len(runs) - 1) / 2))
    ax.set_ylabel(y_label(points))
    ax.margins(x=0.06, y=0.08)
    if against == "checkpoint_step":
        _step_ticks(ax, points)
    return ax


def metric_line(points: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the systems' own metric over their steps: one point a checkpoint.

    Raises:
        InputError: as `information_line`.
    """
    _check(points)
    ax = axes_or_current(ax)
    runs = list(_runs(points))
    for place, (look, label, run) in enumerate(runs):
        before = drawn_so_far(ax)
        once = run.drop_duplicates("checkpoint_step")
        draw_line(ax, once["checkpoint_step"], once["metric_value"], look, label)
        aside(ax, before, _ASIDE * (place - (len(runs) - 1) / 2))
    ax.set_ylabel(_metric_words(points))
    ax.margins(x=0.06, y=0.12)
    _step_ticks(ax, points)
    return ax


def _check(points: pd.DataFrame) -> None:
    check_points(points)
    made = "pass them through mi_probe.analysis.labels.with_runs first"
    check_table(points, _NEEDED, "points", made)


def _runs(points: pd.DataFrame) -> Iterator[tuple[ViewStyle, str, pd.DataFrame]]:
    for objective in systems_in_order(points):
        members = points[points["objective"] == objective]
        for _, run in members.groupby("run", sort=False):
            ordered = run.sort_values("checkpoint_step", kind="stable")
            yield system_style(objective), system_label(objective), ordered


def _step_ticks(ax: Axes, points: pd.DataFrame) -> None:
    """A tick at every checkpoint where few were measured, else at round whole steps."""
    steps = _steps(points)
    apart = np.diff(steps) / (np.ptp(steps) or 1.0)
    few = len(steps) <= _MOST_TICKS and (not len(apart) or apart.min() >= _NEAREST)
    if few and len(steps):
        ax.xaxis.set_major_locator(FixedLocator([float(step) for step in steps]))
    else:
        whole = MaxNLocator(_MOST_TICKS, integer=True, steps=[1, 2, 5, 10])
        ax.xaxis.set_major_locator(whole)
    ax.xaxis.set_major_formatter("{x:.0f}")


def _steps(points: pd.DataFrame) -> np.ndarray:
    return np.unique(points["checkpoint_step"].dropna().to_numpy(float))


def _draw_growing(ax: Axes, run: pd.DataFrame, look: ViewStyle, steps: np.ndarray) -> None:
    """Markers that grow with the step, alike in all runs, over those of the line."""
    known = run[run["value"].notna()]
    own = known["checkpoint_step"].fillna(-np.inf).to_numpy(float)
    sizes = 2.0 + 3.5 * np.searchsorted(steps, own) / max(len(steps) - 1, 1)
    flagged = (known["status"] != "ok").to_numpy()
    for size in np.unique(sizes):
        some = sizes == size
        at = known["metric_value"][some], known["value"][some]
        draw_values(ax, *at, look, flagged[some], size=float(size), zorder=6.0)


def _step_words(points: pd.DataFrame) -> str:
    steps = _steps(points)
    if len(steps) < 2:
        return ""
    return f"larger marker: later step ({steps.min():g} to {steps.max():g})"


def _metric_words(points: pd.DataFrame) -> str:
    names = points["metric"].dropna().astype(str)
    return str(names.iloc[0]).replace("_", " ") if len(names) else "metric"


def training_figure(points: pd.DataFrame) -> Figure:
    """Information by step, a panel a view, over the systems' metric in its own panel.

    `points` are those of one task, layer and estimator, with steps. The metric's panel is
    left out where no row has one. As wide as `style` says.

    Raises:
        InputError: as `information_line`.
    """
    points = states_of(points)
    _check(points)
    points = points[points["checkpoint_step"].notna()]
    _check(points)
    parts = _parts(points)
    metric = bool(points["metric_value"].notna().any())
    figure, axes = panels(len(parts) + metric, 1, 1.1, 0.6, sharex=True)
    for i, (title, part) in enumerate(parts):
        if i:
            axes[i].sharey(axes[0])
        information_line(part, axes[i])
        axes[i].set_title(title, loc="left")
    if metric:
        metric_line(points, axes[-1])
        axes[-1].set_title("what the system answers", loc="left")
    axes[-1].set_xlabel("training step")
    _finish(figure, points)
    return figure


def _parts(points: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """A panel a view, and a token set where there are several."""
    several = points["token_set"].nunique() > 1
    return [
        (view_label(view) + f", {tokens}" * several, part[part["view"] == view])
        for tokens, part in points.groupby("token_set", sort=False, dropna=False)
        for view in in_order(part["view"])
    ]


def accuracy_figure(points: pd.DataFrame) -> Figure:
    """Information against the systems' metric, a panel a view, a point a checkpoint.

    Raises:
        InputError: as `information_line`, or no row has a metric.
    """
    points = states_of(points)
    _check(points)
    points = points[points["metric_value"].notna()]
    _check(points)
    parts = _parts(points)
    width = figure_width()
    columns = min(len(parts), 2 if width < NARROW else 3)
    figure, axes = panels(len(parts), columns, 1.45, 0.6, sharex=True, sharey=True)
    for i, (title, part) in enumerate(parts):
        information_line(part, axes[i], against="metric_value")
        axes[i].set_title(title, loc="left")
        axes[i].set_ylabel(y_label(points) if i % columns == 0 else "")
        # Labels of three decimals take a third of a panel beside another.
        axes[i].locator_params(axis="x", nbins=4 if width / columns > 2 else 3)
        last = i + columns >= len(parts)
        axes[i].tick_params(labelbottom=last)
        axes[i].set_xlabel(_metric_words(points) if last else "")
    _finish(figure, points, (marker_handle(PLAIN), _step_words(points)))
    return figure


def _finish(figure: Figure, points: pd.DataFrame, *more: Entry) -> None:
    names = [str(subjects(points).iloc[0]), str(points["estimator_label"].iloc[0])]
    title = ", ".join([*names, layer_words(points), sample_label(points)])
    head(figure, title)
    systems: list[Entry] = [
        (line_handle(system_style(name)), system_label(name))
        for name in systems_in_order(points)
    ]
    notes = [(open_handle(), flag_label(points)), *more]
    figure_legends(figure, systems, [note for note in notes if note[1]])
