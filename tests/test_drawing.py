"""Five lines: a table in memory and a live model, measured and drawn."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import mi_probe
from mi_probe.backbones import as_backbone
from mi_probe.drawing import Figures
from mi_probe.drawing import _folders as measurable
from mi_probe.errors import InputError
from mi_probe.synthetic import order
from tests.tiny import tiny_model, tiny_tokenizer


@pytest.fixture(scope="module")
def table():
    texts = [f"the cat sat {i} {'good' if i % 2 else 'bad'}" for i in range(60)]
    frame = pd.DataFrame({"text": texts, "label": ["neg", "pos"] * 30})
    live = (tiny_model("llama"), tiny_tokenizer())
    asked = {"sites": [0, 1, 2], "views": ("mean", "last"), "estimators": ("linear",)}
    return mi_probe.profile(live, frame, controls=("words",), progress=False, **asked)


def test_a_frame_and_a_live_model_are_measured_and_drawn(table, tmp_path):
    assert set(table["site"]) == {"embed", "block.0", "block.1", "text"}
    drawn = mi_probe.plot(table, tmp_path, kinds=["profile"], unit="bits")
    assert [*drawn] == ["profile-LlamaModel-table"]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"profile-LlamaModel-table.{e}" for e in ("pdf", "png", "csv", "txt")}
    points = pd.read_csv(tmp_path / "profile-LlamaModel-table.csv")
    states = points[points["control"].isna()]
    assert states["band_low"].notna().all()  # the terms were kept in memory
    assert set(points["unit"]) == {"bits"}


def test_a_gap_is_drawn(tmp_path):
    known = order(200, t=4, d=3, vary=False, seed=0)
    gap = mi_probe.dpi_gap(known.x, known.y, n_draws=0)
    assert [*mi_probe.plot(gap)] == ["gaps"]


def test_what_cannot_be_drawn_is_said(table):
    with pytest.raises(InputError, match="must be a table .* got tuple"):
        mi_probe.plot(())
    with pytest.raises(InputError, match="allows none of gaps"):
        mi_probe.plot(table, kinds="gaps")
    with pytest.raises(InputError, match="size must be one of column"):
        mi_probe.plot(table, size="A0")


def test_a_model_without_its_tokenizer_is_said():
    with pytest.raises(InputError, match="Give its tokenizer with it"):
        as_backbone(tiny_model("llama"))


@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_mutual_information_takes_what_people_have(kind):
    rng = np.random.default_rng(0)
    y = np.repeat(["no", "yes"], 100)
    x = rng.normal(size=(200, 3)) + 2 * (y == "yes")[:, None]
    x = pd.DataFrame(x) if kind is pd.Series else kind(x)
    found = mi_probe.mutual_information(x, kind(y), estimator="lda")
    assert 0.5 < found.nats < found.entropy_y
    groups = kind(np.repeat(np.arange(50), 4))
    clustered = mi_probe.mutual_information(x, kind(y), groups=groups, estimator="lda")
    assert clustered.group is not None


def test_what_y_is_may_be_said():
    rng = np.random.default_rng(0)
    y = np.repeat([0.0, 1.0], 100)
    x = rng.normal(size=(200, 2)) + y[:, None]
    classes = mi_probe.mutual_information(x, y, discrete=True, estimator="linear")
    assert classes.entropy_y == pytest.approx(np.log(2))
    whole = np.arange(200)
    scores = mi_probe.mutual_information(
        x, whole, discrete=False, estimator="linear", n_permutations=2
    )
    assert scores.entropy_y is None
    assert len(scores.null) == 2
    with pytest.raises(InputError, match="y must be finite"):
        mi_probe.mutual_information(x, [np.nan, *y[1:]], discrete=True)
    with pytest.raises(InputError, match="rows of one length"):
        mi_probe.mutual_information([[1.0], [1.0, 2.0]] * 10, [0, 1] * 10)
    with pytest.raises(InputError, match="text; got False"):
        mi_probe.mutual_information(x, ["a", "b"] * 100, discrete=False)
    with pytest.raises(InputError, match="Did you mean 'linear'"):
        mi_probe.mutual_information(x, y, estimator="lineer")


def test_what_no_figure_can_be_drawn_of_is_said():
    found = mi_probe.mutual_information(
        np.arange(40.0)[:, None], [0, 1] * 20, estimator="lda"
    )
    for measured, said in (
        (found, "got Estimate"),
        ([found], "got several of Estimate"),
        (pd.DataFrame({"a": [1]}), "a table without site, value_nats, view"),
    ):
        with pytest.raises(InputError, match=f"measured must be a table.*{said}"):
            measurable(measured)


def test_figures_show_themselves_in_a_notebook(monkeypatch):
    pytest.importorskip("IPython", reason="the extra `notebooks` is not installed")
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figure = Figure(figsize=(3, 2))
    Figures(a=figure, b=figure)._ipython_display_()
    assert len(shown) == 2
    assert shown[0].data.startswith(b"\x89PNG")
    assert shown[0].width == 390


def test_folders_are_what_is_compared():
    with pytest.raises(InputError, match="folders must be results folders; got none"):
        mi_probe.compare_results()


def test_one_of_each_needs_no_list():
    live = (tiny_model("llama"), tiny_tokenizer())
    rows = ([f"{w} film {i}" for i in range(30) for w in ("good", "bad")], [0, 1] * 30)
    estimator = mi_probe.estimators.ESTIMATORS["lda"]
    one = {"sites": 1, "views": "mean", "seeds": 0, "controls": "none"}
    table = mi_probe.profile(live, rows, estimators=estimator, progress=False, **one)
    assert table[["site", "view", "estimator", "seed"]].values.tolist() == [
        ["block.0", "mean", "lda", 0]
    ]
    with pytest.raises(InputError, match="got states alone, which mi_probe.mutual_inf"):
        mi_probe.profile(np.zeros((60, 3)), rows)
