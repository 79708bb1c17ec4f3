import math

import pytest
from figure_checks import overlaps, texts
from result_rows import row, table

from mi_probe.analysis.convergence import training_curves
from mi_probe.errors import InputError
from mi_probe.plots import convergence, convergence_figure, style

FOLD = {"train": [None, 0.2, 0.5, 0.7], "validation": [0.1, 0.25, 0.3, 0.2]}
HISTORY = [
    FOLD | {"best_epoch": 2, "residual_kept": True},
    FOLD | {"best_epoch": 1, "residual_kept": False},
]


def curves(unit="nats"):
    rows = table(row(0.28, row_id="a"), row(0.2, view="mean", row_id="b"))
    return training_curves(rows, {"a": HISTORY, "b": HISTORY[:1]}, unit)


def test_curves_are_a_row_a_fold_epoch_and_part():
    found = curves("bits")
    assert len(found) == 3 * 8
    one = found.query("row_id == 'a' and fold == 1 and part == 'validation'")
    wanted = [value / math.log(2) for value in FOLD["validation"]]
    assert one["value"].tolist() == pytest.approx(wanted)
    held = sorted(set(found["held_out"]))
    assert held == pytest.approx([0.2 / math.log(2), 0.28 / math.log(2)])
    assert found.query("part == 'train' and epoch == 0")["value"].isna().all()
    # A closed form has no epochs.
    assert training_curves(
        table(row(0.3, row_id="c")), {"c": [{"n_train": 3}]}, "nats"
    ).empty


def test_both_bounds_the_estimate_and_its_interval_are_drawn():
    found = curves()
    with style():
        figure = convergence_figure(found, title="t")
        ax = figure.axes[0]
        words = texts(figure)
        assert list(overlaps(figure)) == []
    drawn = [line for line in ax.lines if line.get_label() == "validation"]
    assert [line.get_ydata().tolist() for line in drawn] == [FOLD["validation"]] * 2
    assert [
        line.get_ydata().tolist()[1:] for line in ax.lines if line.get_label() == "train"
    ]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [2, 1]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True]
    assert any(line.get_ydata()[0] == 0.28 for line in ax.lines)
    styles = {line.get_linestyle() for line in ax.lines if line.get_label() in FOLD}
    assert len(styles) == 2
    for part in (
        *("training rows", "validation rows", "bound (nats)", "epoch"),
        *("held-out rows: the estimate, 95 % interval", "$H(Y)$"),
        *("weights taken", "no better than the start: dropped"),
    ):
        assert part in words


def test_several_estimates_on_one_axes_are_refused():
    with pytest.raises(InputError, match="use convergence_figure for several"):
        convergence(curves())
    with pytest.raises(InputError, match="training_curves"):
        convergence_figure(curves().drop(columns="kept"), title="t")
