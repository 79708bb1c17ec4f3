"""Switches of a training: class weights, the head's rate, patience, limits, ranks."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from planted_tasks import quick
from tiny_systems import ROWS, batch, system
from transformers import TrainerCallback

from mi_probe.errors import InputError
from mi_probe.predgen.data import Source, read_splits
from mi_probe.predgen.design import design_for
from mi_probe.predgen.director import cross_entropy
from mi_probe.predgen.training import train

FEW = {"train_rows": 8, "validation_rows": 4, "reserve": 4, "batch_size": 4}


def test_balanced_classes_weigh_alike(tmp_path):
    labels = ["no"] * 30 + ["yes"] * 10
    texts = [f"film {i}" for i in range(40)]
    path = tmp_path / "skewed.csv"
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    task = read_splits(Source(data=str(path))).train
    design = design_for(task, "predictor", class_weights="balanced")
    rows = np.bincount(task.labels)
    assert design.class_weights == pytest.approx(len(task) / (2 * rows))
    weights = torch.tensor(design.class_weights)
    labels = torch.tensor(task.labels)
    outputs = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(0))
    each = [cross_entropy(outputs[labels == c], labels[labels == c]) for c in (0, 1)]
    found = cross_entropy(outputs, labels, weights)
    torch.testing.assert_close(found, torch.stack(each).mean())
    # Its batches add up, as those without weights do.
    built = system("llama", "predictor", class_weights=(0.5, 3.0))
    alone = [built(**batch([r], objective="predictor"))["loss"].item() for r in ROWS]
    together = built(**batch(objective="predictor"))["loss"].item()
    assert together == pytest.approx(np.mean(alone), rel=1e-5)


class Rates(TrainerCallback):
    """The rates of the weights, by whether they are the head's."""

    def on_pre_optimizer_step(self, args, state, control, model, optimizer, **kwargs):
        head = {id(p) for p in model.head.parameters()}
        self.of: dict[bool, set[float]] = {True: set(), False: set()}
        seen = []
        for group in optimizer.param_groups:
            for p in group["params"]:
                self.of[id(p) in head].add(group["lr"])
                seen.append(id(p))
        wanted = {id(p) for p in model.parameters() if p.requires_grad}
        assert len(seen) == len(set(seen)) == len(wanted)


def test_the_head_has_its_own_rate(classes, folder_of, tmp_path):
    more = {"learning_rate": 1e-3, "head_learning_rate": 1e-2, "warmup": 0.0}
    rates = Rates()
    settings = quick("predgen", folder_of("llama"), classes, steps=1, **FEW, **more)
    train(settings, tmp_path / "out", callbacks=[rates])
    assert rates.of == {True: {1e-2}, False: {1e-3}}


def test_patience_ends_a_training_and_is_kept_over_an_interruption(
    classes, folder_of, tmp_path, monkeypatch
):
    more = {"steps": 20, "checkpoint_every": 1, "patience": 2, "learning_rate": 1e-9}
    settings = quick("predictor", folder_of("llama"), classes, **FEW, **more)
    found = train(settings, tmp_path / "whole")
    # The first one was as good as any: two more were waited for.
    assert len(pd.read_csv(found.folder / "losses.csv")) == 3
    assert found.config["step"] == 1
    with monkeypatch.context() as patch:
        patch.setattr("mi_probe.predgen.training.finish", _stop)
        with pytest.raises(KeyboardInterrupt):
            train(settings, tmp_path / "cut")
    again = train(settings, tmp_path / "cut")
    assert len(pd.read_csv(again.folder / "losses.csv")) == 3
    assert again.metrics == found.metrics


def _stop(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize("objective", ["predictor", "generator", "predgen"])
def test_scores_are_cut_to_those_that_were_trained_on(
    objective, scores, folder_of, tmp_path
):
    few = {**FEW, "steps": 2, "learning_rate": 0.5, "warmup": 0.0, "max_grad_norm": 1e9}
    settings = quick(objective, folder_of("llama"), scores, clamp=True, **few)
    found = train(settings, tmp_path / "out")
    low, high = found.config["design"]["limits"]
    assert -1.5 <= low < high <= 4.5
    (kept,) = (found.folder / "answers").glob("*.json")
    values = [v for v in json.loads(kept.read_text())["values"] if v is not None]
    assert all(low <= value <= high for value in values)
    assert objective == "generator" or values


def test_adalora_s_schedule_can_be_given(classes, folder_of, tmp_path):
    more = {"peft": "adalora", "rank": 2, "initial_rank": 5, "rank_update_every": 2}
    more |= {"rank_warm_up": 0.25, "rank_settling": 0.5, "orthogonality": 0.1}
    settings = quick("predictor", folder_of("llama"), classes, steps=8, **FEW, **more)
    train(settings, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    names = ("init_r", "target_r", "tinit", "tfinal", "deltaT", "orth_reg_weight")
    assert [config[name] for name in names] == [5, 2, 2, 4, 2, 0.1]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clamp": True}, "clamp must be left out for classes"),
        (
            {"class_weights": "balanced", "director": "bce"},
            "with the director cross_entropy",
        ),
        ({"rank_warm_up": 0.2}, "rank_warm_up must be left out with peft 'lora'"),
        ({"peft": "none", "dtype": "bfloat16"}, "dtype must be float32 with peft 'none'"),
        ({"also_train": ["norm"], "dtype": "bfloat16"}, "also_train must be left out"),
        ({"dtype": "float8"}, "dtype must be one of float32"),
        ({"patience": 0}, "patience must be at least 1"),
    ],
)
def test_switches_that_nothing_would_read(changes, said, classes, folder_of, tmp_path):
    with pytest.raises(InputError, match=said):
        train(quick("predictor", folder_of("llama"), classes, **changes), tmp_path / "out")
