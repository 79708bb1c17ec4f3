"""Figures from tables: these draw, `save` writes.

points = over_seeds(results, unit="bits")
with style("acl", "column"):
    save(layer_profiles(points), points, "profile", "figures")

Estimates pass through `over_seeds`, other tables through `in_unit` (`mi_probe.analysis`).
"""

from mi_probe.plots.bars import bar_figure as bar_figure
from mi_probe.plots.bars import grouped_bars as grouped_bars
from mi_probe.plots.curves import convergence as convergence
from mi_probe.plots.curves import convergence_figure as convergence_figure
from mi_probe.plots.differences import difference_figure as difference_figure
from mi_probe.plots.differences import difference_forest as difference_forest
from mi_probe.plots.forest import gap_figure as gap_figure
from mi_probe.plots.forest import gap_forest as gap_forest
from mi_probe.plots.heat_map import heat_figure as heat_figure
from mi_probe.plots.heat_map import heat_map as heat_map
from mi_probe.plots.ladders import ladder_figure as ladder_figure
from mi_probe.plots.ladders import ladder_panels as ladder_panels
from mi_probe.plots.positions import known_places as known_places
from mi_probe.plots.positions import position_figure as position_figure
from mi_probe.plots.positions import position_line as position_line
from mi_probe.plots.positions import position_map as position_map
from mi_probe.plots.positions import position_map_figure as position_map_figure
from mi_probe.plots.profiles import layer_profile as layer_profile
from mi_probe.plots.profiles import layer_profiles as layer_profiles
from mi_probe.plots.saving import FORMATS as FORMATS
from mi_probe.plots.saving import save as save
from mi_probe.plots.style import SYSTEM_STYLES as SYSTEM_STYLES
from mi_probe.plots.style import VIEW_STYLES as VIEW_STYLES
from mi_probe.plots.style import WIDTHS as WIDTHS
from mi_probe.plots.style import style as style
from mi_probe.plots.token_lines import span_dots as span_dots
from mi_probe.plots.token_lines import span_figure as span_figure
from mi_probe.plots.token_lines import type_figure as type_figure
from mi_probe.plots.token_lines import type_forest as type_forest
from mi_probe.plots.token_lines import word_dot_figure as word_dot_figure
from mi_probe.plots.token_lines import word_dots as word_dots
from mi_probe.plots.token_maps import chosen_words as chosen_words
from mi_probe.plots.token_maps import most_frequent as most_frequent
from mi_probe.plots.token_maps import sentence_cells as sentence_cells
from mi_probe.plots.token_maps import sentence_figure as sentence_figure
from mi_probe.plots.token_maps import span_lines as span_lines
from mi_probe.plots.token_maps import word_cells as word_cells
from mi_probe.plots.token_maps import word_figure as word_figure
from mi_probe.plots.token_strip import token_strip as token_strip
from mi_probe.plots.token_strip import token_strips as token_strips
from mi_probe.plots.training import accuracy_figure as accuracy_figure
from mi_probe.plots.training import information_line as information_line
from mi_probe.plots.training import metric_line as metric_line
from mi_probe.plots.training import training_figure as training_figure
from mi_probe.plots.written_tokens import written_figure as written_figure
from mi_probe.plots.written_tokens import written_lines as written_lines
