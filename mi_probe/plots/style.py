"""How a figure looks in a paper: one context in which it is built *and* saved.

Widths are those of the venues' columns in inches, so that a figure is included at its
natural size and 8 pt stay 8 pt. Text is set in STIX, which matplotlib ships and which
matches the Times of these venues, so LaTeX is not needed. Colours are Okabe and Ito's;
every view also has its own marker, line style and hatch, so grey print loses nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl

from mi_probe.analysis.labels import SYSTEM_LABELS
from mi_probe.errors import InputError, check_known
from mi_probe.plots.glyphs import added_family

WIDTHS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "acl": {"column": 3.03, "page": 6.30, "slide": 4.6},
        "icml": {"column": 3.25, "page": 6.75, "slide": 4.6},
        "neurips": {"column": 5.5, "page": 5.5, "slide": 4.6},
        "iclr": {"column": 5.5, "page": 5.5, "slide": 4.6},
    }
)
"""Width in inches of a column, of the text block (the last two have one column), and of a
slide: letters of 8 pt are 23 pt where 4.6 inches fill its 13.3."""
SIZES = ("column", "page", "slide")

INK = "0.15"
"""Colour of text and axes."""
REFERENCE = "0.35"
"""Colour of what is no measurement: ceiling and zero."""
NULL_FILL = "0.86"
"""Colour of the permutation null."""


@dataclass(frozen=True)
class ViewStyle:
    """How one view of the states is drawn in every figure."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[int | float, ...]]
    hatch: str
    width: float = 1.0


VIEW_STYLES: Mapping[str, ViewStyle] = MappingProxyType(
    {
        "full": ViewStyle("#0072B2", "o", "-", "", 1.5),
        "mean": ViewStyle("#E69F00", "s", (0, (4, 1.2)), "////"),
        "last": ViewStyle("#009E73", "^", (0, (4, 1, 1, 1)), "...."),
        "first": ViewStyle("#CC79A7", "D", (0, (1, 1)), "xxxx"),
        "max": ViewStyle("#56B4E9", "v", (0, (2, 1)), "\\\\\\\\"),
        "head": ViewStyle("#D55E00", "P", (0, (6, 1, 1, 1, 1, 1)), "----"),
    }
)
OTHER_VIEW = ViewStyle("#999999", "X", (0, (3, 2)), "++")


SYSTEM_STYLES: Mapping[str, ViewStyle] = MappingProxyType(
    {
        "": ViewStyle("#BBBBBB", "X", (0, (1, 1)), ""),
        "predictor": ViewStyle("#DCA514", "s", (0, (4, 1.2)), ""),
        "generator": ViewStyle("#2C9C95", "^", (0, (4, 1, 1, 1)), ""),
        "predgen": ViewStyle("#1F3A7D", "o", "-", "", 1.5),
    }
)
"""The systems, in the order in which they are listed; from light to dark, so that their
colours differ in grey print and to the colour-blind. Hatches are left to the views."""


@dataclass(frozen=True)
class Choices:
    """What `style` was told beyond sizes and fonts."""

    titles: bool = True
    """Write what a figure is of over it; what tells panels apart is written always."""
    zoom: bool = False
    """Let the axis end at the data, and say H(Y) at the edge."""
    palette: str = ""
    """Colours of views and systems: a name that seaborn knows, or ``grey``."""


_STYLED: ContextVar[Choices] = ContextVar("styled", default=Choices())  # noqa: B039


def styled() -> Choices:
    """What the `style` that is open was told."""
    return _STYLED.get()


def _palette(name: str, count: int) -> list[str]:
    """So many colours of a palette, as hexadecimal text.

    Raises:
        InputError: a name that seaborn does not know.
    """
    import seaborn

    try:
        if name == "grey":
            greys = [round(255 * (0.1 + 0.65 * i / count)) for i in range(count)]
            return [f"#{grey:02x}{grey:02x}{grey:02x}" for grey in greys]
        return list(seaborn.color_palette(name, count).as_hex())
    except ValueError:
        raise InputError(
            "palette must be grey, or a name that seaborn knows, such as colorblind or "
            f"Set2; not {name!r}."
        ) from None


def _recoloured(known: Mapping[str, ViewStyle]) -> Mapping[str, ViewStyle]:
    """The same styles in the colours that `style` was told."""
    name = styled().palette
    if not name:
        return known
    colours = _palette(name, len(known))
    return {
        k: replace(v, colour=c) for (k, v), c in zip(known.items(), colours, strict=True)
    }


def view_style(view: str) -> ViewStyle:
    """Style of a view; grey for one this package does not know."""
    return _recoloured(VIEW_STYLES).get(view, OTHER_VIEW)


def view_styles(views: Iterable[str]) -> dict[str, ViewStyle]:
    """A style for each view of one figure; unknown ones take what the others leave."""
    return _styles(views, _recoloured(VIEW_STYLES))


def system_styles(objectives: Iterable[str]) -> dict[str, ViewStyle]:
    """The same for systems."""
    return _styles(objectives, _recoloured(SYSTEM_STYLES))


def _styles(names: Iterable[str], known: Mapping[str, ViewStyle]) -> dict[str, ViewStyle]:
    wanted = list(dict.fromkeys(names))
    spare = [s for name, s in VIEW_STYLES.items() if name not in wanted and name != "full"]
    unknown = [name for name in wanted if name not in known]
    given = dict(zip(unknown, [OTHER_VIEW, *spare], strict=False))
    return {name: known.get(name) or given.get(name, OTHER_VIEW) for name in wanted}


def system_style(objective: str) -> ViewStyle:
    """Style of a system; grey for one this package does not know."""
    return _recoloured(SYSTEM_STYLES).get(objective, OTHER_VIEW)


def system_label(objective: str) -> str:
    """The paper's name of a system."""
    return SYSTEM_LABELS.get(objective, objective)


def rc(venue: str = "acl", width: str = "column") -> dict[str, Any]:
    """The matplotlib settings of a venue.

    Raises:
        InputError: unknown venue or size.
    """
    check_known("style", venue, WIDTHS)
    if width not in WIDTHS[venue]:
        raise InputError(f"size must be one of {', '.join(SIZES)}; not {width!r}.")
    inches = WIDTHS[venue][width]
    return {
        "figure.figsize": (inches, 0.62 * inches),
        "figure.dpi": 150,
        # 2,070 dots across a slide.
        "savefig.dpi": 450 if width == "slide" else 300,
        # 'tight' would cut the page to its ink and so change the width.
        "savefig.bbox": None,
        "figure.facecolor": "white",
        "font.size": 8,
        # DejaVu Sans has the glyphs that STIX lacks.
        "font.family": ["STIXGeneral", "DejaVu Sans"],
        "mathtext.fontset": "stix",
        "text.usetex": False,
        "text.color": INK,
        "figure.titlesize": 9,
        "axes.titlesize": 8,
        "axes.titlepad": 3,
        "axes.labelsize": 8,
        "axes.labelpad": 2,
        "axes.labelcolor": INK,
        "axes.edgecolor": INK,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        # STIX has the true minus sign; the hyphen is too short to be seen.
        "axes.unicode_minus": True,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.major.pad": 2,
        "ytick.major.pad": 2,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "legend.handlelength": 2.0,
        "legend.handletextpad": 0.5,
        "legend.columnspacing": 1.2,
        "legend.labelspacing": 0.25,
        "legend.borderaxespad": 0.2,
        "lines.markersize": 3,
        "hatch.linewidth": 0.5,
        "figure.constrained_layout.h_pad": 0.03,
        "figure.constrained_layout.w_pad": 0.02,
        # Type 42 keeps text as text; submission checkers reject Type 3.
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        # Outlines: a browser has no STIX, and other fonts have other widths.
        "svg.fonttype": "path",
        "svg.hashsalt": "mi_probe",
    }


@contextmanager
def style(
    venue: str = "acl",
    width: str = "column",
    *,
    fonts: Sequence[str | Path] = (),
    titles: bool = True,
    zoom: bool = False,
    palette: str = "",
) -> Iterator[None]:
    """Context to draw and save figures in, with the settings of a venue.

    Afterwards the settings are what they were before.

    Args:
        venue: acl, icml, neurips or iclr.
        width: column, page (its text block) or slide.
        fonts: TrueType files, asked for letters that STIX and DejaVu Sans lack: Chinese,
            Japanese, Korean, emoji.
        titles: write what a figure is of over it; a paper's caption says it.
        zoom: let the y axis end at the data; H(Y), far above them, is a mark at its edge.
        palette: colours of views and systems: a name that seaborn knows, or ``grey``;
            empty for Okabe and Ito's. Signed information keeps its own two colours.

    Raises:
        InputError: unknown venue, size or palette, or a file that is no such font.

    Examples:
        >>> from matplotlib import rcParams
        >>> from mi_probe.plots import style
        >>> with style("neurips", "page"):
        ...     rcParams["figure.figsize"][0]
        5.5
    """
    settings = rc(venue, width)
    settings["font.family"] = [*settings["font.family"], *map(added_family, fonts)]
    if palette:
        _palette(palette, 1)
    told = _STYLED.set(Choices(titles, zoom, palette))
    try:
        with mpl.rc_context(settings):  # type: ignore[arg-type]
            yield
    finally:
        _STYLED.reset(told)
