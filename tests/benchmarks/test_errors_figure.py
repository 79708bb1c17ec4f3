import math

import pandas as pd
import pytest
from errors_figure import benchmark_figure, error_points
from figure_checks import overlaps, texts

from mi_probe.errors import InputError
from mi_probe.plots import style

GROUPS = {"low": "discrete Y, few dimensions", "none": "independent X and Y"}


def cells():
    """Two methods of ours and one of another package on two tasks of two groups."""
    rows = []
    for group, truth in (("low", 1.0), ("none", 0.0)):
        for task in ("a", "b"):
            for package, estimator, error, status in (
                ("mi_probe", "auto", -0.01, "ok"),
                ("mi_probe", "mine", 0.00001, "ok"),
                (
                    "other",
                    "ksg",
                    0.5 if task == "a" else math.nan,
                    "ok" if task == "a" else "failed",
                ),
                ("refusing", "x", math.nan, "refused"),
            ):
                curve = 0.001 if estimator == "auto" else math.nan
                rows.append(
                    {"group": group, "task": task, "view": "x", "package": package}
                    | {"estimator": estimator, "error": error, "status": status}
                    | {"extrapolated": truth + curve, "extrapolated_error": curve}
                    | {"seed": 0, "n": 100, "true": truth}
                )
    return pd.DataFrame(rows)


def test_each_method_is_a_line_with_its_errors_median_and_failures():
    points = error_points(cells())
    assert "refusing" not in set(points["package"])
    assert "auto, extrapolated" in set(points["method"])
    with style("acl", "page"):
        figure = benchmark_figure(points, GROUPS)
        ax = figure.axes[0]
        words = texts(figure)
        assert list(overlaps(figure)) == []
    names = [label.get_text() for label in ax.get_yticklabels()]
    ours = ["mi_probe auto", "mi_probe mine", "mi_probe auto, extrapolated"]
    assert names == [*ours, "other ksg"]
    drawn = {
        (int(line.get_ydata()[0]), line.get_marker()): line.get_xdata().tolist()
        for line in ax.lines
        if line.get_marker() in ("o", "s", "x") and len(line.get_xdata())
    }
    assert drawn[0, "o"] == [0.01, 0.01]
    # Below the floor: drawn at it, and kept in the table.
    assert drawn[1, "o"] == [0.001, 0.001]
    assert points["absolute_error"].min() == 0.00001
    assert drawn[3, "s"] == [0.5]
    assert (3, "x") in drawn
    for part in ("absolute error (nats)", "independent X and Y, n = 100"):
        assert part in words.replace("\n", " ")
    assert "failure or time-out" in words


def test_a_table_without_its_columns_or_groups_is_refused():
    with pytest.raises(InputError, match="lack the columns group"):
        error_points(cells().drop(columns="group"))
    with style(), pytest.raises(InputError, match="must hold a group of z"):
        benchmark_figure(error_points(cells()), {"z": "other"})
