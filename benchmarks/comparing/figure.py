"""The figure: absolute error of every cell, a panel a group, a line a method."""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mi_probe.plots.style import INK, REFERENCE
from mi_probe.synthetic import GROUPS

_FLOOR = 1e-3
"""Smaller errors are drawn here: below the truths' and rows' own noise."""
_OURS, _THEIRS = "#0072B2", "#E69F00"


def drawn_errors(cells: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Build it inside `style`: points are cells, bars are medians, crosses are failures."""
    groups = [group for group in GROUPS if group in set(table.group)]
    names = list(dict.fromkeys(zip(table.package, table.estimator, strict=True)))
    ours = [n for n in names if n[0] == "mi_probe"]
    names = [*ours, *sorted(n for n in names if n[0] != "mi_probe")]
    columns = min(4, len(groups))
    rows = -(-len(groups) // columns)
    height = 0.35 + 0.135 * len(names)
    figure = Figure(figsize=(6.3, rows * height + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).ravel()
    for ax in axes[len(groups) :]:
        ax.set_visible(False)
    for ax, group in zip(axes, groups, strict=False):
        for place, (package, estimator) in enumerate(names):
            part = _errors(cells, group, package, estimator)
            colour = _OURS if package == "mi_probe" else _THEIRS
            good = part[part.status == "ok"].error.abs().clip(lower=_FLOOR)
            failed = (part.status != "ok") & (part.status != "refused")
            ax.plot(good, [place] * len(good), "o", color=colour, markersize=2.2, alpha=0.6)
            if len(good):
                ax.plot(good.median(), place, "|", color=colour, markersize=7, mew=1.6)
            if failed.any():
                ax.plot(12.0, place, "x", color=REFERENCE, markersize=3)
        ax.set_xscale("log")
        ax.set_xlim(0.8 * _FLOOR, 20)
        ax.set_title(textwrap.fill(GROUPS[group], 24), loc="left", fontsize=7)
        ax.tick_params(axis="y", labelsize=6)
        ax.grid(axis="x", color="0.9", linewidth=0.5)
        ax.axhline(len(ours) - 0.5, color=INK, linewidth=0.4)
    axes[0].set_yticks(range(len(names)), [f"{p} {e}" for p, e in names])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    figure.supxlabel("absolute error (nats); bar: median, cross: failure", fontsize=8)
    return figure


def _errors(cells: pd.DataFrame, group: str, package: str, estimator: str) -> pd.DataFrame:
    name, _, extrapolated = estimator.partition(", ")
    part = cells[
        (cells.group == group) & (cells.package == package) & (cells.estimator == name)
    ]
    if extrapolated:
        part = part.assign(error=part.extrapolated_error)[part.extrapolated.notna()]
    return part
