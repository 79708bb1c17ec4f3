"""The figures of a page, each with its caption and what it says in words."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure

from mi_probe.analysis.reading import readings
from mi_probe.analysis.summaries import at_layer
from mi_probe.plots import bar_figure, layer_profiles, style
from mi_probe.report.sources import Sources
from mi_probe.report.svg import Svg, inline_svg

MOST = 24
"""Figures a page shows at most; the rest is what `mi_probe.figures` draws."""


@dataclass(frozen=True)
class Picture:
    """One figure of the page."""

    title: str
    caption: str
    alt: str
    """What it shows, for who cannot see it."""
    svg: Svg


@dataclass(frozen=True)
class _Drawn:
    title: str
    caption: str
    alt: str
    figure: Figure
    themed: bool = True


def pictures(sources: Sources) -> tuple[list[Picture], int]:
    """The page's figures in order, and how many more there would be."""
    made: list[Picture] = []
    left = 0
    with style("acl", "full"):
        for drawn in _all(sources):
            if len(made) == MOST:
                left += 1
                continue
            name = f"f{len(made)}"
            svg = inline_svg(drawn.figure, name, themed=drawn.themed)
            made.append(Picture(drawn.title, drawn.caption, drawn.alt, svg))
    return made, left


def _all(sources: Sources) -> Iterator[_Drawn]:
    points = sources.points
    for (model, task), rows in points.groupby(["model_label", "task_label"], sort=False):
        if rows["x"].notna().any():
            yield _Drawn(
                f"Layer profile: {model} on {task}",
                "Held-out estimates of one network by layer, with 95 % intervals. Dashed: "
                "H(Y), the ceiling. Grey: the same procedure with Y permuted. Diamonds: "
                "the learning curve's value at n \N{RIGHTWARDS ARROW} \N{INFINITY}, "
                "another number than the bound; hollow where it is not reliable.",
                " ".join(str(reading) for reading in readings(rows)),
                layer_profiles(rows),
            )
    chosen = at_layer(points)
    for model, rows in chosen.groupby("model_label", sort=False):
        yield _Drawn(
            f"Tasks at the deepest measured layer: {model}",
            "A bar a view. The layer was fixed before any value was seen. Dashed "
            "segments: H(Y) of each task.",
            " ".join(str(reading) for reading in readings(rows)),
            bar_figure(rows, x="task"),
        )
    for task, rows in chosen.groupby("task_label", sort=False):
        if rows["model_label"].nunique() > 1:
            yield _Drawn(
                f"Networks beside each other: {task}",
                "Different networks: the data processing inequality says nothing about "
                "their order.",
                " ".join(str(reading) for reading in readings(rows)),
                bar_figure(rows, x="model"),
            )
