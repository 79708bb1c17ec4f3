"""MI estimates layer by layer: I(Y;Z) against every I(Y;Z_p) of one network."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator

from mi_probe.analysis.control_points import (
    controls_beside,
    controls_of,
    states_of,
    with_controls,
)
from mi_probe.analysis.labels import in_order, subjects, view_label
from mi_probe.analysis.summaries import PANEL, null_band
from mi_probe.errors import InputError
from mi_probe.plots.captions import (
    check_points,
    flag_label,
    has,
    sample_label,
    with_null,
    y_label,
)
from mi_probe.plots.controls import control_entries, draw_control_lines
from mi_probe.plots.marks import (
    draw_ceiling,
    draw_extrapolated,
    draw_intervals,
    draw_line,
    draw_no_values,
    draw_reference,
    draw_values,
    extrapolation_entries,
    line_handle,
    no_value_entries,
    open_handle,
)
from mi_probe.plots.page import (
    LINE_SPACING,
    Entry,
    axes_or_current,
    figure_legends,
    figure_width,
    head,
    panels,
    plain_title,
    side_by_side,
)
from mi_probe.plots.style import NULL_FILL, REFERENCE, view_style

_BESIDE = 0.012
"""Share of the axis between two views at one layer."""
BAND_FROM = 9
"""With at least so many layers, intervals are bands; error bars would touch."""
BAND = (0, (1, 1.4))
"""Dots of the lines that hold all layers and views at once."""


def layer_profile(panel: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw one panel of `over_seeds`: a line a view, x = hidden_states index.

    H(Y) is the dashed line, named at the right edge; the grey band is the permutation
    null of 20 draws or more, from its mean to its 95th percentile, the widest of the views.
    Dotted lines, where `with_bands` was asked, hold all layers and views at once. Diamonds
    are the values at n -> infinity, open arrows the least that they are. Flagged estimates
    have open markers; an estimate without a value is a cross on the axis. Nothing is
    clipped. Controls that are among the points are thin lines.

    Raises:
        InputError: not a table of `over_seeds`, several panels in it, or no point
            that has a place on the layer axis.
    """
    check_points(panel)
    controls, panel = controls_of(panel), with_null(states_of(panel))
    if len(panel[list(PANEL)].drop_duplicates()) > 1:
        raise InputError(
            "panel must hold one model, task, stack and estimator; "
            "use layer_profiles for several."
        )
    placed = panel[panel["x"].notna()]
    if placed.empty:
        raise InputError(
            "panel must hold a site with a hidden_states index; it holds only "
            f"{', '.join(dict.fromkeys(panel['site'].astype(str)))}."
        )
    ax = axes_or_current(ax)
    _draw_references(ax, placed)
    views = in_order(placed["view"])
    layers = np.unique(placed["x"])
    banded = len(layers) >= BAND_FROM
    for i, view in enumerate(views):
        # Error bars at one layer stand side by side; bands need no room.
        room = _BESIDE * (np.ptp(layers) or 1.0)
        shift = 0.0 if banded else room * (i - (len(views) - 1) / 2)
        _draw_view(ax, placed[placed["view"] == view], shift, banded, i)
    _label_axes(ax, placed)
    if len(controls):
        draw_control_lines(ax, controls_beside(panel, controls))
    return ax


def _draw_references(ax: Axes, placed: pd.DataFrame) -> None:
    band = null_band(placed)
    if len(band):
        x = band["x"].to_numpy(float)
        low, high = band["null_mean"].to_numpy(float), band["null_high"].to_numpy(float)
        if len(band) == 1:
            x, low, high = x + [-0.4, 0.4], low.repeat(2), high.repeat(2)
        ax.fill_between(x, low, high, color=NULL_FILL, linewidth=0, zorder=0.5)
        # A null narrower than a line must still be seen.
        ax.plot(x, high, color="0.72", linewidth=0.6, zorder=0.6, label="_null")
    draw_reference(ax, 0.0, color=REFERENCE, linewidth=0.5, zorder=0.7)
    ceilings = placed["ceiling"].dropna()
    if len(ceilings):
        draw_ceiling(ax, float(ceilings.mean()))


def _draw_view(
    ax: Axes, line: pd.DataFrame, shift: float, banded: bool, order: int
) -> None:
    look = view_style(line["view"].iloc[0])
    line = line.sort_values("x")
    x = line["x"].to_numpy(float) + shift
    value = line["value"].to_numpy(float)
    low, high = line["low"].to_numpy(float), line["high"].to_numpy(float)
    top = 5.0 - 0.1 * order
    if banded:
        ax.fill_between(x, low, high, color=look.colour, alpha=0.18, linewidth=0)
    else:
        draw_intervals(ax, x, low, high, look.colour, zorder=top - 1)
    for end in ("band_low", "band_high") if has(line, "band_low") else ():
        ends = line[end].to_numpy(float)
        ax.plot(x, ends, color=look.colour, linestyle=BAND, linewidth=0.5, zorder=1.5)
    known = np.isfinite(value)
    # Lines with a marker at every one of 31 layers hide each other: thin them out,
    # each line beginning at a layer of its own.
    every = 1 if len(x) <= 16 else 4
    marked = (order % every, every) if known.sum() > order % every else None
    draw_line(ax, x, value, look, view_label(line["view"].iloc[0]), top, marked)
    flagged = known & (line["status"] != "ok").to_numpy()
    hollow = np.full(flagged.sum(), True)
    draw_values(ax, x[flagged], value[flagged], look, hollow, zorder=top + 1)
    # Beside the line's own markers, which it would hide where the two agree.
    draw_extrapolated(ax, x + 0.006 * (np.ptp(ax.get_xlim()) or 1.0), line, look.colour)
    draw_no_values(ax, x[~known], look.colour, top + 1)


def _label_axes(ax: Axes, placed: pd.DataFrame) -> None:
    last = placed["n_layers"].dropna().max()
    layers = np.unique(placed["layer"].dropna())
    ax.xaxis.set_major_locator(FixedLocator(_layer_ticks(layers, placed["x"].max())))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_ylabel(y_label(placed))
    ax.set_xlabel(_layer_words(placed, last), linespacing=LINE_SPACING)
    low, high = placed["x"].min(), placed["x"].max()
    # Of the marks beside a layer, the outermost is not cut.
    aside = _BESIDE * (placed["view"].nunique() - 1) / 2
    pad = max(0.03, aside + 0.018) * (high - low) or 1.0
    ax.set_xlim(low - pad, high + pad)


def _layer_ticks(layers: np.ndarray, deepest: float) -> list[float]:
    """Every measured layer where few were, else round ones and the deepest."""
    if not len(layers):
        return [deepest]
    gaps = np.diff(layers) / (np.ptp(layers) or 1.0)
    if len(layers) <= 8 and (not len(gaps) or gaps.min() > 0.07):
        return [float(layer) for layer in layers]
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100) if np.ptp(layers) / s <= 8)
    ticks = [float(t) for t in np.arange(0, layers[-1] + 1, step) if t >= layers[0]]
    # The deepest layer is always named, and nothing stands too near to it.
    ticks = [t for t in ticks if layers[-1] - t > 0.6 * step]
    return [*ticks, float(layers[-1])]


def _layer_words(placed: pd.DataFrame, last: float) -> str:
    """What the numbers on the axis are, and what its two ends are."""
    stack = {"enc": "Encoder layer", "dec": "Decoder layer"}
    words = f"{stack.get(placed['stack'].iloc[0], 'Layer')} (hidden_states index)"
    ends = []
    if (placed["layer"] == 0).any():
        ends.append("0: embeddings")
    normed = placed["site"].astype(str).str.endswith("final_norm").any()
    if (placed["layer"] == last).any():
        ends.append(f"{last:g}: after {'the final norm' if normed else 'last block'}")
    if (placed["layer"].isna()).any():
        ends.append(f"{last - 0.5:g}: before it")
    return words + ("\n" + ", ".join(ends) if ends else "")


def layer_profiles(points: pd.DataFrame) -> Figure:
    """Small multiples of `layer_profile`, a panel a (model, task, stack, estimator).

    As wide as `style` says; one y scale for all panels of one task. Points without a
    place on the layer axis are in the table only.

    Raises:
        InputError: as `layer_profile`.
    """
    check_points(points)
    controls, points = controls_of(points), with_null(states_of(points))
    placed = points[points["x"].notna()]
    parts = [part for _, part in placed.groupby(list(PANEL), sort=False)]
    if not parts:
        raise InputError(
            "points must hold a site with a hidden_states index; there is none."
        )
    columns = side_by_side(len(parts))
    tall = 1.35 if len(parts) > columns else 1.6
    one_task = placed["task"].nunique() == 1
    figure, axes = panels(len(parts), columns, tall, 0.55, sharey=one_task)
    _draw_panels(figure, axes, parts, columns, controls)
    beside = control_entries(controls_beside(placed, controls))
    figure_legends(figure, _view_entries(placed), beside, _note_entries(placed))
    return figure


def _draw_panels(
    figure: Figure,
    axes: list[Axes],
    parts: list[pd.DataFrame],
    columns: int,
    controls: pd.DataFrame,
) -> None:
    whole = pd.concat(parts)
    # Token sets of one task are panels of one figure: its name is over all of them.
    whole, held = whole.assign(subject=subjects(whole)), ("model_label", "subject")
    constant = [column for column in held if whole[column].nunique() == 1]
    if constant:
        head(figure, " on ".join(str(whole[column].iloc[0]) for column in constant))
    varying = [column.replace("subject", "task_label") for column in held]
    varying = [column for column in varying if whole[column].nunique() > 1]
    same_axis = len({_layer_words(p, p["n_layers"].max()) for p in parts}) == 1
    for i, (ax, panel) in enumerate(zip(axes, parts, strict=True)):
        layer_profile(with_controls(panel, controls), ax)
        names = [*varying, "estimator_label"]
        title = ", ".join(str(panel[name].iloc[0]) for name in names)
        if "subject" in constant and "task_label" in varying:
            title = title.removeprefix(f"{whole['subject'].iloc[0]}, ")
        plain_title(ax, f"{title}, {sample_label(panel)}", 0.9 * figure_width() / columns)
        if same_axis and i + columns < len(parts):
            ax.set_xlabel("")
        if i % columns:
            ax.set_ylabel("")


def _view_entries(placed: pd.DataFrame) -> list[Entry]:
    views = in_order(placed["view"])
    return [(line_handle(view_style(view)), view_label(view)) for view in views]


def _note_entries(placed: pd.DataFrame) -> list[Entry]:
    entries: list[Entry] = []
    if has(placed, "null_high"):
        band = Patch(facecolor=NULL_FILL, edgecolor="0.72")
        entries.append((band, "$Y$ permuted: mean to 95th percentile"))
    if has(placed, "band_low"):
        dots = Line2D([], [], color="0.15", linestyle=BAND, linewidth=0.7)
        entries.append((dots, "95 % band, all layers and views at once"))
    entries += extrapolation_entries(placed)
    entries.append((open_handle(), flag_label(placed)))
    entries += no_value_entries(placed)
    return [entry for entry in entries if entry[1]]
