"""The figures of a study, of the same tables that its page shows."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mi_probe.plots import save, style
from mi_probe.plots.study import differences_figure, systems_figure
from mi_probe.study.evaluated import AVERAGE

_MEASURES = {"nats": "I(Y;Z) of the prompt (nats)"}


def draw(
    tables: Mapping[str, pd.DataFrame], compared: pd.DataFrame, folder: Path
) -> list[Path]:
    """Draw what there is: systems over tasks, and the declared differences."""
    paths: list[Path] = []
    for figure, table, stem in _figures(tables, compared):
        with style("acl", "full"):
            paths += save(figure(table), table, stem, folder)
    return paths


def _figures(
    tables: Mapping[str, pd.DataFrame], compared: pd.DataFrame
) -> Iterator[tuple[Callable[[pd.DataFrame], Figure], pd.DataFrame, str]]:
    shown = pd.concat(tables.values(), ignore_index=True)
    systems = shown[shown["task"] != AVERAGE]
    systems = systems.assign(
        measure=[_MEASURES.get(one, one) for one in systems["measure"]],
        low=systems["mean"] - systems["half_width"],
        high=systems["mean"] + systems["half_width"],
    )
    if not systems.empty:
        yield systems_figure, systems, "systems"
    if not compared.empty:
        yield differences_figure, compared, "differences"
