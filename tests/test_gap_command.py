"""The command: tables of gaps and ladders, resumption, and one clear line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from tiny import save_tiny

from mi_probe.analysis import dpi_gap
from mi_probe.analysis.ladders import RUNGS
from mi_probe.backbones import load_backbone
from mi_probe.capture import load_activations
from mi_probe.capture.stored_states import StoredStates
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS
from mi_probe.gap import main
from mi_probe.hidden import HiddenStates
from mi_probe.predgen.label_probabilities import answer_log_probabilities
from mi_probe.predgen.settings import preset
from mi_probe.predgen.training import train
from mi_probe.results import Results
from mi_probe.rows import SCHEMA_VERSION
from mi_probe.tasks import read_table

# Closed forms alone: quick, and no rung less than another.
CLOSED = replace(RUNGS["linear on views"], name="closed")
LADDER = {name: RUNGS[name] for name in ("linear on views", "quadratic on views")}
ASKED = {
    *("subject", "objective", "step", "task", "site", "layer", "token_set", "pooling"),
    *("full_nats", "pooled_nats", "gap_nats", "ci_low", "ci_high", "n", "seed", "H_Y_nats"),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setitem(ESTIMATORS, "closed", CLOSED)
    monkeypatch.setattr("mi_probe.analysis.gap_pieces.RUNGS", LADDER)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "llama", "llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    rng = np.random.default_rng(0)
    words = ["good", "bad", "film", "plot", "really", "funny"]
    texts = [" ".join(rng.choice(words, size=6)) for _ in range(120)]
    labels = ["first" if "good" in text[:12] else "not" for text in texts]
    # No two alike: scores of a few values have an H(Y), and are read as classes too.
    scores = [round(len(text) / 40 + 0.01 * rng.normal(), 6) for text in texts]
    table = pd.DataFrame({"text": texts, "label": labels, "score": scores})
    table.to_csv(path, index=False)
    return str(path)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(model, data, out, *arguments):
    base = [model, "--data", data, "--out", out, "--estimator", "closed", "--draws", 19]
    return main([str(argument) for argument in [*base, *arguments]])


def test_a_model_and_a_file_give_the_gap_of_each_pooling(model, data, out, capsys):
    assert run(model, data, out) == 0
    table = pd.read_csv(out / "gaps.csv")
    assert set(table.columns) >= ASKED | {"p_value", "reading", "verdict"}
    assert table.pooling.tolist() == ["mean", "last"]
    assert set(table.site) == {"final_norm"}
    assert set(table.subject) == {model}
    assert table.n.tolist() == [120, 120]
    (store,) = (out / "activations").iterdir()
    z = load_activations(store).hidden("final_norm")
    y = (pd.read_csv(data).label == "not").astype(int).to_numpy()
    gaps = dpi_gap(z, y, pooling=["mean", "last"], estimator=CLOSED, n_draws=19)
    assert table.gap_nats.tolist() == pytest.approx([gap.nats for gap in gaps])
    assert table.full_nats.tolist() == pytest.approx([gap.full.nats for gap in gaps])
    assert table.ci_high.tolist() == pytest.approx([gap.ci[1] for gap in gaps])
    assert table.p_value.tolist() == pytest.approx([gap.p_value for gap in gaps])
    assert table.H_Y_nats.tolist() == pytest.approx([gap.full.entropy_y for gap in gaps])
    assert table.verdict.tolist() == [gap.verdict for gap in gaps]
    printed = capsys.readouterr().out
    assert "n = 120; Y: column 'label' of mine.csv; H(Y) = " in printed
    assert gaps["last"].verdict in printed
    assert str(out / "gaps.csv") in printed
    assert not (out / "noise.csv").exists()
    (record,) = json.loads((out / "provenance.json").read_text())["runs"]
    assert record["command"] == "python -m mi_probe.gap"
    assert record["config_sha"] == table.config_sha[0]
    assert record["models"][0]["fingerprint"]["model"]


def test_a_gap_of_states_on_the_disk_is_that_of_memory(model, data, out, monkeypatch):
    read, real = [], type(CLOSED).estimate

    def estimate(self, x, y, **told):
        read.append(x)
        return real(self, x, y, **told)

    monkeypatch.setattr(type(CLOSED), "estimate", estimate)
    for name, size in (("one", "4GB"), ("two", "10kB")):
        assert run(model, data, out / name, "--memory", size) == 0
    kinds = [isinstance(x, StoredStates) for x in read if isinstance(x, HiddenStates)]
    assert kinds == [False, True]
    one, two = (pd.read_csv(out / name / "gaps.csv") for name in ("one", "two"))
    for column in ("gap_nats", "full_nats", "pooled_nats", "p_value"):
        assert two[column].tolist() == pytest.approx(one[column].tolist(), abs=1e-4)
    assert run(model, data, out / "three", "--memory", "much") == 2


def test_something_else_than_poolings_is_given(model, data, out, capsys):
    names = ["score", "words", "length", "site:embed", f"checkpoint:{model}"]
    given = ["--given", ",".join(names), "--sites", "1,final_norm"]
    assert run(model, data, out, *given) == 0
    table = pd.read_csv(out / "gaps.csv")
    assert table.pooling.tolist() == names * 2
    assert table.given.tolist() == names * 2
    assert table.site.tolist() == ["block.0"] * 5 + ["final_norm"] * 5
    # The mean of the last site, given itself and all tokens beside it, has little to add.
    same = table[(table.site == "final_norm") & (table.pooling == names[-1])]
    assert same.ci_low.item() <= 0 <= same.ci_high.item()
    assert same.full_nats.item() >= same.pooled_nats.item() - 0.05
    # Ten tests together: a p-value of 19 draws is never small enough.
    assert table.p_holm.min() == pytest.approx(10 * table.p_value.min())
    assert not table.verdict.str.startswith("A gap").any()
    assert "I(Y;Z|words)" in capsys.readouterr().out
    # Each C is a piece of its own: nothing is measured twice.
    assert run(model, data, out, "--given", "words", "--sites", "1") == 0
    assert "1 of 1 were finished before." in capsys.readouterr().out


def test_the_model_s_own_answers_are_given(tmp_path, data, out, capsys, monkeypatch):
    from mi_probe.analysis import conditional, gap_pieces

    model = str(save_tiny(tmp_path / "llama", "llama", head="CausalLM"))
    given = []

    def noted(z, y, c, **settings):
        given.append(c)
        return conditional(z, y, c, **settings)

    monkeypatch.setattr(gap_pieces, "conditional", noted)
    assert run(model, data, out, "--given", "answer", "--sites", "1") == 0
    (row,) = pd.read_csv(out / "gaps.csv").to_dict("records")
    assert (row["pooling"], row["given"], row["n"]) == ("answer", "answer", 120)
    assert "I(Y;Z|answer)" in capsys.readouterr().out
    task = read_table(data, label_column="label")
    said = answer_log_probabilities(load_backbone(model, lm_head=True), task)
    assert given[0] == pytest.approx(said, abs=1e-5)
    (piece,) = (out / "gaps").iterdir()
    assert json.loads(piece.read_text())["key"]["given"][1]["texts"] == [
        [" first"],
        [" not"],
    ]
    assert run(model, data, out, "--given", "answer", "--sites", "1") == 0
    assert "1 of 1 were finished before." in capsys.readouterr().out
    assert len(given) == 1


def test_a_learned_pooling_is_one_of_those_asked_for(model, data, out, capsys):
    assert run(model, data, out, "--pooling", "attention,last") == 0
    table = pd.read_csv(out / "gaps.csv")
    assert table.pooling.tolist() == ["attention", "last"]
    assert table.given.tolist() == ["Z_attention", "Z_last"]
    assert table.n.tolist() == [120, 120]
    assert table.learned_on.tolist() == [40, 0]
    assert "Z_attention was learned from 40 other rows" in capsys.readouterr().out
    # Corrected together, though of different rows.
    assert table.p_holm.min() == pytest.approx(2 * table.p_value.min())


def test_ladders_have_their_tables(model, data, out, capsys):
    options = ["--noise-ladder", "--sigmas", "0.5", "--capacity-ladder"]
    assert run(model, data, out, *options, "--pooling", "mean", "--sites", "1") == 0
    noise = pd.read_csv(out / "noise.csv")
    assert noise.sigma.tolist() == [0.0, 0.5]
    bounds = {"full_low", "full_high", "pooled_low", "pooled_high"}
    assert set(noise.columns) >= ASKED | bounds
    assert noise.reading[1] == "noise-smoothed Shannon information"
    assert noise.full_nats[0] == pd.read_csv(out / "gaps.csv").full_nats[0]
    rungs = pd.read_csv(out / "capacity.csv")
    assert set(rungs.columns) >= ASKED | bounds | {"rung", "capacity", "chosen"}
    for name in ("full", "pooled"):
        assert (rungs[f"{name}_low"] < rungs[f"{name}_nats"]).all()
        assert (rungs[f"{name}_high"] > rungs[f"{name}_nats"]).all()
    assert rungs.rung.tolist() == list(LADDER)
    assert rungs.capacity.tolist() == [0, 1]
    assert rungs.chosen.sum() == 1
    assert rungs.added_nats[1] == pytest.approx(rungs.full_nats[1] - rungs.full_nats[0])
    shares = pd.read_csv(data).label.value_counts(normalize=True)
    assert rungs.H_Y_nats[0] == pytest.approx(-(shares * np.log(shares)).sum())
    printed = capsys.readouterr().out
    assert rungs.verdict[0] in printed
    assert "quadratic on views" in printed


def test_what_is_finished_is_not_measured_again(model, data, out, capsys, monkeypatch):
    assert run(model, data, out, "--noise-ladder", "--sigmas", "0.5") == 0
    before = (out / "gaps.csv").read_bytes()
    monkeypatch.setattr("mi_probe.parts.extract", lambda *_, **__: 1 / 0)
    capsys.readouterr()
    assert run(model, data, out) == 0
    assert "1 of 1 were finished before." in capsys.readouterr().out
    assert (out / "gaps.csv").read_bytes() == before
    with pytest.raises(ZeroDivisionError):
        run(model, data, out, "--seeds", "1")


def test_an_interrupted_run_keeps_what_is_finished(model, data, out, monkeypatch):
    from mi_probe.analysis import gap_pieces

    asked, real = [], dpi_gap

    def stopping(*arguments, **settings):
        asked.append(settings["sigma"])
        if settings["sigma"] == 0.5 and asked.count(0.5) == 1:
            raise KeyboardInterrupt
        return real(*arguments, **settings)

    monkeypatch.setattr(gap_pieces, "dpi_gap", stopping)
    options = ["--noise-ladder", "--sigmas", "0.5,1"]
    assert run(model, data, out, *options) == 130
    assert len(pd.read_csv(out / "gaps.csv")) == 2
    assert not (out / "noise.csv").exists()
    assert run(model, data, out, *options) == 0
    assert asked == [0.0, 0.5, 0.5, 1.0]
    assert pd.read_csv(out / "noise.csv").sigma.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]


def test_scores_have_gaps_too(model, data, out):
    options = ["--label-column", "score", "--estimator", "auto", "--draws", "9"]
    assert run(model, data, out, *options, "--pooling", "mean") == 0
    (row,) = pd.read_csv(out / "gaps.csv").to_dict("records")
    assert np.isnan(row["H_Y_nats"])
    assert row["full_nats"] > 0.1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pooling", "mean,head"], "pooling must be of mean, .* got 'head'"),
        (["--estimator", "logistic"], "estimator must read all tokens.* got 'logistic'"),
        (["--sigmas", "0,1"], "sigmas must be above 0.* got '0,1'"),
        (["--sigmas", "low"], "sigmas must be float values"),
        (["--draws", "-1"], "draws must be at least 0; got -1"),
        (["--seeds", "-1"], "seeds must lie in 0 .*; got -1"),
        (["--sites", "block.9"], "got block.9"),
        (
            ["--capacity-ladder", "--label-column", "score", "--estimator", "mine"],
            "capacity-ladder takes classes",
        ),
        (["--given", "answer"], "given 'answer' needs a model .* no head"),
        (
            ["--given", "answer", "--label-column", "score", "--estimator", "auto"],
            "its labels are scores",
        ),
        (["--given", "label"], "given must not be the label-column, Y itself"),
        (["--given", "colour"], "given must be a column of mine.csv.* got 'colour'"),
        (["--given", "site:block.9"], "got block.9"),
        (["--given", "words", "--noise-ladder"], "are of poolings; got them with given"),
        (["--task", "sst2"], "one of task and data must be given; got both"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(model, data, out, capsys, options, said):
    assert run(model, data, out, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mi_probe.gap: error: ")
    with pytest.raises(InputError, match=said):
        raise InputError(line)
    assert not out.exists()


def test_no_checkpoint_is_a_mistake(capsys):
    assert main(["--task", "sst2"]) == 2
    assert "python -m mi_probe.gap smollm2-135m --task" in capsys.readouterr().err


def test_a_damaged_piece_is_named_and_made_again(model, data, out, capsys):
    assert run(model, data, out) == 0
    (piece,) = (out / "gaps").iterdir()
    whole = json.loads(piece.read_text())["rows"][0]
    for spoilt in (
        piece.read_text()[:-40],
        piece.read_text().replace('"seed": 0', '"seed": 1'),
        "[" * 10**5,
    ):
        piece.write_text(spoilt)
        capsys.readouterr()
        assert run(model, data, out) == 0
        said = f"{piece} must be a gap as it was written; it is damaged"
        assert said in capsys.readouterr().err
        again = json.loads(piece.read_text())["rows"][0]
        assert again == whole | {"created": again["created"]}
    piece.write_text(json.dumps({"schema_version": 0, "kind": "gap", "rows": []}))
    with pytest.raises(InputError, match=f"must be {SCHEMA_VERSION}.* has 0"):
        Results(out)


def test_a_trained_system_needs_no_word_about_its_task(tmp_path, out, capsys):
    base = save_tiny(tmp_path / "llama", "llama", head="CausalLM")
    rows = [
        {"text": f"the {('bad', 'good')[i % 2]} film {i}:", "label": ("no", "yes")[i % 2]}
        for i in range(400)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "reviews.csv", index=False)
    settings = preset(
        "default",
        objective="predgen",
        backbone=str(base),
        data=str(tmp_path / "reviews.csv"),
        steps=1,
        validation_rows=4,
        device="cpu",
    )
    train(settings, tmp_path / "trained")
    given = ["--estimator", "closed", "--draws", "0", "--pooling", "mean", "--no-series"]
    assert main([str(tmp_path / "trained"), *given, "--out", str(out)]) == 0
    table = pd.read_csv(out / "gaps.csv")
    assert table.token_set.tolist() == ["prompt", "generated", "all"]
    assert set(table.objective) == {"predgen"}
    assert set(table.step) == {1}
    assert set(table.n) == {40}
    assert set(table.split) == {"test"}
    assert table.p_value.isna().all()
    # Each token set has states of its own, and a piece of its own.
    assert table.piece_id.nunique() == 3
    assert table.full_nats.nunique() > 1
    assert "its own answers: accuracy" in capsys.readouterr().out


def test_estimates_may_share_the_folder(model, data, out):
    assert run(model, data, out) == 0
    assert not len(Results(out).table())
    assert not list(out.rglob("*.tmp"))


def test_a_dry_run_says_from_how_many_rows_a_gap_is_seen(
    model, data, out, capsys, monkeypatch
):
    monkeypatch.setattr("mi_probe.estimate_forecast._MOST_GAP", 100)
    before = sorted(out.parent.rglob("*"))
    assert run(model, data, out, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "full/final_norm: 120 x " in printed
    assert "gaps and ladders: 1, of which 0 are finished" in printed
    assert "columns: a gap of 0.0" in printed
    assert "; here 120\n" in printed
    assert "nothing was written" in printed
    assert sorted(out.parent.rglob("*")) == before
