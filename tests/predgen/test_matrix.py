"""Every objective learns with every fine-tuning method, classes and scores alike."""

import pandas as pd
import pytest
import torch
from planted_tasks import quick
from safetensors.torch import load_file
from tiny import save_tiny
from tiny_tokenizers import TOKENIZERS
from transformers import TrainerCallback

from mi_probe.predgen.design import OBJECTIVES
from mi_probe.predgen.peft_settings import METHODS
from mi_probe.predgen.training import train

# The majority class is right in half of the cases; ours is to be right in 0.3 more.
LEAST_ACCURACY = 0.8
# The mean of the scores has a squared error of 5; ours is to have 3.5 less.
MOST_ERROR = 1.5
RATES = {"none": 3e-3, "adalora": 3e-2}
SOME = [
    ("classes", "predictor", "rocoft_row", 0),
    ("classes", "generator", "rocoft_column", 0),
    ("classes", "predgen", "adalora", 0),
    ("scores", "predictor", "dora", 0),
]
ALL = [
    (task, objective, method, seed)
    for task in ("classes", "scores")
    for objective in OBJECTIVES
    for method in METHODS
    for seed in (0, 1, 2)
]


@pytest.mark.parametrize(
    ("task", "objective", "method", "seed"),
    [pytest.param(*case, marks=[] if case in SOME else pytest.mark.slow) for case in ALL],
)
def test_each_objective_learns_with_each_method(
    task, objective, method, seed, classes, scores, folder_of, tmp_path
):
    settings = quick(
        objective,
        folder_of("llama"),
        classes if task == "classes" else scores,
        peft=method,
        seed=seed,
        steps=80,
        checkpoint_every=80,
        learning_rate=RATES.get(method, 1e-2),
    )
    trained = train(settings, tmp_path / "out")
    if task == "classes":
        assert trained.metrics["test"]["accuracy"] >= LEAST_ACCURACY
    else:
        assert trained.metrics["test"]["mse"] <= MOST_ERROR
    losses = pd.read_csv(trained.folder / "losses.csv").loss
    assert losses[-16:].mean() < 0.7 * losses[:4].mean()
    saved = {path.name for path in trained.folder.glob("*.safetensors")}
    whole = "model" if method == "none" else "adapter_model"
    assert saved == {"head.safetensors", f"{whole}.safetensors"}


@pytest.mark.parametrize(
    ("name", "objective"),
    [
        pytest.param(name, objective, marks=[] if fast else pytest.mark.slow)
        for name in TOKENIZERS
        for objective in ("generator", "predgen")
        for fast in [(name, objective) == ("sentencepiece_closed", "generator")]
    ],
)
def test_every_make_of_tokenizer_writes_answers_that_end(
    name, objective, classes, tmp_path
):
    base = save_tiny(tmp_path / "base", head="CausalLM", tokenizer=False)
    TOKENIZERS[name]().save_pretrained(base)
    settings = quick(objective, str(base), classes, steps=60, checkpoint_every=60)
    metrics = train(settings, tmp_path / "out").metrics["test"]
    assert metrics["accuracy"] >= LEAST_ACCURACY
    assert metrics["parse_failure_rate"] == 0


@pytest.mark.parametrize(
    ("task", "objective", "method"),
    [
        ("scores", "predgen", "rocoft_row"),
        pytest.param("classes", "predgen", "adalora", marks=pytest.mark.slow),
        pytest.param("classes", "generator", "rocoft_column", marks=pytest.mark.slow),
        pytest.param("classes", "predictor", "dora", marks=pytest.mark.slow),
    ],
)
def test_mixed_precision_learns_too(
    task, objective, method, classes, scores, folder_of, tmp_path
):
    settings = quick(
        objective,
        folder_of("llama"),
        classes if task == "classes" else scores,
        peft=method,
        precision="bfloat16",
        gradient_checkpointing=True,
        learning_rate=RATES.get(method, 1e-2),
        steps=60,
        checkpoint_every=60,
    )
    metrics = train(settings, tmp_path / "out").metrics["test"]
    if task == "classes":
        assert metrics["accuracy"] >= LEAST_ACCURACY
    else:
        assert metrics["mse"] <= MOST_ERROR


class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 3:
            raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["adalora", "rocoft_row"])
def test_an_interruption_while_ranks_fall_changes_nothing(
    method, classes, folder_of, tmp_path
):
    few = {"steps": 5, "checkpoint_every": 2, "validation_rows": 8, "reserve": 8}
    settings = quick("generator", folder_of("llama"), classes, peft=method, rank=2, **few)
    whole = train(settings, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "cut", callbacks=[Stop()])
    again = train(settings, tmp_path / "cut")
    last = "checkpoint-5/adapter_model.safetensors"
    expected, found = (load_file(run.folder / last) for run in (whole, again))
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
