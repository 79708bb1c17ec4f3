import io
import json
import math

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from figure_checks import overlaps, texts
from result_rows import grid, row, table

from mi_probe.analysis.summaries import at_layer, over_seeds
from mi_probe.errors import InputError
from mi_probe.plots import (
    VIEW_STYLES,
    WIDTHS,
    bar_figure,
    grouped_bars,
    layer_profile,
    layer_profiles,
    save,
    style,
)
from mi_probe.plots.captions import caption


def line_of(ax, label):
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return line


def test_profile_says_what_it_shows():
    with style():
        words = texts(layer_profiles(over_seeds(grid())))
    for part in (
        "MI estimate (nats)",
        "hidden_states index",
        "0: embeddings, 6: after the final norm",
        "$I(Y;Z)$",
        "$I(Y;Z_p)$, mean",
        "$H(Y)$",
        "$Y$ permuted: mean to 95th percentile",
        "tiny on reviews",
        "mine, n = 1,234",
    ):
        assert part in words
    assert "flagged" not in words


def test_profile_in_bits_over_seeds():
    points = over_seeds(grid(seeds=(0, 1, 2)), unit="bits")
    with style():
        words = texts(layer_profiles(points))
    assert "MI estimate (bits)" in words
    assert "mine, n = 1,234, 3 seeds" in words
    said = caption("profile", points)
    assert "H(Y) = 1.000 bits" in said
    assert "95 % interval over examples and 3 seeds" in said
    assert "Y permuted 20 times" in said


@pytest.mark.parametrize("draws", [2, 19])
def test_a_null_of_few_permutations_is_not_drawn(draws):
    points = over_seeds(grid(n_permutations=draws))
    with style():
        for figure in (layer_profiles(points), bar_figure(at_layer(points))):
            assert "permuted" not in texts(figure)
        few = layer_profiles(points).axes[0].get_lines()
        many = layer_profiles(over_seeds(grid())).axes[0].get_lines()
    assert len(few) == len(many) - 1
    assert "permuted" not in caption("profile", points)


@pytest.mark.parametrize("layers", [(0, 3, 6), tuple(range(13))])
def test_lines_draw_the_table(layers):
    points = over_seeds(grid(layers=layers, n_layers=layers[-1]))
    with style():
        ax = layer_profiles(points).axes[0]
        for view, label in [("full", "$I(Y;Z)$"), ("mean", "$I(Y;Z_p)$, mean")]:
            drawn = line_of(ax, label).get_ydata()
            expected = points.loc[points["view"] == view, "value"]
            np.testing.assert_array_equal(drawn, expected)


def test_values_outside_0_and_ceiling_lie_inside_the_axes_with_open_markers():
    rows = [
        row(-0.2, layer=0, status="diverged"),
        row(0.3, layer=3),
        row(1.1, layer=6, status="above_ceiling"),
    ]
    with style():
        figure = layer_profiles(over_seeds(table(*rows)))
        ax = figure.axes[0]
        low, high = ax.get_ylim()
        assert low < -0.2
        assert high > 1.1
        (flagged,) = [
            line
            for line in ax.lines
            if line.get_markerfacecolor() == "white" and len(line.get_xdata())
        ]
        assert flagged.get_ydata().tolist() == [-0.2, 1.1]
        assert "flagged: diverged, above H(Y)" in texts(figure)


def test_an_estimate_without_a_value_is_a_cross():
    rows = [row(0.3, layer=0), row(math.nan, layer=6, status="diverged")]
    with style():
        figure = layer_profiles(over_seeds(table(*rows)))
        (cross,) = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
        assert cross.get_xdata().tolist() == [6]
        assert "no value" in texts(figure)


def test_no_null_no_ceiling_no_interval_no_mention():
    none = {"null_mean": None, "null_high": None, "n_permutations": 0}
    none |= {"H_Y_nats": None, "ci_low": None, "ci_high": None, "stderr": math.nan}
    points = over_seeds(grid(**none))
    with style():
        for figure in (layer_profiles(points), bar_figure(at_layer(points), x="task")):
            words = texts(figure)
            for absent in ("permuted", "H(Y)", "interval"):
                assert absent not in words
        assert not any(w in caption("profile", points) for w in ("H(Y)", "interval"))


def test_one_row_is_a_figure():
    points = over_seeds(table(row(0.3)))
    with style():
        assert line_of(layer_profiles(points).axes[0], "$I(Y;Z)$").get_ydata() == [0.3]
        figure = bar_figure(points, x="task")
        assert [p.get_height() for p in figure.axes[0].patches] == [0.3]


def test_the_last_block_is_drawn_half_a_layer_before_the_norm():
    rows = [row(0.2, layer=0), row(0.4), row(0.3, layer=math.nan, site="block.5")]
    with style():
        figure = layer_profiles(over_seeds(table(*rows)))
        drawn = line_of(figure.axes[0], "$I(Y;Z)$")
        assert drawn.get_xdata().tolist() == [0, 5.5, 6]
        assert "5.5: before it" in texts(figure)


def test_bars_draw_the_table_with_seeds_and_ceilings():
    both = [grid(seeds=(0, 1), task=t, H_Y_nats=h) for t, h in [("a", 0.6), ("b", 1.3)]]
    points = at_layer(over_seeds(pd.concat(both)))
    with style():
        figure = bar_figure(points, x="task")
        ax = figure.axes[0]
        heights = [patch.get_height() for patch in ax.patches]
        assert heights == points["value"].tolist()
        dots = [line.get_ydata() for line in ax.lines if line.get_marker() == "o"]
        expected = [json.loads(text) for text in points["seed_values"]]
        assert [list(map(float, d)) for d in dots] == expected
        drawn = {
            segment[0][1]
            for collection in ax.collections
            for segment in collection.get_segments()
            if segment[0][1] == segment[1][1]
        }
        assert {0.6, 1.3, 0.02} <= drawn
        words = texts(figure)
    assert "after the final norm" in words
    assert "one seed" in words
    assert "$Y$ permuted: 95th percentile" in words


def test_models_side_by_side_are_not_ordered_by_the_dpi():
    points = over_seeds(pd.concat([grid(model="a"), grid(model="b")]))
    assert "not ordered by the data processing" in caption("bars", at_layer(points))
    with style():
        ticks = bar_figure(at_layer(points), x="model").axes[0].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["a", "b"]


def test_token_sets_are_panels_of_one_figure():
    points = over_seeds(pd.concat([grid(token_set=t) for t in ("prompt", "generated")]))
    with style():
        figures = layer_profiles(points), bar_figure(at_layer(points))
        # Over the profiles once; under each panel of bars as its group.
        for figure, times in zip(figures, (1, 2), strict=True):
            assert len(figure.axes) == 2
            assert texts(figure).count("reviews") == times
            for tokens in ("prompt", "generated"):
                assert tokens in texts(figure)


def test_zoom_ends_at_the_data_and_marks_the_ceiling_at_the_edge():
    points = over_seeds(grid())
    with style(zoom=True):
        for figure in (layer_profiles(points), bar_figure(at_layer(points))):
            (ax,) = figure.axes
            assert points["high"].max() < ax.get_ylim()[1] < points["ceiling"].max()
            assert "$H(Y)$ = 0.693" in texts(figure)
    with style():
        assert layer_profiles(points).axes[0].get_ylim()[1] > points["ceiling"].max()


def test_without_titles_only_what_tells_panels_apart_is_over_them():
    points = over_seeds(grid())
    two = over_seeds(pd.concat([grid(token_set=t) for t in ("prompt", "generated")]))
    with style(titles=False):
        words = texts(layer_profiles(points))
        assert "reviews" not in words
        assert "mine" not in words
        assert "generated" in texts(layer_profiles(two))


def test_a_palette_gives_other_colours_and_the_same_marks():
    points = over_seeds(grid())
    drawn = {}
    for name in ("", "Set2", "grey"):
        with style(palette=name):
            drawn[name] = line_of(layer_profiles(points).axes[0], "$I(Y;Z)$")
    assert len({line.get_color() for line in drawn.values()}) == 3
    assert len({line.get_marker() for line in drawn.values()}) == 1
    with pytest.raises(InputError, match="palette must be grey, or a name that seaborn"):
        style(palette="mauve-ish").__enter__()


def test_a_slide_is_4_6_inches_of_450_dots(tmp_path):
    points = over_seeds(grid())
    with style("acl", "slide"):
        (png, _) = save(layer_profiles(points), points, "s", tmp_path, ("png",))
    # Width in pixels: the eight bytes after the header's name.
    assert int.from_bytes(png.read_bytes()[16:20]) == 2070


def test_a_leak_is_on_the_figure():
    with style():
        words = texts(layer_profiles(over_seeds(grid(gold_leak=True))))
    assert "gold answer in Z" in words.replace("\n", " ")


def test_names_with_mathematics_in_them_are_names():
    points = over_seeds(grid(model="cost$^_foo$x", task="a$b_c$", estimator="e$^"))
    with style():
        for figure in (layer_profiles(points), bar_figure(at_layer(points), x="task")):
            figure.savefig(io.BytesIO(), format="pdf")
            assert "$^_foo$" in texts(figure)


def many():
    """As many layers and views as one model has."""
    views = ("full", "mean", "last", "first", "max", "head")
    return grid(layers=range(31), n_layers=30, views=views)


CASES = {
    "many": many,
    "few": grid,
    "flagged": lambda: grid(seeds=(0, 1), status="not_converged"),
    "long": lambda: pd.concat(
        [
            grid(model=m, task=t, views=("full", "mean", "last"))
            for m in ("lab/A-rather-long-model-name-7B-instruct-v0.3", "lab/other")
            for t in ("a_long_task_name_indeed", "another_task", "sst2", "b", "c")
        ]
    ),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("venue", [("acl", "column"), ("icml", "page")])
def test_no_text_covers_another_and_none_leaves_the_page(case, venue):
    points = over_seeds(CASES[case]())
    final = at_layer(points)
    with style(*venue):
        one = points[points["model_label"] == points["model_label"].iloc[0]]
        one = one[one["task_label"] == one["task_label"].iloc[0]]
        drawn = [layer_profiles(one), bar_figure(final, x="model")]
        for figure in drawn:
            assert list(overlaps(figure)) == []
            assert figure.get_figwidth() == WIDTHS[venue[0]][venue[1]]
            legends = [leg.get_window_extent().y1 for leg in figure.legends]
            for ax in figure.axes:
                assert ax.get_tightbbox().y0 >= max(legends) - 1


def test_views_differ_without_colour():
    looks = list(VIEW_STYLES.values())
    for name in ("colour", "marker", "line", "hatch"):
        assert len({getattr(look, name) for look in looks}) == len(looks)


def test_several_panels_on_one_axes_are_refused():
    points = over_seeds(pd.concat([grid(model="a"), grid(model="b")]))
    with pytest.raises(InputError, match="use layer_profiles for several"):
        layer_profile(points)
    with pytest.raises(InputError, match="one row a task, model and view"):
        grouped_bars(pd.concat([at_layer(points)] * 2), x="task")


def test_what_no_summary_made_is_refused():
    with pytest.raises(InputError, match=r"over_seeds first"):
        layer_profiles(grid())
    with pytest.raises(InputError, match="nothing to draw"):
        layer_profiles(over_seeds(grid()).iloc[:0])
    nowhere = over_seeds(table(row(0.3, layer=math.nan, site="elsewhere")))
    with pytest.raises(InputError, match="there is none"):
        layer_profiles(nowhere)
    with pytest.raises(InputError, match="holds only elsewhere"):
        layer_profile(nowhere)


def test_unknown_venues_and_widths_are_refused_and_settings_return():
    before = mpl.rcParams["pdf.fonttype"], mpl.rcParams["font.size"]
    with pytest.raises(InputError, match="style must be one of acl, icml"):
        style("cvpr").__enter__()
    with pytest.raises(InputError, match="size must be one of column, page"):
        style("acl", "wide").__enter__()
    with style():
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert (mpl.rcParams["pdf.fonttype"], mpl.rcParams["font.size"]) == before


def test_saved_twice_is_the_same_three_files(tmp_path):
    points = over_seeds(grid(layers=range(13), n_layers=12))
    contents = []
    for folder in ("one", "two"):
        with style():
            paths = save(layer_profiles(points), points, "a b/c", tmp_path / folder)
        contents.append([path.read_bytes() for path in paths])
        names = sorted(path.name for path in (tmp_path / folder).iterdir())
        assert names == ["a-b-c.csv", "a-b-c.pdf", "a-b-c.png"]
    assert contents[0] == contents[1]


def test_fonts_are_type_42_and_the_csv_holds_what_is_drawn(tmp_path):
    points = over_seeds(grid())
    with style(), mpl.rc_context({"pdf.compression": 0}):
        pdf, png, csv = save(layer_profiles(points), points, "f", tmp_path)
    content = pdf.read_bytes()
    assert b"/Type3" not in content
    assert b"/FontFile2" in content
    assert b"CreationDate" not in content
    assert png.read_bytes().startswith(b"\x89PNG")
    back = pd.read_csv(csv)
    for column in ("x", "value", "low", "high", "ceiling", "null_high"):
        np.testing.assert_array_equal(back[column], points[column])


def test_saving_outside_the_style_or_into_a_file_is_refused(tmp_path):
    points = over_seeds(grid())
    with style():
        figure = layer_profiles(points)
    with pytest.raises(InputError, match="must run inside the `with style"):
        save(figure, points, "f", tmp_path)
    (tmp_path / "file").write_text("")
    with style(), pytest.raises(InputError, match="out must be a folder"):
        save(figure, points, "f", tmp_path / "file")


def test_a_failed_save_leaves_the_old_file_and_no_debris(tmp_path, monkeypatch):
    points = over_seeds(grid())
    (tmp_path / "f.pdf").write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with style(), pytest.raises(InputError, match="No space left"):
        save(layer_profiles(points), points, "f", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["f.pdf"]
    assert (tmp_path / "f.pdf").read_text() == "old"


def is_limit(line, mark):
    return line.get_marker() == mark and line.get_markersize() == 2.4


@pytest.mark.parametrize("kind", ["profile", "bars"])
def test_limits_are_diamonds_or_arrows_where_they_say_more_than_the_bound(kind):
    given = grid(layers=(2, 3, 6), views=("full", "mean", "last"))
    below = given["view"] != "full"
    given.loc[below, ["extrapolated_claim", "extrapolated_high"]] = ["at_least", None]
    # An arrow within the bound's own interval would say nothing: +- 0.0196.
    given.loc[given["view"] == "mean", "extrapolated_low"] += 0.01
    points = over_seeds(given)
    with style():
        if kind == "profile":
            figure = layer_profiles(points)
        else:
            points = at_layer(points)
            figure = bar_figure(points, x="task")
        (ax,) = figure.axes
    for mark, view, column in (
        ("D", "full", "extrapolated"),
        ("^", "mean", "extrapolated_low"),
    ):
        lines = [line for line in ax.get_lines() if is_limit(line, mark)]
        drawn = [v for line in lines for v in line.get_ydata()]
        wanted = points.loc[points["view"] == view, column]
        assert sorted(np.round(drawn, 9)) == sorted(np.round(wanted, 9))
    words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert "value at $n \\to \\infty$" in words
    assert "at least, at $n \\to \\infty$" in words
    nowhere = grid(extrapolated_claim="at_least", extrapolated_low=0.0)
    with style():
        words = texts(layer_profiles(over_seeds(nowhere)))
    assert not any("infty" in word for word in words)


def test_marks_beside_the_outer_layers_are_not_cut():
    views = ("full", "mean", "last", "first", "max")
    with style():
        ax = layer_profiles(over_seeds(grid(views=views))).axes[0]
    low, high = ax.get_xlim()
    marks = [
        x
        for line in ax.lines
        if line.get_marker() not in ("", "None") and len(line.get_xdata())
        for x in map(float, line.get_xdata())
    ]
    room = 0.01 * (high - low)
    assert low + room <= min(marks)
    assert max(marks) <= high - room
