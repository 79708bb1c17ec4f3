"""Every kind of model that can follow an objective learns, and the others say why not."""

import pytest
from planted_tasks import quick

from mi_probe.errors import InputError
from mi_probe.predgen.training import train

WHOLE = {"peft": "none", "learning_rate": 1e-2}
LONG = {"steps": 200, "checkpoint_every": 100}


@pytest.mark.parametrize(
    ("family", "objective", "changes"),
    [
        ("bert", "predictor", {"pooling": "first"}),
        ("gpt2", "predgen", WHOLE),
        ("bart", "predictor", {"pooling": "mean"}),
        ("bart", "generator", {**WHOLE, "steps": 60}),
        pytest.param("t5", "generator", {**WHOLE, **LONG}, marks=pytest.mark.slow),
        pytest.param("t5", "predgen", {**WHOLE, **LONG}, marks=pytest.mark.slow),
        pytest.param(
            *("t5", "predgen", {**WHOLE, **LONG, "sampling": "token"}),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_architectures_learn(family, objective, changes, classes, folder_of, tmp_path):
    settings = quick(objective, folder_of(family), classes, **changes)
    trained = train(settings, tmp_path / "out")
    assert trained.metrics["test"]["accuracy"] >= 0.8
    again = trained.load()
    assert (
        again.backbone.kind
        == {
            **dict.fromkeys(("t5", "bart"), "encoder-decoder"),
            **{"bert": "encoder", "gpt2": "decoder"},
        }[family]
    )


@pytest.mark.parametrize("objective", ["generator", "predgen"])
def test_an_encoder_only_predicts(objective, classes, folder_of, tmp_path):
    with pytest.raises(InputError, match="reads both ways"):
        train(quick(objective, folder_of("bert"), classes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("objective", ["predictor", "generator", "predgen"])
def test_scores_are_learned(objective, scores, folder_of, tmp_path):
    settings = quick(objective, folder_of("llama"), scores, steps=80)
    trained = train(settings, tmp_path / "out")
    # The mean, which is what a majority is for scores, has a mean squared error of 5.
    assert trained.metrics["test"]["mse"] < 1.5
