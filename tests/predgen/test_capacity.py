"""What is trained is counted, has a gradient, and can be as much for both heads."""

import json

import pytest
from planted_tasks import quick
from tiny_systems import batch, system
from transformers import TrainerCallback

from mi_probe.errors import InputError
from mi_probe.predgen.design import OBJECTIVES
from mi_probe.predgen.training import train


@pytest.mark.parametrize("head", ["linear", "network"])
@pytest.mark.parametrize("family", ["llama", "t5"])
def test_heads_of_one_capacity_are_one_map(head, family):
    of = {name: system(family, name, head=head) for name in ("predictor", "predgen")}
    counts = {name: found.trainable["head"] for name, found in of.items()}
    assert counts["predictor"] == counts["predgen"] > 0
    parts = [{n: p.shape for n, p in s.head.named_parameters()} for s in of.values()]
    assert parts[0] == parts[1]
    own = {name: system(family, name).trainable["head"] for name in of}
    assert own["predgen"] > 10 * own["predictor"]
    for name, built in of.items():
        built(**batch(family=family, objective=name))["loss"].backward()
        assert all(p.grad is not None for p in built.head.parameters())


def test_logits_have_no_head_of_another_s_capacity():
    with pytest.raises(InputError, match="head must be 'own' where the task adapter reads"):
        system(adapter="logits", head="linear")


class Reached(TrainerCallback):
    """Which of the trained parameters the first loss had no gradient for."""

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        weights = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.left = [name for name, weight in weights if weight.grad is None]
        self.count = sum(weight.numel() for _, weight in weights)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("t5", {}),
        ("bart", {"peft": "rocoft_row", "also_train": ["final_layer_norm"]}),
        ("t5", {"peft": "none"}),
        ("gpt2", {"alignment": "uncertainty"}),
    ],
)
def test_whatever_is_trained_has_a_gradient(
    objective, family, changes, classes, folder_of, tmp_path
):
    few = {"steps": 1, "warmup": 0.0, "train_rows": 8, "validation_rows": 2, "reserve": 2}
    reached = Reached()
    settings = quick(objective, folder_of(family), classes, **few, **changes)
    train(settings, tmp_path / "out", callbacks=[reached])
    assert reached.left == []
    config = json.loads((tmp_path / "out/predgen_config.json").read_text())
    assert sum(config["trainable"].values()) == reached.count
