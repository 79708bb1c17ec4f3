"""Figures from tables: `over_seeds` summarises, these draw, `save` writes.

points = over_seeds(results, unit="bits")
with style("acl", "column"):
    save(layer_profiles(points), points, "profile", "figures")
"""

from mi_probe.plots.bars import bar_figure, grouped_bars
from mi_probe.plots.profiles import layer_profile, layer_profiles
from mi_probe.plots.saving import save
from mi_probe.plots.style import VIEW_STYLES, WIDTHS, style

__all__ = [
    "VIEW_STYLES",
    "WIDTHS",
    "bar_figure",
    "grouped_bars",
    "layer_profile",
    "layer_profiles",
    "save",
    "style",
]
