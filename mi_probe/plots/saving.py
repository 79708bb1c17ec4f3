"""A figure on disk: PDF for the paper, PNG to look at, SVG for a page, CSV of its data.

All appear whole or not at all, and a second run on the same data with the same
matplotlib writes the same bytes, so that a changed figure is a changed result.
"""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from mi_probe.atomic import write_atomically
from mi_probe.errors import InputError, check_known
from mi_probe.plots.glyphs import legible

FORMATS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        # Neither the date nor the version may tell two equal figures apart.
        "pdf": {"metadata": {"CreationDate": None}},
        "png": {"metadata": {"Software": None}},
        "svg": {"metadata": {"Date": None, "Creator": None}},
    }
)
"""What a figure can be saved as, and how each is written."""


def save(
    figure: Figure,
    table: pd.DataFrame,
    stem: str,
    out: str | Path,
    formats: Sequence[str] = ("pdf", "png"),
    *,
    caption: str = "",
) -> tuple[Path, ...]:
    """Write `out`/`stem` in each format and .csv, its caption as .txt; return the paths.

    Args:
        figure: built and saved inside one `with style(...)`.
        table: what the figure draws.
        stem: name without ending; characters unfit for a file name become '-'.
        out: folder, made if it is not there.
        formats: some of `FORMATS`; PNG has 300 dots an inch, of a slide 450.
        caption: for the paper; nothing is written where it is empty.

    Raises:
        InputError: called outside `style`, a format that is not known, or `out` is not
            a folder one can write to.

    Examples:
        >>> import pandas as pd
        >>> from matplotlib.figure import Figure
        >>> from mi_probe.plots import save, style
        >>> table = pd.DataFrame({"layer": [0, 1, 2], "nats": [0.1, 0.3, 0.2]})
        >>> with style("acl", "column"):
        ...     figure = Figure()
        ...     _ = figure.subplots().plot(table.layer, table.nats)
        ...     written = save(figure, table, "by-layer", "figures")
        >>> [path.name for path in written]
        ['by-layer.pdf', 'by-layer.png', 'by-layer.csv']
    """
    check_known("formats", tuple(formats), FORMATS)
    if mpl.rcParams["pdf.fonttype"] != 42:
        raise InputError(
            "save must run inside the `with style(...)` that built the figure; "
            "outside it fonts become Type 3, which submission checkers reject."
        )
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"out must be a folder; {folder} is not usable ({error.strerror})."
        ) from error
    contents = {ending: rendered(figure, ending) for ending in formats}
    contents["csv"] = table.to_csv(index=False, lineterminator="\n").encode()
    if caption:
        contents["txt"] = f"{caption}\n".encode()
    name, paths = file_stem(stem), []
    for ending, content in contents.items():
        path = folder / f"{name}.{ending}"
        try:
            write_atomically(path, content)
        except OSError as error:
            raise InputError(
                f"out must be writable; {path} is not ({error.strerror})."
            ) from error
        paths.append(path)
    return tuple(paths)


def rendered(figure: Figure, ending: str) -> bytes:
    """The figure as a file's content; the same figure gives the same bytes."""
    finish(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=ending, **FORMATS[ending])
    return buffer.getvalue()


def finish(figure: Figure) -> None:
    """Letters that can be drawn, and a layout that every format has, to the last digit.

    The solver of a constrained layout leaves another last digit from run to run, of which
    an SVG's names are made.
    """
    legible(figure)
    if not isinstance(figure.get_layout_engine(), ConstrainedLayoutEngine):
        return
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        bounds = (round(place, 6) for place in ax.get_position().bounds)
        ax.set_position(Bbox.from_bounds(*bounds))


def file_stem(text: str) -> str:
    """A name that every file system takes: letters, digits, dot, dash, underscore."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.") or "figure"
