"""Figures from tables: these draw, `save` writes.

points = over_seeds(results, unit="bits")
with style("acl", "column"):
    save(layer_profiles(points), points, "profile", "figures")

Estimates pass through `over_seeds`, other tables through `in_unit` (`mi_probe.analysis`).
"""

from mi_probe.plots.bars import bar_figure, grouped_bars
from mi_probe.plots.curves import convergence, convergence_figure
from mi_probe.plots.differences import difference_figure, difference_forest
from mi_probe.plots.forest import gap_figure, gap_forest
from mi_probe.plots.heat_map import heat_figure, heat_map
from mi_probe.plots.ladders import ladder_figure, ladder_panels
from mi_probe.plots.positions import (
    known_places,
    position_figure,
    position_line,
    position_map,
    position_map_figure,
)
from mi_probe.plots.profiles import layer_profile, layer_profiles
from mi_probe.plots.saving import FORMATS, save
from mi_probe.plots.style import SYSTEM_STYLES, VIEW_STYLES, WIDTHS, style
from mi_probe.plots.token_lines import (
    span_dots,
    span_figure,
    type_figure,
    type_forest,
    word_dot_figure,
    word_dots,
)
from mi_probe.plots.token_maps import (
    chosen_words,
    most_frequent,
    sentence_cells,
    sentence_figure,
    span_lines,
    word_cells,
    word_figure,
)
from mi_probe.plots.token_strip import token_strip, token_strips
from mi_probe.plots.training import (
    accuracy_figure,
    information_line,
    metric_line,
    training_figure,
)
from mi_probe.plots.written_tokens import written_figure, written_lines

__all__ = [
    "FORMATS",
    "SYSTEM_STYLES",
    "VIEW_STYLES",
    "WIDTHS",
    "accuracy_figure",
    "bar_figure",
    "chosen_words",
    "convergence",
    "convergence_figure",
    "difference_figure",
    "difference_forest",
    "gap_figure",
    "gap_forest",
    "grouped_bars",
    "heat_figure",
    "heat_map",
    "information_line",
    "known_places",
    "ladder_figure",
    "ladder_panels",
    "layer_profile",
    "layer_profiles",
    "metric_line",
    "most_frequent",
    "position_figure",
    "position_line",
    "position_map",
    "position_map_figure",
    "save",
    "sentence_cells",
    "sentence_figure",
    "span_dots",
    "span_figure",
    "span_lines",
    "style",
    "token_strip",
    "token_strips",
    "training_figure",
    "type_figure",
    "type_forest",
    "word_cells",
    "word_dot_figure",
    "word_dots",
    "word_figure",
    "written_figure",
    "written_lines",
]
