import math

import numpy as np
import pytest
from figure_checks import overlaps, texts
from result_rows import gap_rows, ladder_rows

from mi_probe.analysis.units import in_unit
from mi_probe.errors import InputError
from mi_probe.plots import gap_figure, ladder_figure, style


def markers(ax):
    """Drawn points as (x, y, marker, face), the caps of intervals left out."""
    return [
        (float(x), float(y), line.get_marker(), line.get_markerfacecolor())
        for line in ax.lines
        if line.get_marker() not in ("_", "|", "None", "")
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def segments(ax):
    """Ends of every interval, sorted."""
    return sorted(
        tuple(np.round(np.ravel(segment), 9))
        for collection in ax.collections
        for segment in collection.get_segments()
    )


def test_the_forest_draws_every_gap_with_its_interval():
    rows = gap_rows()
    rows.loc[1, "p_value"] = 0.6
    points = in_unit(rows, "bits")
    with style():
        figure = gap_figure(points)
        (ax,) = figure.axes
        words = texts(figure)
    drawn = markers(ax)
    assert [x for x, *_ in drawn] == points["gap"].tolist()
    assert points["gap"].tolist() == pytest.approx([0.1 / math.log(2), -0.02 / math.log(2)])
    ends = {(round(a, 9), round(b, 9)) for a, _, b, _ in segments(ax)}
    for low, high in zip(points["low"], points["high"], strict=True):
        assert (round(low, 9), round(high, 9)) in ends
    # The second's p is above 0.05: hollow; and the markers differ without colour.
    assert drawn[0][3] != "white"
    assert drawn[1][3] == "white"
    assert drawn[0][2] != drawn[1][2]
    for part in (
        "reviews, tiny, n = 1,234, H(Y) = 1.000 bits",
        "(bits)",
        "usable information at this capacity",
        "95 % interval, paired over examples",
        "no gap shown: $p$ > 0.05",
        "$p$ = 0.010",
    ):
        assert part in words


def test_a_gap_without_interval_or_value_is_said_so():
    rows = gap_rows(ci_low=math.nan, ci_high=math.nan, p_value=math.nan)
    rows.loc[1, "gap_nats"] = math.nan
    with style():
        words = texts(gap_figure(in_unit(rows)))
    assert "no gap shown: 0 in interval, or none" in words
    assert "no value" in words
    assert "95 %" not in words


@pytest.mark.parametrize("axis", ["capacity", "noise"])
def test_a_ladder_draws_its_rungs_in_order(axis):
    rows = ladder_rows(axis, poolings=("mean", "last"))
    points = in_unit(rows.sample(frac=1.0, random_state=0))
    with style():
        figure = ladder_figure(points, axis=axis)
        words = texts(figure)
        above, below = figure.axes[:2]
    lines = {line.get_label(): line for line in (*above.lines, *below.lines)}
    wanted = rows[rows["pooling"] == "mean"]
    for label, column in (
        ("$I(Y;Z)$", "full_nats"),
        ("$I(Y;Z_p)$, mean", "pooled_nats"),
        ("gap", "gap_nats"),
    ):
        assert lines[label].get_ydata().tolist() == wanted[column].tolist()
    styles = {(line.get_linestyle(), line.get_marker()) for line in lines.values()}
    assert len(styles) >= 3
    assert "$H(Y)$" in words
    # Without intervals of the two values, the gap's alone are spoken of.
    whole = "over examples (gap: paired)" if axis == "noise" else "of the gap, paired"
    assert f"95 % interval {whole}" in words
    ends = (np.round(segment, 9) for segment in segments(above))
    drawn = {(low, high) for left, low, right, high in ends if left == right}
    bounds = ("full_low", "full_high"), ("pooled_low", "pooled_high")
    for low, high in bounds if axis == "noise" else ():
        assert set(zip(wanted[low].round(9), wanted[high].round(9), strict=True)) <= drawn
    assert ("capacity chosen on other rows" in words) == (axis == "capacity")
    if axis == "noise":
        assert lines["gap"].get_xdata().tolist() == pytest.approx([0, 1, 2])
    for ax in figure.axes:
        low, high = ax.get_ylim()
        data = [y for line in ax.lines for y in line.get_ydata() if line.get_marker() != ""]
        assert low <= min(data)
        assert high >= max(data)


LONG = {"subject": "runs/a-rather-long-model-name-7B-instruct/predgen/checkpoint-400"}


@pytest.mark.parametrize("venue", [("acl", "column"), ("neurips", "page")])
def test_nothing_overlaps_at_any_width(venue):
    poolings = ("mean", "last", "mean+last")
    with style(*venue):
        rows = gap_rows((0.1, -0.2, 0.9), poolings, task="a_long_task_name", **LONG)
        assert list(overlaps(gap_figure(in_unit(rows)))) == []
        for axis in ("capacity", "noise"):
            rows = ladder_rows(axis, poolings, **LONG)
            figure = ladder_figure(in_unit(rows), axis=axis)
            assert list(overlaps(figure)) == []


def test_what_no_command_wrote_is_refused():
    with pytest.raises(InputError, match="in_unit first"):
        gap_figure(gap_rows())
    with pytest.raises(InputError, match="lacks the columns gap_nats"):
        in_unit(gap_rows().drop(columns="gap_nats"), needs=("gap_nats",), source="gaps.csv")
    with pytest.raises(InputError, match=r"gaps\.csv holds no rows"):
        in_unit(gap_rows().iloc[:0], source="gaps.csv")
    with pytest.raises(InputError, match="unit must be one of nats, bits"):
        in_unit(gap_rows(), "pints")


def test_a_gap_that_its_test_does_not_show_is_hollow():
    # The corrected p-value decides where there is one.
    points = in_unit(gap_rows((0.1,), ("mean",), p_value=0.03, p_holm=0.3))
    with style():
        figure = gap_figure(points)
        assert markers(figure.axes[0])[0][3] == "white"
        assert "no gap shown: $p$ > 0.05" in texts(figure)
        assert "$p$ = 0.300" in texts(figure)
    shown = gap_rows((0.01,), ("mean",), p_value=0.001)
    with style():
        assert markers(gap_figure(in_unit(shown)).axes[0])[0][3] != "white"
    untested = gap_rows((0.01,), ("mean",), p_value=math.nan)
    with style():
        figure = gap_figure(in_unit(untested))
        assert markers(figure.axes[0])[0][3] == "white"
        assert "0 in interval, or none" in texts(figure)
