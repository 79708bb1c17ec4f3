"""Figures of what was measured, in one call."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from mi_probe.analysis import Gap, Gaps
from mi_probe.analysis.scored import Stored
from mi_probe.errors import InputError
from mi_probe.folder_tables import ResultFolders
from mi_probe.gallery import Drawn, Options, gallery
from mi_probe.plots import save, style

_SHOWN, _WIDE = 200, 130
"""Dots an inch of what a notebook shows, and how wide an inch is shown: sharp."""

_RULE = (
    "measured must be a table that profile or compare_results gave, a gap, or a results "
    "folder, or several folders"
)


class Figures(dict[str, Figure]):
    """Figures by name; at the end of a notebook's cell they are shown."""

    def _ipython_display_(self) -> None:
        from IPython.display import Image, display

        for figure in self.values():
            written = BytesIO()
            figure.savefig(written, format="png", dpi=_SHOWN)
            width = round(_WIDE * figure.get_figwidth())
            display(Image(written.getvalue(), format="png", width=width))


def plot(
    measured: pd.DataFrame | Gap | Gaps | str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    kinds: Sequence[str] | None = None,
    unit: str = "nats",
    layer: str | None = None,
    venue: str = "acl",
    size: str = "column",
    titles: bool = True,
    zoom: bool = False,
    palette: str = "",
) -> Figures:
    """Draw every figure that a table or a results folder allows.

    Args:
        measured: what `profile` gave or `compare_results` gave, a gap or several; or the
            folder of a command, or several.
        out: a folder for PDF, PNG, CSV and caption of each figure; None writes nothing.
        kinds: some of ``profile``, ``bars``, ``gaps`` ...; all by default.
        unit: ``nats`` or ``bits``.
        layer: of the bars; None is the deepest.
        venue: whose widths: ``acl``, ``icml``, ``neurips`` or ``iclr``.
        size: what a figure fills: ``column``, ``page`` or ``slide``.
        titles: write over each figure what it is of.
        zoom: end the y axis at the data; H(Y) is a mark at its edge.
        palette: colours of views and systems, as of `plots.style`.

    Returns:
        The figures by name, in the order drawn; a notebook shows them.

    Raises:
        InputError: if it is nothing that can be drawn, or as `plots.style` does.

    Examples:
        >>> from mi_probe import dpi_gap, plot
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> gap = dpi_gap(known.x, known.y, n_draws=0)
        >>> [*plot(gap)]
        ['gaps']
    """
    kinds = [kinds] if isinstance(kinds, str) else kinds
    folders = _folders(measured)
    options = Options(unit, layer)
    drawn = Figures()
    with style(venue, size, titles=titles, zoom=zoom, palette=palette):
        for found in gallery(folders, kinds, options):
            if isinstance(found, Drawn):
                drawn[found.stem] = found.figure
                if out is not None:
                    save(
                        *(found.figure, found.table, found.stem, out), caption=found.caption
                    )
    if not drawn:
        raise InputError(
            "measured must hold what a figure can show; it allows none"
            + (f" of {', '.join(kinds)}." if kinds else ".")
        )
    return drawn


def _folders(measured: Any) -> ResultFolders:
    if isinstance(measured, Gap | Gaps):
        named = measured.table().assign(subject="states", task="these rows")
        return ResultFolders.of_tables({"gaps.csv": named})
    if isinstance(measured, pd.DataFrame):
        if {"between", "a", "b"} <= set(measured.columns):
            return ResultFolders.of_tables({"comparisons.csv": measured})
        if lacking := {"value_nats", "site", "view"} - set(measured.columns):
            raise InputError(
                f"{_RULE}; got a table without {', '.join(sorted(lacking))}. Give it with "
                "all its columns."
            )
        stored = Stored(known=getattr(measured, "terms", {}))
        return ResultFolders.of_tables({}, results=measured, stored=stored)
    if isinstance(measured, str | Path):
        return ResultFolders([measured])
    if isinstance(measured, list | tuple) and measured:
        if all(isinstance(one, str | Path) for one in measured):
            return ResultFolders([*measured])
        raise InputError(f"{_RULE}; got several of {type(measured[0]).__name__}.")
    raise InputError(f"{_RULE}; got {type(measured).__name__}.")
