import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from result_rows import (
    gap_rows,
    generated_rows,
    grid,
    ladder_rows,
    position_rows,
    token_rows,
    type_rows,
    word_rows,
)

from mi_probe.analysis.labels import with_runs
from mi_probe.analysis.summaries import at_layer, over_seeds
from mi_probe.analysis.units import in_unit
from mi_probe.errors import InputError
from mi_probe.plots import (
    bar_figure,
    gap_figure,
    ladder_figure,
    layer_profiles,
    position_figure,
    position_map_figure,
    save,
    style,
    token_strips,
    type_figure,
    word_cells,
    word_dot_figure,
    word_figure,
    written_figure,
)
from mi_probe.plots.saving import rendered


def estimates():
    return with_runs(at_layer(over_seeds(grid(objective="predgen"))))


def layers():
    return in_unit(pd.concat([position_rows().assign(layer=i) for i in (0, 6)]))


FIGURES = {
    "bars": (lambda: at_layer(over_seeds(grid())), bar_figure),
    "systems": (estimates, bar_figure),
    "profile": (lambda: over_seeds(grid()), layer_profiles),
    "gaps": (lambda: in_unit(gap_rows()), gap_figure),
    "capacity": (
        lambda: in_unit(ladder_rows("capacity")),
        lambda t: ladder_figure(t, axis="capacity"),
    ),
    "strip": (lambda: in_unit(token_rows()), token_strips),
    "positions": (layers, lambda t: position_figure(t.query("layer == 0"), title="t")),
    "map": (layers, lambda t: position_map_figure(t, title="t")),
    "types": (
        lambda: in_unit(type_rows()),
        lambda t: type_figure(t, title="t", total=4),
    ),
    "generated": (
        lambda: in_unit(generated_rows()),
        lambda t: written_figure(t, title="t"),
    ),
    "word dots": (
        lambda: in_unit(word_rows()),
        lambda t: word_dot_figure(t, title="t", total=4),
    ),
    "words": (
        lambda: word_cells(in_unit(word_rows())),
        lambda t: word_figure(t, title="t", total=4),
    ),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_every_figure_is_the_same_bytes_again_with_fonts_of_type_42(kind):
    table, draw = FIGURES[kind]
    contents = []
    # Pixels take the longest, and are drawn alike of every kind.
    endings = ("pdf", "svg", "png")[: 3 if kind == "bars" else 2]
    for _ in range(2):
        with style(), mpl.rc_context({"pdf.compression": 0}):
            figure = draw(table())
            contents.append([rendered(figure, ending) for ending in endings])
    assert contents[0] == contents[1]
    pdf, svg = contents[0][:2]
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert b"/Subtype /Image" not in pdf
    for stamp in (b"CreationDate", b"<dc:date>"):
        assert stamp not in pdf + svg


@pytest.mark.parametrize("kind", sorted(FIGURES.keys() - {"strip", "map", "words"}))
def test_axes_fill_two_thirds_of_the_height(kind):
    table, draw = FIGURES[kind]
    with style():
        figure = draw(table())
        figure.draw_without_rendering()
    places = [ax.get_position() for ax in figure.axes]
    inside = [sum(p.y0 <= y <= p.y1 for p in places) > 0 for y in np.linspace(0, 1, 401)]
    assert np.mean(inside) >= 0.65


def test_formats_choose_the_files_and_unknown_ones_are_refused(tmp_path):
    points = in_unit(gap_rows())
    with style():
        figure = gap_figure(points)
        paths = save(figure, points, "g", tmp_path, formats=("svg",))
        assert [path.name for path in paths] == ["g.svg", "g.csv"]
        told = save(figure, points, "c", tmp_path, formats=("svg",), caption="What it is.")
        assert [path.suffix for path in told] == [".svg", ".csv", ".txt"]
        assert told[2].read_text() == "What it is.\n"
        with pytest.raises(InputError, match="formats must be of pdf, png, svg"):
            save(figure, points, "g", tmp_path, formats=("gif",))
    assert pd.read_csv(paths[1])["gap"].tolist() == points["gap"].tolist()
