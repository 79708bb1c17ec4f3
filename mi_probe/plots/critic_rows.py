"""What each critic finds as the rows grow in number, families told apart by their lines."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mi_probe.plots.marks import (
    aside,
    draw_ceiling,
    draw_intervals,
    drawn_so_far,
    interval_entries,
)
from mi_probe.plots.page import (
    Entry,
    check_table,
    figure_legends,
    figure_width,
    panels,
    plain_title,
)

_NEEDED = (
    "task",
    "backbone",
    "site",
    "view",
    "estimator",
    "family",
    "rows",
    "nats",
    "low",
    "high",
)
_PLACE = ["task", "backbone", "site", "view"]
_DASHES = {"generative": (0, ()), "discriminative": (0, (4, 1.5))}
_OTHER = (0, (1, 1))
_MARKERS = "osD^vP*Xp<>h"
_STEP = 4.0
"""Points between critics of the same rows."""
_TALL, _HEAD = 1.7, 0.75


def critic_rows_figure(table: pd.DataFrame) -> Figure:
    """Draw I(Y;Z) over the number of rows: a panel a task and place, a line a critic.

    Generative critics have whole lines, discriminative ones broken lines; they stand side
    by side, so that their intervals can be told apart. Those are of each estimate alone:
    critics of the same rows differ by less than they overlap.

    Args:
        table: of `mi_probe.study.critics.critic_lines`.

    Raises:
        InputError: a column missing, or no row.
    """
    check_table(table, _NEEDED, "critics", "pass a study's lines of critics")
    places = [part for _, part in table.groupby(_PLACE, sort=False)]
    names = list(dict.fromkeys(table["estimator"]))
    colours = dict(zip(names, sns.color_palette("colorblind", len(names)), strict=True))
    marks = {name: _MARKERS[i % len(_MARKERS)] for i, name in enumerate(names)}
    figure, axes = panels(len(places), min(len(places), 2), _TALL, _HEAD)
    entries: dict[str, Entry] = {}
    for ax, part in zip(axes, places, strict=True):
        for place, (name, rows) in enumerate(part.groupby("estimator", sort=False)):
            before = drawn_so_far(ax)
            draw_intervals(ax, rows["rows"], rows["low"], rows["high"], colours[name])
            (line,) = ax.plot(
                *(rows["rows"], rows["nats"]),
                color=colours[name],
                linestyle=_DASHES.get(rows["family"].iloc[0], _OTHER),
                marker=marks[name],
                markersize=3.5,
                linewidth=1,
            )
            aside(ax, before, _STEP * (place - (part["estimator"].nunique() - 1) / 2))
            entries[str(name)] = line, f"{name} ({rows['family'].iloc[0] or 'other'})"
        _dress(ax, part, 0.9 * figure_width() / min(len(places), 2))
    notes = interval_entries(table, "95 % interval over rows")
    figure_legends(figure, [*entries.values()], notes)
    return figure


def _dress(ax: Axes, part: pd.DataFrame, inches: float) -> None:
    """Axes, their title, which has so many inches, and H(Y)."""
    row = part.iloc[0]
    ax.set_xscale("log")
    counts = np.unique(part["rows"].to_numpy(float))
    ax.xaxis.set_major_locator(FixedLocator(list(counts)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_xlabel("rows")
    what = "I(Y;Z)" if row["view"] == "full" else f"I(Y;Z$_\\mathrm{{{row['view']}}}$)"
    ax.set_ylabel(f"{what} (nats)")
    plain_title(ax, f"{row['task']}, {row['backbone']}, {row['site']}", inches)
    if part["H_Y_nats"].notna().any():
        # It is of the labels drawn, and settles as they grow in number.
        draw_ceiling(ax, float(part.loc[part["rows"].idxmax(), "H_Y_nats"]))
