"""MI estimates at one layer, side by side: a bar a view, a block a network.

Groups are tasks, or models where several are shown as they are. In a block are the views of
one network, which the data processing inequality orders: all states plain, pooled ones
hatched. Blocks of one task are different networks, which it does not order.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false
# pyright: reportIndexIssue=false

import json
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mi_probe.analysis.control_points import (
    controls_beside,
    controls_of,
    states_of,
    with_controls,
)
from mi_probe.analysis.labels import in_order, subjects, systems_in_order, view_label
from mi_probe.analysis.summaries import layer_words
from mi_probe.errors import InputError
from mi_probe.plots.captions import (
    check_points,
    flag_label,
    has,
    sample_label,
    with_null,
    y_label,
)
from mi_probe.plots.colour_scale import ink_on
from mi_probe.plots.controls import control_entries, draw_control_pieces
from mi_probe.plots.marks import (
    DASHES,
    draw_extrapolated,
    draw_intervals,
    draw_no_values,
    draw_reference,
    extrapolation_entries,
    name_ceiling,
    no_value_entries,
)
from mi_probe.plots.page import (
    LINE_SPACING,
    Entry,
    axes_or_current,
    figure_legends,
    figure_width,
    fitted_names,
    head,
    panels,
    plain_title,
    side_by_side,
    slant_names,
)
from mi_probe.plots.style import (
    INK,
    REFERENCE,
    ViewStyle,
    styled,
    system_label,
    system_style,
    view_styles,
)

Groups = Literal["task", "model"]
BAR = 0.085
"""Inches that a bar takes at least."""
GROUP = 0.86
"""Share of the distance between groups that the bars of the widest fill."""
_SPACE = 0.6
"""Between two blocks of a group, in bars."""
_NULL = {"color": INK, "linestyle": (0, (1, 1)), "linewidth": 0.9}
_SEED = {"color": "white", "markeredgecolor": INK, "markeredgewidth": 0.5}


def grouped_bars(points: pd.DataFrame, ax: Axes | None = None, *, x: Groups) -> Axes:
    """Draw one estimator's points of one layer: a group a task or model, a bar a view.

    Trained systems on one task are blocks of its group, in the colour of the system; of one
    task alone they are named under their blocks.
    Over each group H(Y) is a dashed segment; over each bar the dotted segment is the
    95th percentile of its permutation null of 20 draws or more; dots are seeds; a diamond
    is the value at n -> infinity, an open arrow the least that it is. Flagged estimates
    have white bars with coloured outlines. Controls that are among the points are thin
    segments over the block of their network, or over their bar where they are of its site.

    Raises:
        InputError: not a table of `over_seeds`, or two points for one bar.
    """
    check_points(points)
    controls, points = controls_of(points), with_null(states_of(points))
    _check(points, x)
    ax = axes_or_current(ax)
    views = in_order(points["view"])
    looks = view_styles(views)
    names = list(dict.fromkeys(points[f"{x}_label"]))
    groups = [_blocks(points[points[f"{x}_label"] == name]) for name in names]
    width = GROUP / max(*map(_bars, groups), 3)
    draw_reference(ax, 0.0, color=REFERENCE, linewidth=0.5, zorder=2)
    middles: dict[str, list[float]] = {}
    for at, blocks in enumerate(groups):
        left = start = at - width * _bars(blocks) / 2
        for objective, block in blocks:
            shown = [view for view in views if (block["view"] == view).any()]
            places = {view: start + (i + 0.5) * width for i, view in enumerate(shown)}
            for view, place in places.items():
                (_, row), *_ = block[block["view"] == view].iterrows()
                look = looks[view]
                if objective:
                    look = ViewStyle(system_style(objective).colour, "", "-", look.hatch)
                _draw_bar(ax, row, place, width, look)
            ends = start, start + width * len(shown)
            draw_control_pieces(ax, controls_beside(block, controls), *ends, places)
            middles.setdefault(objective, []).append(sum(ends) / 2)
            start += width * (len(shown) + _SPACE)
        right = start - width * _SPACE
        _draw_ceiling_piece(ax, pd.concat([b for _, b in blocks]), left, right)
    if has(points, "ceiling"):
        name_ceiling(ax, float(points["ceiling"].dropna().iloc[-1]))
    if len(groups) == 1 and "" not in middles:
        at = [sum(places) / len(places) for places in middles.values()]
        ax.set_xticks(at, [system_label(name) for name in middles], parse_math=False)
    else:
        ax.set_xticks(range(len(names)), names, parse_math=False)
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set_ylabel(y_label(points))
    return ax


def _check(points: pd.DataFrame, x: Groups) -> None:
    if x not in ("task", "model"):
        raise InputError(f"x must be task or model; not {x!r}.")
    place = ["estimator_label", "stack", "token_set", "task_label", "model_label"]
    if points.duplicated([*place, "view"]).any():
        raise InputError(
            "points must hold one row a task, model and view; choose one layer with "
            "at_layer and one estimator, and of runs the last_steps."
        )


def _blocks(members: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """One a network, with its system: empty where none is trained, or nobody said."""
    if "objective" not in members or members["objective"].fillna("").eq("").all():
        return [("", part) for _, part in members.groupby("model_label", sort=False)]
    return [
        (objective, block)
        for objective in systems_in_order(members)
        for _, block in members[members["objective"] == objective].groupby(
            "model_label", sort=False
        )
    ]


def _bars(blocks: list[tuple[str, pd.DataFrame]]) -> float:
    """What a group takes, in bars."""
    return sum(len(block) for _, block in blocks) + _SPACE * (len(blocks) - 1)


def _draw_ceiling_piece(ax: Axes, members: pd.DataFrame, left: float, right: float) -> None:
    """H(Y) over one group of bars; nothing where there is none, or `style` zooms."""
    if has(members, "ceiling") and not styled().zoom:
        height = float(members["ceiling"].mean())
        look = {"color": REFERENCE, "linestyle": DASHES, "linewidth": 0.9}
        ax.hlines(height, left - 0.03, right + 0.03, zorder=4, **look)


def _draw_bar(ax: Axes, row: pd.Series, at: float, width: float, look: ViewStyle) -> None:
    """One estimate's bar with its interval, seeds, null and extrapolation."""
    if np.isnan(row["value"]):
        draw_no_values(ax, np.array([at]), look.colour)
        return
    sound = row["status"] == "ok"
    ax.bar(
        at,
        row["value"],
        width * 0.92,
        facecolor=look.colour if sound else "white",
        edgecolor=ink_on(look.colour) if sound else look.colour,
        hatch=look.hatch if sound else None,
        linewidth=0 if sound else 1.0,
        zorder=1,
    )
    draw_intervals(ax, np.array([at]), *(np.array([row[e]]) for e in ("low", "high")))
    beside = np.array([at + 0.28 * width])
    draw_extrapolated(ax, beside, row.to_frame().T, look.colour)
    seeds = json.loads(row["seed_values"])
    if len(seeds) > 1:
        # Beside the error bar, in the order of seeds: no jitter, so no chance.
        spread = at + width * np.linspace(-0.3, 0.3, len(seeds))
        size = 2.2 if width > 0.15 else 1.4
        ax.plot(spread, seeds, "o", markersize=size, zorder=6, **_SEED)
    if np.isfinite(row["null_high"]):
        ends = at - width * 0.46, at + width * 0.46
        ax.hlines(row["null_high"], *ends, zorder=4, **_NULL)


def bar_figure(points: pd.DataFrame, *, x: Groups = "task") -> Figure:
    """`grouped_bars`, a panel an estimator and token set; and a task, of models.

    `points` are those of one layer, ``at_layer(over_seeds(results), controls=True)``; of
    trained systems those of each run's last step. Where tasks are many they take several
    rows of panels. As wide as `style` says.

    Raises:
        InputError: as `grouped_bars`.
    """
    check_points(points)
    controls, points = controls_of(points), with_null(states_of(points))
    _check(points, x)
    points = points.assign(subject=subjects(points))
    group = "subject" if x == "task" else "model_label"
    systems = "objective" in points and points["objective"].fillna("").ne("").any()
    parts = list(_panels(points, x, figure_width() - 0.5))
    columns = 1 if systems else side_by_side(len(parts))
    inches = 0.9 * figure_width() / columns
    room = (inches - 0.45) / max(part[group].nunique() for part in parts) - 0.05
    every = list(dict.fromkeys(points[group]))
    fitted, slant = fitted_names(every, room)
    short = dict(zip(every, fitted, strict=True))
    deep = 0.12 * (max(name.count("\n") for name in fitted) + 1)
    lines = [line for name in fitted for line in name.splitlines()]
    deep += 0.028 * max(map(len, lines)) if slant else 0.0
    figure, axes = panels(len(parts), columns, 1.4 + deep, 0.3, sharey=systems)
    # A group's name stands under it.
    held = [c for c in ("model_label", "subject") if points[c].nunique() == 1]
    held = [column for column in held if systems or column != group]
    named = [str(points[c].iloc[0]) for c in held]
    head(figure, ", ".join([*named, layer_words(points)]))
    for i, (ax, panel) in enumerate(zip(axes, parts, strict=True)):
        grouped_bars(with_controls(panel, controls), ax, x=x)
        plain_title(
            ax, ", ".join([*_differing(panel, points, x), sample_label(panel)]), inches
        )
        names = [short[name] for name in dict.fromkeys(panel[group])]
        if not systems or len(names) > 1:
            ax.set_xticklabels(names, parse_math=False, linespacing=LINE_SPACING)
            slant_names(ax, slant)
        if i % columns:
            ax.set_ylabel("")
    networks: list[Entry] = [
        (Patch(facecolor=system_style(name).colour, linewidth=0), system_label(name))
        for name in (systems_in_order(points) if systems and len(every) > 1 else ())
    ]
    beside = control_entries(controls_beside(points, controls))
    figure_legends(
        figure, networks, _view_entries(points, bool(systems)), beside, _notes(points)
    )
    return figure


def _panels(points: pd.DataFrame, x: Groups, room: float) -> Iterator[pd.DataFrame]:
    """One an estimator and token set; groups in several, balanced, where bars get thin."""
    held = ["estimator_label", "stack", "token_set", *(["task_label"] * (x == "model"))]
    for _, rows in points.groupby(held, sort=False, dropna=False):
        names = list(dict.fromkeys(rows[f"{x}_label"]))
        widest = max(_bars(_blocks(rows[rows[f"{x}_label"] == name])) for name in names)
        most = max(1, int(room / (BAR * (widest + 1.5))))
        each = -(-len(names) // -(-len(names) // most))
        for i in range(0, len(names), each):
            yield rows[rows[f"{x}_label"].isin(names[i : i + each])]


def _differing(panel: pd.DataFrame, points: pd.DataFrame, x: Groups) -> list[str]:
    """What tells a panel from the others; its estimator always."""
    row = panel.iloc[0]
    tokens = [f"tokens: {row['token_set']}"] * (points["token_set"].nunique() > 1)
    several = x == "model" and points["subject"].nunique() > 1
    return [str(row["subject"])] * several + tokens + [str(row["estimator_label"])]


def _view_entries(points: pd.DataFrame, systems: bool) -> list[Entry]:
    views = in_order(points["view"])
    entries: list[Entry] = []
    for view, look in view_styles(views).items():
        colour, lines = ("0.85", INK) if systems else (look.colour, ink_on(look.colour))
        patch = Patch(facecolor=colour, edgecolor=lines, hatch=look.hatch, linewidth=0)
        entries.append((patch, view_label(view)))
    return entries


def _notes(points: pd.DataFrame) -> list[Entry]:
    """Legend of what stands on or over a bar, but its interval and H(Y)."""
    entries: list[Entry] = []
    if has(points, "null_high"):
        dots = Line2D([], [], **_NULL)
        entries.append((dots, "$Y$ permuted: 95th percentile"))
    if (points["n_seeds"] > 1).any():
        dot = Line2D([], [], marker="o", markersize=2.2, linestyle="", **_SEED)
        entries.append((dot, "one seed"))
    entries += extrapolation_entries(points)
    entries.append((Patch(facecolor="white", edgecolor=INK), flag_label(points)))
    entries += no_value_entries(points)
    return [entry for entry in entries if entry[1]]
