"""Controls are thin lines in the figures, and change nothing of the states' own."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from result_rows import grid, with_controls

from mi_probe.analysis.control_points import controls_of, states_of
from mi_probe.analysis.labels import with_runs
from mi_probe.analysis.summaries import at_layer, over_seeds
from mi_probe.plots import bar_figure, layer_profiles, style

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _styled():
    with style():
        yield


def legend_words(figure):
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def level_lines(ax):
    """Heights of thin lines that run level."""
    return {
        round(float(line.get_ydata()[0]), 6)
        for line in ax.get_lines()
        if line.get_linewidth() < 0.8 and len({*np.asarray(line.get_ydata(), float)}) == 1
    }


def test_a_profile_has_each_control_as_a_thin_line_and_in_its_legend():
    points = over_seeds(with_controls())
    figure = layer_profiles(points)
    (ax,) = figure.axes
    assert {0.021, 0.2, 0.05, 0.03, 0.0} <= level_lines(ax)
    words = legend_words(figure)
    for label in ("words 0.021", "length 0.000", "answer, calibrated 0.200"):
        assert label in words
    assert "random weights 0.030" in words
    # Far below the axis it is not drawn; the legend has its value.
    assert -0.9 not in level_lines(ax)
    assert "own answer -0.900" in words
    assert ax.get_ylim()[0] > -0.3


def test_the_states_own_lines_stay_as_they_are():
    alone, whole = (layer_profiles(over_seeds(t)) for t in (grid(), with_controls()))

    def own(figure):
        (ax,) = figure.axes
        lines = [one for one in ax.get_lines() if str(one.get_label()).startswith("$I")]
        return [np.asarray(one.get_ydata()).tolist() for one in lines]

    assert own(alone) == own(whole)
    assert len(own(whole)) == 2


def test_bars_have_segments_over_their_group():
    points = over_seeds(with_controls())
    figure = bar_figure(at_layer(points, controls=True), x="task")
    (ax,) = figure.axes
    assert {0.021, 0.2, 0.05, 0.03} <= level_lines(ax)
    assert len(ax.patches) == len(at_layer(points))  # a bar a view, none a control
    assert "words 0.021" in legend_words(figure)


def test_systems_have_segments_over_their_block():
    points = over_seeds(with_controls(objective="predictor").assign(objective="predictor"))
    chosen = at_layer(points, controls=True)
    figure = bar_figure(with_runs(chosen))
    (ax,) = figure.axes
    assert {0.021, 0.2, 0.03} <= level_lines(ax)
    assert len(ax.patches) == 2


@pytest.mark.parametrize("draw", [layer_profiles, lambda p: bar_figure(p, x="model")])
def test_without_controls_no_legend_speaks_of_them(draw):
    points = at_layer(over_seeds(grid()))
    assert controls_of(points).empty
    figure = draw(points)
    assert isinstance(figure, Figure)
    assert not any("words" in text for text in legend_words(figure))
    pd.testing.assert_frame_equal(states_of(points), points)
