import io

import matplotlib as mpl
import matplotlib.font_manager
import numpy as np
import pandas as pd
import pytest
from figure_checks import overlaps, texts
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from result_rows import (
    generated_rows,
    position_rows,
    span_rows,
    token_rows,
    type_rows,
    word_rows,
)

from mi_probe.analysis.units import in_unit
from mi_probe.errors import InputError
from mi_probe.folder_tables import ResultFolders, TokenSet
from mi_probe.gallery_tokens import Options, strips
from mi_probe.gallery_tokens import types as gallery_types
from mi_probe.gallery_tokens import words as gallery_words
from mi_probe.plots import (
    chosen_words,
    glyphs,
    heat_figure,
    heat_map,
    known_places,
    most_frequent,
    position_figure,
    position_map_figure,
    sentence_cells,
    sentence_figure,
    span_figure,
    span_lines,
    style,
    token_strip,
    token_strips,
    type_figure,
    word_cells,
    word_dot_figure,
    word_figure,
    written_figure,
)
from mi_probe.plots.colour_scale import ABSENT, colours, scale
from mi_probe.plots.saving import rendered

LETTER = "\N{CJK UNIFIED IDEOGRAPH-4E2D}"


def boxes(ax):
    """The coloured cells, in the order in which they were drawn."""
    return [p for p in ax.patches if isinstance(p, Rectangle) and p.get_width() > 0]


def test_every_token_stands_on_the_colour_of_its_value():
    tokens = in_unit(token_rows())
    norm = scale(tokens["pointwise"].to_numpy())
    with style():
        figure = token_strips(tokens)
        axes = figure.axes[:2]
    for ax, (_, rows) in zip(axes, tokens.groupby("row_id"), strict=True):
        for box, value in zip(boxes(ax), rows["pointwise"], strict=True):
            wanted = (
                colours()(float(norm(value))) if np.isfinite(value) else to_rgba(ABSENT)
            )
            assert box.get_facecolor() == pytest.approx(wanted)
            assert bool(box.get_hatch()) == bool(np.isnan(value))
        # Below 0: a dashed line too, for grey print.
        assert len(ax.lines) == (rows["pointwise"] < 0).sum()
    assert norm.vmin == -norm.vmax == -tokens["pointwise"].abs().max()


def test_blanks_are_seen_and_no_letter_is_lost():
    with style():
        figure = token_strips(in_unit(token_rows(), "bits"))
        words = texts(figure)
        for ending in ("pdf", "svg", "png"):
            figure.savefig(io.BytesIO(), format=ending)
        maps = in_unit(position_rows().assign(layer=3))
        for drawn in (figure, position_map_figure(maps, title="t")):
            # Vector, the scale too.
            assert b"<image" not in rendered(drawn, "svg")
    for part in ("the", "lucky", "$\\", "↵", "⇥", "U+4E2D", "U+1F44D", "(bits)"):
        assert part in words
    for part in ("label positive, predicted negative", "log p(y) = 1.000 bits"):
        assert part in words
    for part in ("dashed underline: below 0", "special tokens", "hatched: no value"):
        assert part in words.replace("\n", " ")


def test_pieces_of_a_word_touch_and_words_wrap_whole():
    tokens = in_unit(token_rows({"r": [" a", " long", "ish"] + [" word", "piece"] * 12}))
    with style():
        ax = token_strips(tokens).axes[0]
    drawn = boxes(ax)
    lines = [round(box.get_y()) for box in drawn]
    assert max(lines) >= 2
    for i in range(3, len(drawn), 2):
        left, right = drawn[i], drawn[i + 1]
        assert lines[i] == lines[i + 1]
        assert right.get_x() == pytest.approx(left.get_x() + left.get_width())
    width = ax.get_xlim()[1]
    assert all(box.get_x() + box.get_width() <= width + 1e-9 for box in drawn)


def test_a_token_wider_than_the_page_is_made_to_fit():
    with style():
        ax = token_strips(in_unit(token_rows({"r": ["a" * 200, " b"]}))).axes[0]
    assert boxes(ax)[0].get_width() == pytest.approx(ax.get_xlim()[1])


def test_fonts_of_the_machine_are_asked_before_code_points(monkeypatch):
    assert glyphs.shown("é 中") == "é␣U+4E2D"
    with style():
        assert glyphs.families(["é 中"]) == ["STIXGeneral", "DejaVu Sans"]
        # As if the figures' own fonts were one less.
        monkeypatch.setitem(mpl.rcParams, "font.family", ["STIXGeneral"])
        assert glyphs.shown("\N{GRINNING FACE}") == "\N{GRINNING FACE}"
        assert len(glyphs.families(["\N{GRINNING FACE}"])) == 2
        others = glyphs._others(glyphs._known())
        assert not [name for name, _ in others if "Last Resort" in name]


@pytest.fixture
def chinese(tmp_path, monkeypatch):
    """A font with one letter, a box."""
    path = tmp_path / "private.ttf"
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "one"])
    builder.setupCharacterMap({ord(LETTER): "one"})
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    glyph = pen.glyph()
    builder.setupGlyf({".notdef": glyph, "one": glyph})
    builder.setupHorizontalMetrics({".notdef": (800, 0), "one": (800, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    names = {"familyName": "Private", "styleName": "Regular", "psName": "Private"}
    builder.setupNameTable(names)
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    manager = mpl.font_manager.fontManager
    monkeypatch.setattr(manager, "ttflist", list(manager.ttflist))
    return path


def test_a_font_that_is_given_draws_what_no_other_does(chinese):
    tokens = in_unit(token_rows({"r": [" a", f" {LETTER}"]}))
    with style():
        figure = token_strips(tokens, title=f"model {LETTER}")
        rendered(figure, "pdf")
        assert f"U+{ord(LETTER):04X}" in texts(figure)
        # Names that are no tokens too, and their blanks stay blanks.
        assert f"model U+{ord(LETTER):04X}" in texts(figure)
        assert glyphs.lost_letters(figure) == [LETTER]
    with style(fonts=[chinese]), mpl.rc_context({"pdf.compression": 0}):
        figure = token_strips(tokens, title=f"model {LETTER}")
        content = rendered(figure, "pdf")
        assert LETTER in texts(figure).replace(f"model {LETTER}", "")
        assert f"model {LETTER}" in texts(figure)
        assert glyphs.lost_letters(figure) == []
    assert b"Private" in content
    assert b"/Type3" not in content
    text = chinese.with_name("text.ttf")
    text.write_text("no font")
    with pytest.raises(InputError, match="TrueType files"), style(fonts=[text]):
        pass


def test_names_on_an_axis_are_drawn_or_are_code_points():
    ax = Figure().subplots()
    ax.set_xticks([0, 1], [f"a {LETTER}", "é"])
    with style():
        glyphs.legible(ax.figure)
        ax.figure.draw_without_rendering()
        glyphs.legible(ax.figure)
        assert glyphs.lost_letters(ax.figure) == [LETTER]
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == [f"a U+{ord(LETTER):04X}", "é"]


def test_a_heat_map_draws_every_cell_and_hatches_what_is_missing():
    cells = in_unit(word_rows().iloc[:-1])
    cells = cells.rename(columns={"predicted_word": "row", "word": "column"})
    with style():
        figure = heat_figure(cells, title="t", words="information")
        ax = figure.axes[0]
        words = texts(figure)
    drawn = boxes(ax)
    norm = scale(cells["value"].to_numpy())
    wide = cells.pivot(index="row", columns="column", values="value")
    wide = wide.loc[list(dict.fromkeys(cells["row"])), list(dict.fromkeys(cells["column"]))]
    for box, value in zip(drawn, wide.to_numpy().ravel(), strict=True):
        if np.isfinite(value):
            assert box.get_facecolor() == pytest.approx(colours()(float(norm(value))))
        else:
            assert box.get_hatch()
    assert "U+4E2D" in words
    assert "hatched: no value" in words
    assert "0.40" in words
    with pytest.raises(InputError, match="some hold two"):
        heat_map(pd.concat([cells, cells]))


def test_long_sentences_are_broken_into_blocks_that_hold_every_token():
    tokens = in_unit(token_rows({"r": [f" t{i}" for i in range(50)]}))
    cells = sentence_cells(tokens)
    with style():
        figure = sentence_figure(cells, title="r")
        blocks = figure.axes[:-1]
    assert len(blocks) > 1
    assert sum(len(boxes(ax)) for ax in blocks) == 150
    names = [label.get_text() for ax in blocks for label in ax.get_xticklabels()]
    assert names == [f"t{i}" for i in range(50)]


def test_a_sentence_by_layer_has_the_deepest_on_top():
    one = in_unit(token_rows()).query("row_id == 'r-2'")
    layers = pd.concat([one.assign(layer=layer) for layer in (0, 12, 4)])
    cells = sentence_cells(layers, "layer")
    assert list(dict.fromkeys(cells["row"])) == ["layer 12", "layer 4", "layer 0"]
    assert cells["value"].tolist()[:4] == pytest.approx(
        one["pointwise"].tolist(), nan_ok=True
    )


def test_words_are_chosen_by_their_lower_bounds_and_that_is_said():
    points = in_unit(word_rows())
    points["low"] = points["value"] - 0.1
    cells = word_cells(points, most=2, least_n=20)
    assert set(cells["column"]) == {"funny", "dull"}
    with style():
        words = texts(word_figure(cells, title="t", total=4))
    assert "2 of 4 words, of the highest lower bounds: they lean high" in words.replace(
        "\n", " "
    )
    with pytest.raises(InputError, match="none has"):
        word_cells(points, least_n=1000)


def test_positions_draw_value_band_count_and_ceiling():
    points = in_unit(position_rows())
    with style():
        figure = position_figure(points, title="t")
        above, below = figure.axes[:2]
        words = texts(figure)
    start = points[points["anchor"] == "start"]
    (line,) = [line for line in above.lines if line.get_marker() == "o"]
    assert line.get_ydata().tolist() == start["value"].tolist()
    steps = [line.get_ydata().tolist() for line in below.lines]
    assert start["n"].tolist() in steps
    # Counted from the end, 0 is at the right.
    end = figure.axes[2]
    assert end.get_xlim()[0] > end.get_xlim()[1]
    for part in ("$H(Y)$ = 0.693 nats", "95 % interval over examples", "from the end"):
        assert part in words


def test_the_map_of_layers_and_positions_holds_the_values():
    tables = [position_rows().assign(layer=layer) for layer in (0, 6)]
    points = in_unit(pd.concat(tables))
    points.loc[points["layer"] == 6, "value"] += 0.5
    with style():
        figure = position_map_figure(points, title="t")
        words = texts(figure)
        (mesh,) = figure.axes[0].collections
    start = points[points["anchor"] == "start"]
    wide = start.pivot(index="layer", columns="position", values="value")
    np.testing.assert_array_equal(mesh.get_array(), wide.to_numpy())
    assert "n = 50 to 100 a cell" in words
    assert "$H(Y)$ = 0.693 nats" in words


def test_places_that_few_sentences_have_are_left_out_and_that_is_said():
    points = in_unit(position_rows(10))  # 100 sentences, ten fewer a place
    kept = known_places(points)
    assert kept["n"].min() == 20
    assert len(kept) == 2 * 9
    assert len(known_places(points, 1000)) == len(points)
    note = "places in fewer than 20 sentences left out"
    maps = pd.concat([kept.assign(layer=layer) for layer in (0, 6)])
    with style():
        for figure in (
            position_figure(kept, title="t", note=note),
            position_map_figure(maps, title="t", note=note),
        ):
            assert note in texts(figure)


def test_written_tokens_stand_over_what_was_read_with_their_intervals():
    points = in_unit(generated_rows()).assign(
        written=[" yes"] * 4 + ["$"] * 3,
        written_share=0.6,
        read=["", "", ":", "", "", "", ":"],
    )
    with style():
        figure = written_figure(points, title="t")
        above, below = figure.axes[:2]
        words = texts(figure)
    for name, (position, rows) in zip(
        ("1st", "2nd"), points.groupby("generated_position"), strict=True
    ):
        (line,) = [line for line in above.lines if line.get_label() == name]
        # The last token read is at the right.
        assert line.get_ydata().tolist() == rows["value"].tolist()[::-1]
        assert line.get_xdata().tolist() == [3.5 - t for t in rows["input_from_end"]][::-1]
        assert position in (0, 1)
    ends = {
        tuple(np.round(segment[:, 1], 9))
        for collection in above.collections
        for segment in collection.get_segments()
    }
    assert ends == set(zip(points["low"].round(9), points["high"].round(9), strict=True))
    norm = scale(points["value"].to_numpy())
    values = [2.0, 1.6, 1.2, 0.8][::-1], [1.5, 1.1, 0.7][::-1]
    drawn = boxes(below)
    for box, value in zip(drawn, [*values[0], np.nan, *values[1]], strict=True):
        if np.isfinite(value):
            assert box.get_facecolor() == pytest.approx(colours()(float(norm(value))))
        else:
            assert box.get_hatch()
    for part in (
        "1st written: yes, 60 %",
        r"2nd written: \$, 60 %",
        ": 3",
        "n = 270 to 300",
    ):
        assert part in words
    with pytest.raises(InputError, match="one row a written and read token"):
        written_figure(pd.concat([points, points]), title="t")
    with pytest.raises(InputError, match="in_unit first"):
        written_figure(generated_rows(), title="t")


def test_words_have_a_dot_and_an_interval_for_each_quantity():
    points = in_unit(word_rows(), "bits")
    points["low"], points["high"] = points["value"] - 0.2, points["value"] + 0.2
    lines = chosen_words(points, most=2)
    assert lines.groupby("predicted_word")["word"].agg(list).to_dict() == {
        "negative": ["\u4e2d", "dull"],
        "positive": ["funny", "dull"],
    }
    with style():
        figure = word_dot_figure(lines, title="t", total=4)
        words = texts(figure)
    for ax, (_, rows) in zip(figure.axes, lines.groupby("predicted_word"), strict=True):
        marks = [line for line in ax.lines if line.get_marker() in ("o", "D")]
        drawn = {float(x) for line in marks for x in line.get_xdata()}
        assert drawn == set(rows["value"]) | set(rows["increment"])
        for line in marks:
            hollow = line.get_markerfacecolor() == "white"
            for x in line.get_xdata() if line.get_marker() == "o" else ():
                assert hollow == (abs(x) < 0.2)
        ceilings = [line for line in ax.lines if list(line.get_xdata()) == [1.0, 1.0]]
        assert len(ceilings) == 1
    for part in ("predicted: positive", "U+4E2D", "(bits)", "40", "95 % interval over"):
        assert part in words
    assert "hollow: the interval holds 0" in words
    with style():
        assert "label: positive" in texts(
            word_dot_figure(lines, title="t", total=4, rows="label")
        )
    with pytest.raises(InputError, match="lack the columns value"):
        chosen_words(word_rows())


def test_types_are_chosen_by_count_and_the_pooled_come_last():
    points = most_frequent(in_unit(type_rows()), 2)
    assert points["n"].tolist() == [90, 50, 300]
    with style():
        figure = type_figure(points, title="t", total=4)
        words = texts(figure)
    for part in ("U+4E2D", "rarer types together", "the 2 most frequent of 4 types", "90"):
        assert part in words
    drawn = sorted(
        float(x)
        for line in figure.axes[0].lines
        if line.get_marker() in ("o", "s")
        for x in line.get_xdata()
    )
    assert drawn == sorted(points["value"])


@pytest.mark.parametrize("venue", [("acl", "column"), ("icml", "page")])
def test_nothing_overlaps_at_any_width(venue):
    tokens = in_unit(token_rows())
    maps = in_unit(pd.concat([position_rows(40).assign(layer=i) for i in range(13)]))
    title = "predgen/checkpoint-400 on a_long_task_name_indeed, layer 12, n = 2,000"
    with style(*venue):
        for figure in (
            token_strips(tokens, title=title),
            token_strips(tokens, quantity="increment"),
            written_figure(in_unit(generated_rows(3, 12)), title=title),
            word_dot_figure(chosen_words(in_unit(word_rows())), title=title, total=9),
            sentence_figure(sentence_cells(tokens.query("row_id == 'r-1'")), title=title),
            word_figure(word_cells(in_unit(word_rows())), title=title, total=4),
            position_figure(maps.query("layer == 3"), title=title),
            position_map_figure(maps, title=title),
            type_figure(in_unit(type_rows()), title=title, total=4),
        ):
            assert list(overlaps(figure)) == []


def test_what_no_command_wrote_is_refused():
    with pytest.raises(InputError, match="in_unit first"):
        token_strips(token_rows())
    tokens = in_unit(token_rows())
    with pytest.raises(InputError, match="quantity must be one of pointwise"):
        token_strips(tokens, quantity="attention")
    with pytest.raises(InputError, match="of one sentence"):
        token_strip(tokens)
    with pytest.raises(InputError, match="of one sentence"):
        sentence_cells(tokens)
    with pytest.raises(InputError, match="lack the columns anchor|lack the column anchor"):
        position_figure(in_unit(type_rows()), title="t")
    with pytest.raises(InputError, match="lack the columns token;"):
        type_figure(in_unit(word_rows()), title="t", total=1)


def test_ceilings_that_differ_by_position_and_type_are_drawn_as_they_are():
    positions, types = position_rows(), type_rows()
    positions["H_Y_nats"] = 0.69 - 0.01 * positions["position"]
    types["H_Y_nats"] = [0.69, 0.6, 0.5, 0.4, 0.65]
    with style():
        ax = position_figure(in_unit(positions), title="t").axes[0]
        drawn = [list(map(float, line.get_ydata())) for line in ax.lines]
        forest = type_figure(in_unit(types), title="t", total=4).axes[0]
    assert positions.query("anchor == 'start'")["H_Y_nats"].tolist() in drawn
    upright = {
        round(float(segment[0][0]), 9)
        for collection in forest.collections
        for segment in collection.get_segments()
        if segment[0][0] == segment[1][0]
    }
    assert upright == set(types["H_Y_nats"])


def with_random(table):
    """The table with a twin that is 0."""
    return table.assign(random_nats=0.0, random_low=-0.01, random_high=0.01)


def test_random_labels_and_the_control_task_stand_beside_the_values():
    points = in_unit(with_random(position_rows()))
    with style():
        figure = position_figure(points, title="t", memorised=0.25)
        words = texts(figure)
        dots = word_dot_figure(
            chosen_words(in_unit(with_random(word_rows()))), title="t", total=4
        )
        types = type_figure(in_unit(with_random(type_rows())), title="t", total=5)
        tokens = token_rows().assign(random_pointwise_nats=0.001)
        strip = token_strips(in_unit(tokens))
        one = in_unit(tokens).query("row_id == 'r-2'")
        cells = sentence_cells(one)
        sentence = texts(sentence_figure(cells, title="t", note="some left out"))
    drawn = [tuple(np.unique(line.get_ydata())) for line in figure.axes[0].lines]
    assert (0.25,) in drawn
    assert "control task: a random label a word type, mean" in words
    for other in (figure, dots, types):
        assert "random labels: true value 0" in texts(other)
    said = texts(strip).replace("\n", " ")
    assert "with random labels 95 % of such values lie in 0.001 to 0.001" in said
    assert cells[cells.row == "random labels"].value.tolist() == [0.001] * 4
    assert "some left out" in sentence
    assert "became readable" in sentence.replace("\n", " ")


def test_spans_show_what_each_adds_and_what_is_known_by_its_end():
    spans = in_unit(span_rows())
    lines = span_lines(spans)
    assert lines.line.tolist() == ["sentence 1", "sentence 2", "(rest)", "user", "(rest)"]
    assert lines.groupby("kind").value.sum().tolist() == pytest.approx([0.4, 0.4])
    with style():
        figure = span_figure(lines, title="t")
        words = texts(figure)
    marks = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(x for line in marks for x in line.get_xdata()) == [0.0, 0.1, 0.3]
    hollow = [line for line in marks if line.get_markerfacecolor() == "white"]
    ends = lines[lines.kind == lines.kind[0]].query("low <= 0 <= high").value
    assert [x for line in hollow for x in line.get_xdata()] == ends.tolist()
    for part in (
        "sentence 2",
        "became readable in it",
        "known by its end",
        "random labels",
    ):
        assert part in words
    with pytest.raises(InputError, match="lack the columns kind"):
        span_lines(spans.drop(columns="kind"))


def test_the_templates_and_stop_words_are_drawn_where_they_are_asked_for():
    tokens = token_rows({"r": [" review", " the", " dull", " film"]})
    tokens["template"] = [True, False, False, False]
    words = word_rows().assign(template=False)
    own = words[words.word == "dull"].assign(template=True)
    words = pd.concat([words, own, words[words.word == "dull"].assign(word="the")])
    types = type_rows().assign(template=[True, False, False, False, False])
    found = TokenSet("stem", {}, tokens, {"words": words, "types": types})
    folders = ResultFolders.of_tables({})
    folders.__dict__["token_sets"] = (found,)
    with style():
        [(_, _, strip), _] = list(strips(folders, Options()))
        every = list(strips(folders, Options(template=True)))[0]
        (_, figure, _), _ = strips(folders, Options())
        kept = list(gallery_words(folders, Options()))[0][2]
        less = list(gallery_words(folders, Options(stop_words=False)))[0][2]
        more = list(gallery_words(folders, Options(template=True)))[0][2]
        [(_, _, drawn)] = list(gallery_types(folders, Options()))
    assert strip.token.tolist() == [" the", " dull", " film"]
    assert every[2].token.tolist()[0] == " review"
    said = texts(figure).replace("\n", " ")
    assert "the template's words are left out; their increments add" in said
    assert "the" in set(kept.word)
    assert "the" not in set(less.word)
    assert "dull (template)" in set(more.word)
    assert "dull (template)" not in set(kept.word)
    assert " the" not in set(drawn.token)
