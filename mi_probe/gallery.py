"""Every figure that a results folder allows: what `figures` draws and pages may show.

    rows/ or results.csv      profiles, bars of models as they are, systems, training,
                              accuracy, convergence
    comparisons.csv           paired differences, a forest plot
    gaps.csv                  the DPI gap, a forest plot
    capacity.csv, noise.csv   ladders
    tokens/                   strips, heat maps, positions, spans, types, words, generated

A kind is one function from the folder to figures; what is not there is said, not drawn.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from mi_probe import gallery_estimates as estimates
from mi_probe import gallery_tokens as tokens
from mi_probe.analysis.labels import short_name
from mi_probe.analysis.summaries import at_layer
from mi_probe.analysis.units import in_unit
from mi_probe.errors import check_known
from mi_probe.folder_tables import ResultFolders
from mi_probe.gallery_tokens import Found, Options
from mi_probe.plots import difference_figure, gap_figure, ladder_figure
from mi_probe.plots.captions import caption
from mi_probe.plots.ladders import LADDER, Axis
from mi_probe.plots.saving import file_stem


@dataclass(frozen=True)
class Drawn:
    """One figure, what it draws, and the name of its files."""

    kind: str
    stem: str
    figure: Figure
    table: pd.DataFrame

    @property
    def caption(self) -> str:
        """What it is, and what its marks are of."""
        return caption(self.kind, self.table)


@dataclass(frozen=True)
class Skipped:
    """A kind that is not drawn, and why."""

    kind: str
    reason: str


def gallery(
    folders: ResultFolders,
    kinds: Sequence[str] | None = None,
    options: Options | None = None,
) -> Iterator[Drawn | Skipped]:
    """Draw one figure after the other; call it, and save, inside one `style`.

    Args:
        folders: what the commands wrote.
        kinds: some of `KINDS`; all by default.
        options: unit and layer.

    Raises:
        InputError: an unknown kind, a damaged table, or a layer that was not measured.
    """
    options = options or Options()
    wanted = list(KINDS) if kinds is None else list(kinds)
    check_known("only", tuple(wanted), KINDS)
    if options.layer is not None and not folders.results.empty:
        # A layer that was not measured is said before anything is drawn.
        at_layer(folders.points(options.unit), options.layer)
    taken: set[str] = set()
    for kind in wanted:
        count = 0
        for label, figure, table in KINDS[kind].draw(folders, options):
            stem, others = file_stem(label), 1
            # Two names may differ only in characters that file names cannot have.
            while stem.lower() in taken:
                others += 1
                stem = f"{file_stem(label)}-{others}"
            taken.add(stem.lower())
            count += 1
            yield Drawn(kind, stem, figure, _without_places(table))
        if not count:
            yield Skipped(kind, KINDS[kind].needs)


def _without_places(table: pd.DataFrame) -> pd.DataFrame:
    """Paths of this machine by their last parts: a figure's table is for others."""
    held = [name for name in ("model", "adapter", "run", "subject") if name in table]
    return table.assign(**{name: table[name].map(_shared_name) for name in held})


def _shared_name(name: object) -> object:
    path = isinstance(name, str) and (name[:1] in "/\\~" or name[1:2] == ":")
    return short_name(str(name)) if path else name


def _forest(
    folders: ResultFolders,
    options: Options,
    *,
    name: str,
    draw: Callable[[pd.DataFrame], Figure],
) -> Found:
    """One of all, so that they are compared."""
    table = folders.table(f"{name}.csv")
    if not table.empty:
        points = in_unit(table, options.unit, source=f"{name}.csv")
        yield name, draw(points), points


def _ladders(folders: ResultFolders, options: Options, *, axis: Axis) -> Found:
    """One a subject, task and site."""
    table = folders.table(f"{axis}.csv")
    if table.empty:
        return
    points = in_unit(
        table, options.unit, needs=("subject", "task", "site"), source=f"{axis}.csv"
    )
    held = [column for column in LADDER if column in points]
    for _, rows in estimates.groups(points, held):
        row = rows.iloc[0]
        label = f"{axis}-{short_name(row['subject'])}-{row['task']}-{row['site']}"
        yield label, ladder_figure(rows, axis=axis), rows


@dataclass(frozen=True)
class Kind:
    """How one kind is drawn, and what must be there for it."""

    draw: Callable[[ResultFolders, Options], Found]
    needs: str
    """What is missing where nothing is drawn."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "profile": Kind(estimates.profiles, "no estimates at several layers of a model"),
        "bars": Kind(
            estimates.bars,
            "no estimates of a model as it is with a place on the layer axis",
        ),
        "systems": Kind(estimates.systems, "no estimates of a trained system"),
        "training": Kind(
            estimates.training,
            f"no run with estimates at {estimates.LEAST_STEPS} steps",
        ),
        "accuracy": Kind(
            estimates.accuracy, f"no run with a metric at {estimates.LEAST_STEPS} steps"
        ),
        "convergence": Kind(estimates.convergence, "no critic that was trained by epochs"),
        "comparisons": Kind(
            partial(_forest, name="comparisons", draw=difference_figure),
            "no comparisons.csv",
        ),
        "gaps": Kind(partial(_forest, name="gaps", draw=gap_figure), "no gaps.csv"),
        "capacity": Kind(partial(_ladders, axis="capacity"), "no capacity.csv"),
        "noise": Kind(partial(_ladders, axis="noise"), "no noise.csv"),
        "strips": Kind(tokens.strips, "no tokens/*.tokens.parquet"),
        "tokens": Kind(
            tokens.sentence_maps, "no tokens/*.tokens.parquet of several layers"
        ),
        "positions": Kind(tokens.positions, "no tokens/*.positions.csv"),
        "spans": Kind(tokens.spans, "no tokens/*.spans.csv: no --spans were asked for"),
        "types": Kind(tokens.types, "no tokens/*.types.csv"),
        "words": Kind(tokens.words, "no tokens/*.words.csv"),
        "generated": Kind(tokens.generated, "no tokens/*.generated.csv"),
    }
)
"""Every kind of figure, in the order in which they are drawn."""
