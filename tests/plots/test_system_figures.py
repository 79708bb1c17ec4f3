import math

import pandas as pd
import pytest
from figure_checks import overlaps, texts
from result_rows import row, table

from mi_probe.analysis.labels import last_steps, with_runs
from mi_probe.analysis.summaries import at_layer, over_seeds
from mi_probe.errors import InputError
from mi_probe.plots import (
    SYSTEM_STYLES,
    accuracy_figure,
    bar_figure,
    information_line,
    style,
    training_figure,
)
from mi_probe.plots.captions import caption

OBJECTIVES = ("predictor", "generator", "predgen")


def trained(
    tasks=("reviews",), steps=(10, 20, 40), views=("full", "mean"), **more
) -> pd.DataFrame:
    """Rows of three systems at several steps: more of both with every step."""
    return table(
        *(
            row(
                0.1 + 0.1 * o + 0.004 * step - 0.05 * v,
                view=view,
                task=task,
                objective=objective,
                model=f"runs/{task}/{objective}/checkpoint-{step}",
                checkpoint_step=step,
                metric="accuracy",
                metric_value=0.5 + 0.005 * step + 0.01 * o,
                parse_failure_rate=0.0,
                **more,
            )
            for task in tasks
            for o, objective in enumerate(OBJECTIVES)
            for step in steps
            for v, view in enumerate(views)
        )
    )


def points_of(rows):
    return with_runs(at_layer(over_seeds(rows)))


def test_checkpoints_of_one_folder_are_one_run_and_the_last_step_is_kept():
    points = points_of(trained())
    assert sorted(set(points["run"])) == [f"runs/reviews/{o}" for o in sorted(OBJECTIVES)]
    last = last_steps(points)
    assert set(last["checkpoint_step"]) == {40}
    assert len(last) == 6
    lone = points_of(table(row(0.3)))
    assert len(last_steps(lone)) == 1
    assert lone["objective"].tolist() == [""]


def test_system_bars_draw_each_system_under_its_tasks_ceiling():
    rows = pd.concat([trained(("a",)), trained(("b",), H_Y_nats=1.2)])
    points = last_steps(points_of(rows))
    with style("acl", "page"):
        figure = bar_figure(points)
        (ax,) = figure.axes
        words = texts(figure)
    assert [p.get_height() for p in ax.patches] == pytest.approx(points["value"].tolist())
    colours = [patch.get_facecolor()[:3] for patch in ax.patches]
    assert len(set(colours)) == 3
    assert {patch.get_hatch() for patch in ax.patches} == {"", "////"} or {
        patch.get_hatch() for patch in ax.patches
    } == {None, "////"}
    heights = {
        round(float(segment[0][1]), 9)
        for collection in ax.collections
        for segment in collection.get_segments()
        if segment[0][1] == segment[1][1]
    }
    assert {round(math.log(2), 9), 1.2} <= heights
    for part in ("Predictor", "Generator", "PredGen", "$H(Y)$"):
        assert part in words
    said = caption("systems", points)
    assert "between networks it says nothing" in said
    assert "last step of each run" in said
    one = points[points["task_label"] == "a"]
    with style():
        (ax,) = bar_figure(one).axes
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert ticks == ["Predictor", "Generator", "PredGen"]


def test_systems_differ_without_colour():
    greys = []
    for look in SYSTEM_STYLES.values():
        red, green, blue = (int(look.colour[i : i + 2], 16) for i in (1, 3, 5))
        greys.append(0.299 * red + 0.587 * green + 0.114 * blue)
    apart = sorted(greys)
    assert min(b - a for a, b in zip(apart, apart[1:], strict=False)) > 20
    for name in ("marker", "line"):
        looks = list(SYSTEM_STYLES.values())
        assert len({getattr(look, name) for look in looks}) == len(looks)


def lines(ax):
    """Lines of runs by label."""
    return {
        line.get_label(): line
        for line in ax.lines
        if line.get_label() in ("Predictor", "Generator", "PredGen")
    }


def test_information_and_accuracy_over_steps_have_panels_of_their_own():
    points = points_of(trained())
    with style():
        figure = training_figure(points)
        words = texts(figure)
    full, mean, metric = figure.axes
    for ax, view in ((full, "full"), (mean, "mean")):
        for label, objective in zip(lines(ax), OBJECTIVES, strict=True):
            rows = points[(points["view"] == view) & (points["objective"] == objective)]
            assert lines(ax)[label].get_xdata().tolist() == [10, 20, 40]
            drawn = lines(ax)[label].get_ydata().tolist()
            assert drawn == rows.sort_values("checkpoint_step")["value"].tolist()
    assert lines(metric)["PredGen"].get_ydata().tolist() == pytest.approx(
        [0.57, 0.62, 0.72]
    )
    for part in ("training step", "accuracy", "MI estimate (nats)"):
        assert part in words
    silent = points.assign(metric_value=math.nan)
    with style():
        assert len(training_figure(silent).axes) == 2


def test_information_against_accuracy_is_a_point_a_checkpoint():
    points = points_of(trained())
    with style():
        figure = accuracy_figure(points)
        words = texts(figure)
    drawn = lines(figure.axes[0])["Generator"]
    rows = points[(points["view"] == "full") & (points["objective"] == "generator")]
    rows = rows.sort_values("checkpoint_step")
    assert drawn.get_xdata().tolist() == rows["metric_value"].tolist()
    assert drawn.get_ydata().tolist() == rows["value"].tolist()
    assert "larger marker: later step (10 to 40)" in words
    # One point a run: its marker is as large as its step is late among all runs'.
    last = points_of(trained(steps=(24,)))
    last.loc[last["objective"] == "generator", "checkpoint_step"] = 12
    with style():
        ax = accuracy_figure(last).axes[0]
    sizes = {
        line.get_marker(): line.get_markersize()
        for line in ax.lines
        if line.get_marker() in "s^o" and line.get_zorder() == 6
    }
    assert sizes["s"] == sizes["o"] > sizes["^"]
    with style():
        assert "larger marker" not in texts(
            accuracy_figure(points_of(trained(steps=(24,))))
        )


@pytest.mark.parametrize(
    ("steps", "ticks"),
    [
        ((0, 4, 8), [0, 4, 8]),
        ((4, 5), [4, 5]),
        ((7,), [7]),
        ((1, 2, 4, 512, 1024), None),
        (tuple(range(100, 2001, 100)), None),
    ],
)
def test_ticks_stand_at_checkpoints_or_at_whole_steps(steps, ticks):
    points = points_of(trained(steps=steps))
    with style():
        figure = training_figure(points)
        figure.draw_without_rendering()
    for ax in figure.axes:
        low, high = ax.get_xlim()
        drawn = [tick for tick in ax.get_xticks() if low <= tick <= high]
        labels = [label.get_text() for label in ax.get_xticklabels()]
        if ticks is None:
            assert 2 <= len(drawn) <= 8
            assert all(tick == round(tick) for tick in drawn)
        else:
            assert drawn == ticks
        assert all(label.lstrip("-\N{MINUS SIGN}").isdigit() for label in labels if label)


@pytest.mark.parametrize("venue", [("acl", "column"), ("iclr", "page")])
def test_nothing_overlaps_at_any_width(venue):
    rows = trained(
        ("reviews", "a_long_task_name_indeed", "sst2"),
        views=("full", "mean", "last"),
        status="above_ceiling",
    )
    points = points_of(rows)
    one = points[points["task_label"] == "a_long_task_name_indeed"]
    with style(*venue):
        for figure in (
            bar_figure(last_steps(points)),
            training_figure(one),
            accuracy_figure(one),
        ):
            assert list(overlaps(figure)) == []


def test_tables_that_say_no_run_or_hold_two_bars_in_one_place_are_refused():
    points = at_layer(over_seeds(trained()))
    with pytest.raises(InputError, match="with_runs first"):
        training_figure(points)
    with pytest.raises(InputError, match="of runs the last_steps"):
        bar_figure(pd.concat([with_runs(points)] * 2))
    with pytest.raises(InputError, match="one view of one task"):
        information_line(with_runs(points))
