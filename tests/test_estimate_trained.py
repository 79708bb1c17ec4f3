"""Trained systems are measured as they are: on rows that their training left alone."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import peft
import pytest
import torch
from fakes import ANYTHING
from tiny import save_tiny, tiny_adapted, tiny_model, tiny_tokenizer

from mi_probe.analysis.comparisons import compare_results
from mi_probe.analysis.measurables import How
from mi_probe.analysis.trained_systems import CHOSE, open_trained
from mi_probe.backbones import load_backbone
from mi_probe.capture import extract
from mi_probe.contents import sealed
from mi_probe.estimate import main
from mi_probe.estimators import ESTIMATORS, Estimate
from mi_probe.figures import main as figures
from mi_probe.hidden import HiddenStates
from mi_probe.predgen.checkpoints import read_config
from mi_probe.predgen.settings import preset
from mi_probe.predgen.training import train
from mi_probe.results import read_pointwise, read_results

SEEN: list = []


@dataclass(frozen=True)
class Fake:
    """Instant; keeps what it was given."""

    name = "fake"
    nature = ANYTHING

    def estimate(self, x, y, *, groups=None, seed=0):
        SEEN.append(x)
        return Estimate(
            nats=0.25,
            stderr=0.05,
            ci=(0.15, 0.35),
            pointwise=np.full(len(y), 0.25),
            entropy_y=0.625,
            status="ok",
            bound="lower bound",
            estimator=self,
            seed=seed,
        )


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    SEEN.clear()
    monkeypatch.setitem(ESTIMATORS, "fake", Fake())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A tiny base, and reviews of which one word tells the verdict."""
    folder = tmp_path_factory.mktemp("trained")
    save_tiny(folder / "llama", "llama", head="CausalLM")
    rows = [
        {"text": f"the {('bad', 'good')[i % 2]} film {i}:", "label": ("no", "yes")[i % 2]}
        for i in range(240)
    ]
    pd.DataFrame(rows).to_csv(folder / "reviews.csv", index=False)
    return folder


def trained(place: Path, objective: str, **more) -> Path:
    out = place / objective
    if not out.exists():
        settings = preset(
            "default",
            objective=objective,
            backbone=str(place / "llama"),
            data=str(place / "reviews.csv"),
            steps=4,
            checkpoint_every=2,
            validation_rows=4,
            learning_rate=1e-2,
            device="cpu",
            **more,
        )
        train(settings, out)
    return out


@pytest.fixture(scope="module")
def predgen(place):
    return trained(place, "predgen")


@pytest.fixture(scope="module")
def predictor(place):
    return trained(place, "predictor", pooling="mean")


@pytest.fixture
def copied(predgen, tmp_path):
    return shutil.copytree(predgen, tmp_path / "copy")


def run(*arguments):
    """The command; without controls, unless the test names them."""
    none = () if "--controls" in arguments else ("--controls", "none")
    more = ("--estimator", "fake", "--no-keep-activations", *none)
    return main([str(a) for a in (*arguments, *more)])


def refused(capsys, *arguments) -> str:
    """Exit code 2 and one line on stderr, which is returned."""
    assert run(*arguments) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if x.strip()]
    assert lines[-1].startswith("mi_probe.estimate: error: ")
    return lines[-1]


def test_a_training_is_measured_with_no_word_about_its_task(predgen, tmp_path, capsys):
    out, given = tmp_path / "out", ("--sites", "final_norm", "--pooling", "full,mean")
    assert run(predgen, *given, "--out", out) == 0
    table = read_results(out)
    config = read_config(predgen)
    # The final model is one of its two checkpoints, and is measured once.
    assert sorted(set(table.checkpoint_step)) == [2, 4]
    assert len(table) == 2 * 3 * 2
    assert set(table.model) == {str(predgen)}
    assert set(table.objective) == {"predgen"}
    assert set(table.token_set) == {"prompt", "generated", "all"}
    assert table.training.notna().all()
    assert table.training.nunique() == 1
    assert set(table.training_seed) == {config["seed"]}
    assert set(table.n) == {24}
    assert set(table.split) == {"test"}
    assert set(table.metric) == {"accuracy"}
    final = table[table.checkpoint_step == config["step"]]
    assert set(final.metric_value) == {config["metrics"]["test"]["accuracy"]}
    failures = config["metrics"]["test"]["parse_failure_rate"]
    assert set(final.parse_failure_rate) == {failures}
    # What was kept of each token set: the prompt, the answer, both.
    lengths = {}
    whole = [x for x in SEEN[:6] if isinstance(x, HiddenStates)]
    for name, x in zip(("prompt", "generated", "all"), whole, strict=True):
        lengths[name] = x.mask.sum(1)
    assert (lengths["generated"] <= config["design"]["answer_tokens"]).all()
    assert torch.equal(lengths["prompt"] + lengths["generated"], lengths["all"])
    printed = capsys.readouterr().out
    assert "its own answers: accuracy" in printed
    assert "generated  final_norm" in printed
    (record,) = json.loads((out / "provenance.json").read_text())["runs"]
    assert record["models"][0]["checkpoint"]["objective"] == "predgen"
    assert record["models"][0]["task"]["sha256"] == config["data_sha256"]["test"]
    texts = [json.loads(p.read_text()) for p in (out / "answers").iterdir()]
    assert len(texts) == 2
    assert texts[0]["ids"] == list(config["reserved_ids"])
    assert len(read_pointwise(out, table.row_id[0])["labels"]) == 24


def test_systems_are_drawn_side_by_side(predgen, predictor, tmp_path, capsys):
    out, drawn = tmp_path / "out", tmp_path / "figures"
    given = ("--sites", "final_norm", "--pooling", "mean,head", "--out", out)
    assert run(predictor, predgen, *given) == 0
    capsys.readouterr()
    only = ("--only", "systems", "--formats", "png", "--out", drawn)
    assert figures([str(a) for a in (out, *only)]) == 0
    printed = capsys.readouterr().out
    assert "Systems on reviews, prompt" in printed
    assert "the data processing inequality does not order" in printed
    assert len(pd.read_csv(drawn / "systems.csv")) == 2 + 2 + 1 + 1
    compared = compare_results(out, between=["system"])
    assert set(compared["over"]) == {"rows; one training of each"}
    assert set(compared["n"]) == {24}
    assert read_results(out).training.nunique() == 2


def test_rows_that_chose_the_checkpoint_are_named_so(predictor):
    for split, notes in (("test", 0), ("validation", 1)):
        found = open_trained(str(predictor), How(), split=split)
        assert found.task.notes.count(CHOSE) == notes


def test_answers_of_the_training_are_not_written_again(predgen, tmp_path, monkeypatch):
    monkeypatch.setattr("mi_probe.predgen.inference.roll_out", lambda *_, **__: 1 / 0)
    chosen = predgen / f"checkpoint-{read_config(predgen)['step']}"
    for folder in (predgen, chosen):
        found = open_trained(str(folder), How(folder=tmp_path / folder.name))
        trained = read_config(predgen)["metrics"]["test"]
        assert {"loss": trained["loss"], **found.scores} == trained
        assert len(list((tmp_path / folder.name / "answers").iterdir())) == 1
    with pytest.raises(ZeroDivisionError):
        open_trained(str(predgen), How(), rows=16)


def test_a_second_call_neither_writes_nor_computes(predgen, tmp_path, capsys, monkeypatch):
    given = (predgen, "--no-series", "--sites", "0", "--pooling", "mean", "--out", tmp_path)
    assert run(*given) == 0
    assert len(read_results(tmp_path)) == 3
    SEEN.clear()
    monkeypatch.setattr("mi_probe.parts.extract", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("mi_probe.predgen.inference.roll_out", lambda *_, **__: 1 / 0)
    assert run(*given) == 0
    assert SEEN == []
    assert "3 of 3 were finished before" in capsys.readouterr().out


def test_answers_that_are_not_what_was_kept_are_written_again(predgen, tmp_path):
    given = (predgen, "--no-series", "--sites", "0", "--pooling", "mean", "--out", tmp_path)
    assert run(*given) == 0
    path = next((tmp_path / "answers").iterdir())
    whole = path.read_text()
    for spoilt in (whole[:-40], whole.replace('"values": [', '"values": [0, ')):
        path.write_text(spoilt)
        assert run(*given) == 0
        assert path.read_text() == whole


def test_a_predictors_head_is_the_vector_that_it_pools(predictor, tmp_path):
    given = ("--no-series", "--sites", "final_norm", "--pooling", "head,last")
    assert run(predictor, *given, "--out", tmp_path) == 0
    table = read_results(tmp_path)
    assert table.view.tolist() == ["head", "last"]
    assert set(table.token_set) == {"prompt"}
    assert table.parse_failure_rate.isna().all()
    config = read_config(predictor)
    assert set(table.metric_value) == {config["metrics"]["test"]["accuracy"]}
    reviews = pd.read_csv(Path(config["task_options"]["data"]))
    texts = [reviews.text[int(i)] for i in config["reserved_ids"]]
    backbone = load_backbone(str(predictor))
    states = extract(backbone, texts, sites="final_norm", progress=False)
    for found, view in zip(SEEN, ("mean", "last"), strict=True):
        torch.testing.assert_close(found, states.pooled("final_norm", view))


def test_a_trained_system_is_asked_by_its_head(predgen, predictor, tmp_path, capsys):
    given = ("--no-series", "--sites", "final_norm", "--pooling", "mean")
    given = (*given, "--controls", "words,answer,random_weights", "--out", tmp_path)
    assert run(predictor, predgen, *given) == 0
    table = read_results(tmp_path)
    answers = table[table.control == "answer"]
    assert answers.view.tolist() == ["as_is", "calibrated"] * 2
    # As it is, the likeliest class of the head is the prediction that is scored.
    own = answers[answers["view"] == "as_is"]
    assert own.accuracy.tolist() == pytest.approx(own.metric_value.tolist())
    twins = table[table.control == "random_weights"].groupby("objective").token_set
    assert twins.agg(set).to_dict() == {
        "predictor": {"prompt"},
        "predgen": {"prompt", "generated", "all"},
    }
    assert len(table[table.control == "words"]) == 2
    assert "answer" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "sst2"], "was trained on, the file reviews.csv; got 'sst2'"),
        (["--split", "train"], "192 of 192 trained"),
        (["--split", "dev"], "must be one of train, validation, test"),
        (["--data", "DATA"], "192 of 240 trained"),
        (["--template", "{text}?"], "template must be left out for trained"),
        (["--data-folder", "."], "trained on a file of its own, reviews.csv"),
        (["--revision", "main"], "revision must go with a model from the hub"),
        (["--token-sets", "gold"], "token-sets must be of prompt, generated, all"),
        (
            ["--token-sets", "generated", "--pooling", "head"],
            "'head' reads the prompt",
        ),
        (["--rows", "25"], "rows must lie in 1 ... 24"),
    ],
)
def test_what_does_not_fit_a_checkpoint(
    arguments, message, predgen, place, tmp_path, capsys
):
    data = str(place / "reviews.csv")
    given = [data if a == "DATA" else a for a in arguments]
    assert message in refused(capsys, predgen, *given, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_predictor_writes_nothing(predictor, tmp_path, capsys):
    line = refused(capsys, predictor, "--token-sets", "generated", "--out", tmp_path)
    assert "token-sets must hold 'prompt' for a predictor" in line


def test_other_rows_of_the_same_kind_are_welcome(predgen, tmp_path, capsys):
    own = tmp_path / "own.csv"
    pd.DataFrame(
        {
            "text": [f"a {('bad', 'good')[i % 2]} play {i}:" for i in range(20)],
            "label": [("no", "yes")[i % 2] for i in range(20)],
        }
    ).to_csv(own, index=False)
    given = (predgen, "--no-series", "--sites", "0", "--pooling", "mean")
    assert run(*given, "--data", own, "--out", tmp_path / "out") == 0
    assert set(read_results(tmp_path / "out").task) == {"own"}
    own.write_text(own.read_text().replace("no\n", "false\n"))
    line = refused(capsys, *given, "--data", own, "--out", tmp_path / "out")
    assert "the labels that" in line
    assert "no, yes; got false, yes" in line


def test_rows_that_changed_since_the_training(copied, tmp_path, capsys):
    path = copied / "predgen_config.json"
    config = json.loads(path.read_text())
    moved = tmp_path / "reviews.csv"
    text = Path(config["task_options"]["data"]).read_text()
    moved.write_text(text.replace("film 7:", "film seven:"))
    config["task_options"]["data"] = str(moved)
    del config["sha256"]
    path.write_bytes(sealed(config))
    line = refused(capsys, copied, "--no-series", "--out", tmp_path / "out")
    assert "must be those of the training" in line


@pytest.mark.parametrize(
    "name", ["predgen_config.json", "head.safetensors", "adapter_model.safetensors"]
)
def test_a_truncated_file_is_one_clear_line(name, copied, tmp_path, capsys):
    path = copied / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    line = refused(capsys, copied, "--no-series", "--out", tmp_path / "out")
    assert name in line
    assert "as it was written" in line or "as they were written" in line
    assert "Copy the checkpoint again" in line


def test_an_adapter_on_another_base(copied, place, tmp_path, capsys):
    other = save_tiny(tmp_path / "other", "llama", head="CausalLM", seed=5)
    path = copied / "adapter_config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "base_model_name_or_path": str(other)}))
    # Sealed again, as by somebody who means it.
    config = json.loads((copied / "predgen_config.json").read_text())
    config["backbone"] = str(other)
    del config["sha256"]
    (copied / "predgen_config.json").write_bytes(sealed(config))
    line = refused(capsys, copied, "--no-series", "--out", tmp_path / "out")
    assert "base of the adapter must be the one that it was trained on" in line


def test_somebody_elses_adapter_needs_a_task(place, tmp_path, capsys):
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=2, init_lora_weights=False)
    base = tiny_model("llama", head="CausalLM")
    adapted = tiny_adapted(base, config)
    adapted.peft_config["default"].base_model_name_or_path = str(place / "llama")
    folder = tmp_path / "theirs"
    adapted.save_pretrained(str(folder))
    tiny_tokenizer().save_pretrained(folder)
    line = refused(capsys, folder, "--out", tmp_path / "out")
    assert "Only a checkpoint that `python -m mi_probe.train` wrote knows" in line
    assert "theirs' is none" in line
    given = ("--data", place / "reviews.csv", "--rows", "12", "--sites", "0")
    given = (*given, "--pooling", "mean", "--token-sets", "prompt,generated")
    assert run(folder, *given, "--out", tmp_path / "out") == 0
    table = read_results(tmp_path / "out")
    assert table.token_set.tolist() == ["prompt", "generated"]
    assert set(table.objective) == {""}
    assert set(table.metric) == {"accuracy"}


def test_an_encoder_decoder_writes_in_its_decoder(place, tmp_path, capsys):
    folder = save_tiny(tmp_path / "t5", "t5", head="Seq2SeqLM")
    given = (folder, "--data", place / "reviews.csv", "--rows", "12", "--pooling", "full")
    given = (*given, "--token-sets", "prompt,generated", "--out", tmp_path / "out")
    assert run(*given, "--sites", "enc.embed,dec.embed") == 0
    table = read_results(tmp_path / "out")
    assert list(zip(table.token_set, table.site, strict=True)) == [
        ("prompt", "enc.embed"),
        ("prompt", "dec.embed"),
        ("generated", "dec.embed"),
    ]
    line = refused(capsys, *given, "--sites", "enc.embed")
    assert "sites must hold one of the decoder" in line


def test_an_encoder_cannot_write(place, tmp_path, capsys):
    folder = save_tiny(tmp_path / "bert", "bert")
    given = (folder, "--data", place / "reviews.csv", "--token-sets", "generated")
    line = refused(capsys, *given, "--out", tmp_path / "out")
    assert "is an encoder (bert), which reads both ways" in line


def test_a_dry_run_of_a_checkpoint_writes_nothing(predgen, tmp_path, capsys):
    out = tmp_path / "out"
    given = (predgen, "--no-series", "--sites", "0", "--pooling", "mean", "--out", out)
    assert run(*given, "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "no answer is written yet; each is taken to have" in printed
    assert "token set 'generated':" in printed
    assert not out.exists()
