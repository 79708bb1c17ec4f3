"""The forest of paired differences."""

import math

import pandas as pd
import pytest
from figure_checks import overlaps, texts

from mi_probe.analysis.units import in_unit
from mi_probe.errors import InputError
from mi_probe.plots import difference_figure, style
from mi_probe.plots.differences import MOST


def rows(count=2, **more):
    """Rows of comparisons.csv; every second is shown."""
    return pd.DataFrame(
        {
            "task": "reviews",
            "between": "checkpoint",
            "a": f"predgen {i}",
            "b": "predictor",
            "checkpoint": "",
            "layer": ("block.1", "final_norm")[i % 2],
            "estimator": "auto",
            "a_value_nats": 0.4,
            "b_value_nats": 0.3,
            "difference_nats": 0.1 - 0.09 * (i % 2),
            "ci_low": 0.06 - 0.09 * (i % 2),
            "ci_high": 0.14 - 0.09 * (i % 2),
            "p_value": 0.001 + 0.3 * (i % 2),
            "p_holm": 0.01 + 0.6 * (i % 2),
            "n": 300,
            "over": "rows and 3 trainings",
        }
        | more
        for i in range(count)
    )


def test_each_difference_has_a_line_its_interval_and_the_corrected_p():
    with style():
        figure = difference_figure(in_unit(rows(), "bits"))
        (ax,) = figure.axes
        words = texts(figure)
        assert not list(overlaps(figure))
    drawn = [
        (line.get_xdata()[0], line.get_markerfacecolor())
        for line in ax.lines
        if line.get_marker() == "o" and len(line.get_xdata()) == 1
    ]
    assert [x for x, _ in drawn] == pytest.approx([0.1 / math.log(2), 0.01 / math.log(2)])
    assert drawn[0][1] != "white"
    assert drawn[1][1] == "white"
    for part in (
        "reviews, between checkpoints, n = 300 (auto)",
        "predgen 0 \N{MINUS SIGN} predictor",
        "difference of $I(Y;Z)$ estimates (bits)",
        "paired over rows and 3 trainings",
        "$p$ = 0.010",
        "no difference shown: Holm's $p$ > 0.05",
    ):
        assert part in words


def test_of_many_the_smallest_p_are_drawn_and_it_is_said():
    with style():
        figure = difference_figure(in_unit(rows(100)))
        words = texts(figure)
    assert f"the {MOST} of 100 with the smallest $p$" in words
    assert "predgen 98" not in words or "predgen 70" in words
    assert "predgen 1 " not in words


def test_other_tables_are_refused():
    with pytest.raises(InputError, match="lack the columns p_holm"):
        difference_figure(in_unit(rows().drop(columns="p_holm")))
    with pytest.raises(InputError, match="no rows"):
        difference_figure(in_unit(rows()).head(0))
