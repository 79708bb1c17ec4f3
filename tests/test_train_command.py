"""The command: one clear line with exit code 2, or a checkpoint and what came of it."""

import json
from pathlib import Path

import pytest
from planted_tasks import classes_file
from tiny import save_tiny

from mi_probe.predgen.training import Trained
from mi_probe.train import main, summary
from mi_probe.train_settings import parse


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    model = save_tiny(folder / "llama", "llama", head="CausalLM")
    return ["--backbone", str(model), "--data", classes_file(folder), "--device", "cpu"]


def refused(capsys, *arguments) -> str:
    assert main([str(a) for a in arguments]) == 2
    captured = capsys.readouterr()
    lines = [x for x in captured.err.splitlines() if "\r" not in x and x.strip()]
    assert len(lines) == 1, captured.err
    assert captured.out == ""
    return lines[0]


def test_a_training_says_what_came_of_it(given, tmp_path, capsys):
    config = tmp_path / "quick.yaml"
    config.write_text("objective: predictor\nsteps: 2\nrank: 4\nmax_tokens: 4\n")
    out = tmp_path / "out"
    assert main([*given, "--config", str(config), "--rank", "2", "--out", str(out)]) == 0
    printed, said = capsys.readouterr()
    assert "validation rows: 16 of 16 texts cut to 4 tokens" in said
    assert "predictor on classes" in printed
    assert "16 reserved rows: loss" in printed
    assert str(out) in printed
    kept = json.loads((out / "predgen_config.json").read_text())
    assert kept["prompt_tokens"] == 4
    assert "16 of 16 texts cut to 4 tokens" in kept["notes"]["test"][-1]
    settings = kept["settings"]
    assert (settings["steps"], settings["rank"]) == (2, 2)
    assert "out" not in settings
    line = refused(capsys, *given, "--config", config, "--rank", "3", "--out", out)
    assert "rank was 2, now 3" in line


def test_the_command_line_goes_over_the_file_over_the_preset(tmp_path):
    config = tmp_path / "a.yaml"
    config.write_text("preset: faithful\nrank: 5\nbackbone: x\n")
    found = parse(["--config", str(config), "--epochs", "2"])
    assert (found.preset, found.rank, found.epochs) == ("faithful", 5, 2.0)
    assert (found.ends, found.alignment) == (False, "code")
    assert parse(["--backbone", "x"]).ends


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "sst2"], "backbone must name a model"),
        (["--backbone", "x", "--task", "nope"], "task must be one of"),
        (["--backbone", "x"], "one of task and data must be given; got neither"),
        (["--preset", "other"], "preset must be one of default, faithful"),
        (["--backbone", "x", "--stepps", "3"], "--help"),
        (["--backbone", "x", "stray"], "--help"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, capsys):
    assert said in refused(capsys, *arguments)


def test_a_device_that_is_not_there(given, tmp_path, capsys):
    line = refused(capsys, *given[:4], "--device", "tpu", "--out", tmp_path / "out")
    assert "device must be auto, cpu or cuda; got 'tpu'" in line


def test_an_objective_that_the_model_cannot_follow(given, tmp_path, capsys):
    bert = save_tiny(tmp_path / "bert", "bert")
    capsys.readouterr()
    changed = ["--backbone", bert, *given[2:], "--objective", "generator"]
    assert "encoder" in refused(capsys, *changed, "--out", tmp_path / "out")


def test_an_adapter_is_no_backbone(given, tmp_path, capsys):
    first = tmp_path / "first"
    assert (
        main([*given, "--objective", "generator", "--steps", "2", "--out", str(first)]) == 0
    )
    capsys.readouterr()
    changed = ["--backbone", first, *given[2:], "--objective", "generator"]
    line = refused(capsys, *changed, "--out", tmp_path / "second")
    assert "backbone must be a model without an adapter" in line


def test_a_metric_that_does_not_exist_is_said():
    config = {
        **{"objective": "predgen", "task": "t", "backbone": "b", "peft": "lora"},
        **{"step": 1, "seed": 0, "reserved_ids": [1, 2], "trainable": {"adapter": 3}},
        "metrics": {"test": {"pearson": None, "mse": 0.25}},
    }
    text = summary(Trained(Path("out"), config))
    assert "2 reserved rows: pearson none, mse 0.25" in text
