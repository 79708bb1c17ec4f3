"""Each objective learns what there is to learn, and an interruption changes nothing."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from planted_tasks import quick
from safetensors.torch import load_file
from transformers import TrainerCallback
from transformers.trainer_callback import DefaultFlowCallback

from mi_probe.errors import InputError
from mi_probe.locks import locked
from mi_probe.predgen import training
from mi_probe.predgen.data import read_splits
from mi_probe.predgen.design import OBJECTIVES
from mi_probe.predgen.encoding import encode
from mi_probe.predgen.training import train

# The majority is right in 0.5 of the cases; each system is to be right in 0.3 more.
MARGIN = 0.8


@pytest.fixture(scope="module", params=OBJECTIVES)
def trained(request, classes, folder_of, tmp_path_factory):
    """One finished training of each objective."""
    settings = quick(request.param, folder_of("llama"), classes)
    return train(settings, tmp_path_factory.mktemp("trained") / request.param)


def test_each_objective_learns_a_planted_task(trained):
    assert trained.metrics["test"]["accuracy"] >= MARGIN
    losses = pd.read_csv(trained.folder / "losses.csv")
    assert losses.step.tolist() == list(range(1, 41))
    of = {
        "predictor": ["director"],
        "generator": ["writer"],
        "predgen": ["writer", "director"],
    }
    for name in of[trained.config["objective"]]:
        assert losses[name][-8:].mean() < 0.7 * losses[name][:4].mean()
    assert losses.learning_rate.iloc[-1] < losses.learning_rate.max()


def test_trackers_are_told_what_the_loss_consists_of(trained):
    state = json.loads((trained.folder / "checkpoint-40/trainer_state.json").read_text())
    told = [entry for entry in state["log_history"] if "loss" in entry]
    losses = pd.read_csv(trained.folder / "losses.csv")
    for name in ("writer", "director", "probability", "own"):
        there = losses[name].dropna()
        assert [name in entry for entry in told] == [len(there) > 0] * 4
        for k, entry in enumerate(told if len(there) else []):
            mean = there[10 * k : 10 * k + 10].mean()
            assert entry[name] == pytest.approx(mean, rel=1e-5)


def test_the_folder_holds_everything_and_no_pickle(trained):
    there = {p.name for p in trained.folder.rglob("*") if p.is_file()}
    assert {"predgen_config.json", "head.safetensors", "tokenizer.json"} <= there
    assert not [n for n in there if n.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert {p.name for p in trained.folder.iterdir() if p.is_dir()} == {
        *("checkpoint-20", "checkpoint-40", "answers")
    }
    config = json.loads((trained.folder / "predgen_config.json").read_text())
    assert config["step"] in (20, 40)
    assert config["versions"]["packages"]["torch"]


def test_reserved_rows_are_never_trained_on(trained):
    found = trained.load()
    parts = read_splits(found.source)
    assert set(found.reserved_ids) == set(parts.test.ids)
    assert not set(parts.test.prompts) & {*parts.train.prompts, *parts.validation.prompts}
    assert found.config["data_sha256"] == parts.sha256()


def test_a_checkpoint_predicts_as_the_trained_system_did(trained, classes):
    found = trained.load()
    parts = read_splits(found.source)
    rows = encode(found.backbone, parts.test, answers=found.system.objective != "predictor")
    again = training.validate(found.system, rows, parts.test)
    assert again == pytest.approx(trained.metrics["test"])


def test_the_same_command_again_trains_nothing(trained, classes, folder_of, monkeypatch):
    monkeypatch.setattr(training, "_prepare", None)
    objective = trained.config["objective"]
    again = train(quick(objective, folder_of("llama"), classes), trained.folder)
    assert again.config == trained.config
    with pytest.raises(InputError, match="rank was 8, now 4"):
        train(quick(objective, folder_of("llama"), classes, rank=4), trained.folder)


class Stop(TrainerCallback):
    """An interruption, as a user or a cluster makes one."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def weights(folder):
    files = sorted(folder.glob("*.safetensors"))
    return {f"{p.name}.{k}": t for p in files for k, t in load_file(p).items()}


@pytest.mark.parametrize(
    ("objective", "changes"),
    [
        ("predgen", {"sampling": "token", "sampled": True, "dropout": 0.1}),
        ("predgen", {"alignment": "uncertainty", "accumulation": 2, "batch_size": 4}),
        ("generator", {"peft": "none", "learning_rate": 1e-3}),
        # Two passes over the rows, cut in the second.
        ("predictor", {"train_rows": 24, "batch_size": 8}),
        ("predictor", {"train_rows": 24, "batch_size": 8, "group_by_length": True}),
    ],
)
def test_an_interrupted_training_ends_with_the_same_weights(
    objective, changes, classes, folder_of, tmp_path
):
    few = {"steps": 6, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick(objective, folder_of("llama"), classes, **few, **changes)
    whole = train(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "cut", callbacks=[Stop(5)])
    # Whatever else draws in between.
    torch.manual_seed(99)
    again = train(settings, tmp_path / "cut")
    expected, found = weights(whole.folder), weights(again.folder)
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert (tmp_path / "cut" / "losses.csv").read_text() == (
        tmp_path / "whole" / "losses.csv"
    ).read_text()
    assert again.metrics == whole.metrics


def test_what_a_killed_training_left_half_written_is_none_of_the_checkpoint(
    classes, folder_of, tmp_path
):
    left = tmp_path / "out" / ".unfinished" / "checkpoint-2"
    left.mkdir(parents=True)
    (left / "optimizer.pt").write_bytes(b"half of it")
    (left / "other.bin").write_bytes(b"of another version")
    few = {"steps": 2, "checkpoint_every": 2, "train_rows": 24}
    trained = train(quick("predictor", folder_of("llama"), classes, **few), left.parents[1])
    assert "other.bin" not in trained.config["files"]
    assert trained.load().config == trained.config


def test_the_last_step_is_validated_and_saved_by_any_trainer(
    classes, folder_of, tmp_path, monkeypatch
):
    def older(self, args, state, control, **kwargs):
        due = state.global_step % state.eval_steps == 0
        control.should_evaluate = control.should_save = due
        control.should_training_stop = state.global_step >= state.max_steps

    monkeypatch.setattr(DefaultFlowCallback, "on_step_end", older)
    few = {"steps": 3, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("predictor", folder_of("llama"), classes, select="last", **few)
    found = train(settings, tmp_path / "out")
    assert found.config["step"] == 3
    assert "accuracy" in found.metrics["validation"]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_training_that_diverges_is_said_and_leaves_no_model(
    objective, classes, folder_of, tmp_path
):
    few = {"steps": 2, "validation_rows": 4, "reserve": 4, "learning_rate": 1e30}
    settings = quick(objective, folder_of("llama"), classes, **few)
    with pytest.raises(InputError, match="stay finite; .* nan at step 2.* below 1e"):
        train(settings, tmp_path / "out")
    assert not list((tmp_path / "out").glob("**/*.safetensors"))


def test_a_stop_after_the_last_step_loses_nothing(
    classes, folder_of, tmp_path, monkeypatch
):
    few = {"steps": 3, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("predgen", folder_of("llama"), classes, **few)
    whole = train(settings, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr("mi_probe.predgen.final_model.answers_and_loss", _stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "cut")
    again = train(settings, tmp_path / "cut", callbacks=[Stop(4)])
    expected, found = weights(whole.folder), weights(again.folder)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert again.metrics == whole.metrics
    lines = (tmp_path / "cut" / "losses.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "1", "2", "3"]
    assert sorted(p.name for p in again.folder.glob("*")) == sorted(
        p.name for p in whole.folder.glob("*")
    )


def _stop(*_, **__):
    raise KeyboardInterrupt


def test_a_second_training_into_a_folder_is_refused_and_harms_nothing(
    classes, folder_of, tmp_path
):
    few = {"steps": 1, "validation_rows": 4, "reserve": 4}
    settings = quick("predictor", folder_of("llama"), classes, **few)
    out = tmp_path / "out"
    said = f"must have one writer at a time; .*by process {os.getpid()} on .* since 20"
    with locked(out / ".training.lock"):
        with pytest.raises(InputError, match=said):
            train(settings, out)
        assert [path.name for path in out.iterdir()] == [".training.lock"]
    train(settings, out)
    assert not (out / ".training.lock").exists()


def flip(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 64
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["training_state.safetensors", "optimizer.pt", "trainer_state.json"]
)
def test_what_cannot_be_gone_on_from_is_named_and_trained_again(
    name, classes, folder_of, tmp_path
):
    few = {"steps": 4, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("predictor", folder_of("llama"), classes, **few)
    whole = train(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "cut", callbacks=[Stop(3)])
    flip(tmp_path / "cut" / "checkpoint-2" / name)
    said = []
    again = train(settings, tmp_path / "cut", say=said.append)
    assert any(f"{name} is not as it was written" in line for line in said)
    expected, found = weights(whole.folder), weights(again.folder)
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_a_damaged_final_model_is_made_again_from_its_checkpoint(
    classes, folder_of, tmp_path, monkeypatch
):
    few = {"steps": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("predictor", folder_of("llama"), classes, **few)
    whole = train(settings, tmp_path / "out")
    expected = {key: t.clone() for key, t in weights(whole.folder).items()}
    flip(whole.folder / "head.safetensors")
    said = []
    again = train(settings, whole.folder, callbacks=[Stop(1)], say=said.append)
    assert "head.safetensors is damaged or another's" in said[0]
    assert "It is made again" in said[0]
    assert again.metrics == whole.metrics
    assert all(torch.equal(weights(again.folder)[key], expected[key]) for key in expected)


def test_losses_that_are_not_as_written_are_named_and_change_nothing(
    classes, folder_of, tmp_path
):
    few = {"steps": 4, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("predictor", folder_of("llama"), classes, **few)
    said = []
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "out", callbacks=[Stop(3)])
    losses = tmp_path / "out" / "losses.csv"
    content = bytearray(losses.read_bytes())
    at = content.index(b"\n1,") + 4  # a digit of the first step's loss
    content[at : at + 1] = b"8" if content[at : at + 1] == b"9" else b"9"
    losses.write_bytes(content)
    train(settings, tmp_path / "out", say=said.append)
    named = [line for line in said if "losses.csv is not as it was written" in line]
    assert named == [
        f"{losses} is not as it was written until step 2. No number hangs on "
        "it; do not draw it."
    ]
    # Of a finished training too.
    said.clear()
    train(settings, tmp_path / "out", say=said.append)
    assert said == []  # what it went on with is what its last checkpoint was saved with
    content = bytearray(losses.read_bytes())
    content[-3] = ord("8") if content[-3] == ord("7") else ord("7")
    losses.write_bytes(content)
    train(settings, tmp_path / "out", say=said.append)
    assert [line.split(" is not")[0] for line in said] == [str(losses)]


def test_a_damaged_state_of_a_finished_training_chooses_no_model(
    classes, folder_of, tmp_path
):
    few = {"steps": 4, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("predictor", folder_of("llama"), classes, **few)
    whole = train(settings, tmp_path / "out")
    expected = {key: t.clone() for key, t in weights(whole.folder).items()}
    flip(whole.folder / "head.safetensors")
    flip(whole.folder / "checkpoint-4" / "trainer_state.json")
    said = []
    again = train(settings, whole.folder, say=said.append)
    assert any("trainer_state.json is not as it was written" in line for line in said)
    assert all(torch.equal(weights(again.folder)[key], expected[key]) for key in expected)


def test_a_folder_with_other_files_is_left_alone(classes, folder_of, tmp_path):
    model = folder_of("llama")
    with pytest.raises(InputError, match="out must be a new or empty folder"):
        train(quick("predictor", model, classes, peft="none"), model)
    with pytest.raises(InputError, match="is a file"):
        train(quick("predictor", model, classes), classes)


def test_a_checkpoint_of_rate_0_is_read_back(classes, folder_of, tmp_path):
    # Accuracy ties at the majority's share, and the first step wins a tie.
    few = {"steps": 3, "checkpoint_every": 1, "warmup": 2.0, "learning_rate": 1e-9}
    found = train(quick("generator", folder_of("llama"), classes, **few), tmp_path / "out")
    assert found.config["step"] == 1
    assert found.load().config["step"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"warmup": 5.0}, "warmup must be shorter than the training, 5 steps; got 5"),
        ({"report_to": ["paper"]}, "report_to must be of .*tensorboard.*; got 'paper'"),
        ({"report_to": ["wandb"]}, "report_to must name a tracker that is installed"),
    ],
)
def test_what_a_trainer_cannot_do(changes, said, classes, folder_of, tmp_path):
    settings = quick("predictor", folder_of("llama"), classes, **{"steps": 5, **changes})
    with pytest.raises(InputError, match=said):
        train(settings, tmp_path / "out")


def test_the_global_random_states_are_left_alone(classes, folder_of, tmp_path):
    # Python's own is drawn from by beartype, in tests only.
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    settings = quick("predictor", folder_of("llama"), classes, steps=2, dropout=0.1)
    train(settings, tmp_path / "out")
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("objective", "peft"),
    [("predgen", "lora"), ("generator", "rocoft_row"), ("predictor", "adalora")],
)
def test_the_frozen_base_may_be_of_16_bits(objective, peft, classes, folder_of, tmp_path):
    few = {"dtype": "bfloat16", "peft": peft, "reserve": 16, "validation_rows": 8}
    settings = quick(objective, folder_of("llama"), classes, **few)
    seen = Types()
    found = train(settings, tmp_path / "out", callbacks=[seen])
    assert seen.of == {True: {torch.float32}, False: {torch.bfloat16}}
    losses = pd.read_csv(found.folder / "losses.csv")
    assert losses.loss[-8:].mean() < 0.9 * losses.loss[:4].mean()
    loaded = found.load()
    assert loaded.backbone.fingerprint["dtype"] == "bfloat16"
    rows = encode(loaded.backbone, read_splits(loaded.source, reserve=16).test)
    task = read_splits(loaded.source, reserve=16).test
    again = training.validate(loaded.system, rows, task)
    assert again == pytest.approx(found.metrics["test"], rel=1e-2)


class Types(TrainerCallback):
    """Of trained weights, and of frozen ones."""

    def on_train_begin(self, args, state, control, model, **kwargs):
        weights = [*model.parameters()]
        self.of = {k: {p.dtype for p in weights if p.requires_grad == k} for k in (1, 0)}


@pytest.mark.slow
def test_two_processes_train_what_one_does(classes, folder_of, tmp_path):
    """Half a batch each, over gloo; own answers and a learned alignment included."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    launch += ["--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_port", str(port), "-m"]
    few = {"steps": 4, "checkpoint_every": 4, "validation_rows": 8, "reserve": 8}
    asked = {
        **{"objective": "predgen", "backbone": folder_of("llama"), "data": classes},
        **{"device": "cpu", "alignment": "uncertainty", "dropout": 0, **few},
    }
    told = [f"--{key.replace('_', '-')}={value}" for key, value in asked.items()]
    for name, head, size in (("one", [sys.executable, "-m"], 8), ("two", launch, 4)):
        line = [*head, "mi_probe.train", *told, f"--batch-size={size}"]
        line += ["--out", str(tmp_path / name)]
        ran = subprocess.run(line, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.count("Checkpoint: ") == 1
    losses = [pd.read_csv(tmp_path / name / "losses.csv") for name in ("one", "two")]
    assert losses[0].own.sum() > 0
    pd.testing.assert_frame_equal(*losses, rtol=1e-5)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert set(one) == set(two)
    for key, expected in one.items():
        torch.testing.assert_close(two[key], expected, rtol=1e-5, atol=1e-6)
