"""One colour scale a figure: signed information, with its unit, readable in grey.

Of two signs with one darkness each, grey print could not say which: negative cells are
marked as well, by whoever draws them, with `NEGATIVE`.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, ListedColormap, Normalize, to_rgb
from matplotlib.patches import Rectangle
from matplotlib.typing import ColorType

from mi_probe.plots.page import LINE_SPACING
from mi_probe.plots.style import INK

MAP = "PuOr_r"
"""Purple for what speaks against, white for nothing, orange for information; told apart
by the colour-blind."""
NEGATIVE = (0, (1.5, 1.2))
"""Line style of the mark under a cell whose value is below 0."""
ABSENT = "0.95"
"""Colour of a cell that has no value; it is hatched too, as grey alone is the middle."""


def colours() -> Colormap:
    """The map, without its darkest ends, on which no text can be read."""
    whole = mpl.colormaps[MAP]
    return ListedColormap(whole(np.linspace(0.12, 0.88, 256)), name="information")


def scale(values: np.ndarray) -> Normalize:
    """Symmetric about 0, to the largest size of any value in the figure."""
    known = np.abs(values[np.isfinite(values)])
    most = float(known.max()) if len(known) and known.max() > 0 else 1.0
    return Normalize(-most, most)


def ink_on(colour: ColorType) -> str:
    """Black or white, whichever is read on the colour, or seen as a hatch."""
    red, green, blue = to_rgb(colour)
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"


def draw_scale(
    cax: Axes, norm: Normalize, words: str, *, marked: float | None = None
) -> Colorbar:
    """The scale, lying, with quantity and unit; vector, not a picture.

    Args:
        cax: axes that it fills.
        norm: of all cells.
        words: quantity and unit.
        marked: H(Y), named on the scale where it lies on it.
    """
    figure = cax.get_figure()
    assert figure is not None
    mapped = ScalarMappable(norm, colours())
    bar = figure.colorbar(mapped, cax=cax, orientation="horizontal")
    bar.outline.set_linewidth(0.4)  # pyright: ignore[reportCallIssue]
    # matplotlib makes a picture of many colours, and hairlines of cells side by side.
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face", linewidth=0.2)
    bar.set_label(words, linespacing=LINE_SPACING)
    bar.ax.locator_params(nbins=5)
    if marked is not None and norm.vmax is not None and marked <= norm.vmax:
        bar.ax.axvline(marked, color=INK, linewidth=1.0, linestyle=(0, (2, 1)))
        bar.ax.annotate(
            "$H(Y)$",
            (marked, 1),
            xycoords=bar.ax.get_xaxis_transform(),
            xytext=(0, 1),
            textcoords="offset points",
            ha="center",
            fontsize=7,
        )
    return bar


def draw_cell(
    ax: Axes,
    place: tuple[float, float, float, float],
    value: float,
    norm: Normalize,
    **edge: Any,
) -> str:
    """A rectangle in the colour of its value, hatched where there is none.

    Args:
        ax: what to draw on.
        place: left, top, width, height.
        value: of the cell.
        norm: of all cells.
        edge: how a cell that has a value is bordered.

    Returns:
        The colour of letters that are read on it.
    """
    left, top, width, height = place
    known = bool(np.isfinite(value))
    face = colours()(float(norm(value)))
    cell = Rectangle((left, top), width, height, facecolor=face if known else ABSENT)
    cell.set(**(edge if known else {"hatch": "//////", "edgecolor": "0.7", "linewidth": 0}))
    ax.add_patch(cell)
    return ink_on(face) if known else INK
