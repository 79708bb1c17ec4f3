"""Settings and presets: what is wrong is said before anything is loaded."""

import pytest

from mi_probe.errors import InputError
from mi_probe.predgen.settings import TrainSettings, preset


def test_a_preset_s_settings_can_be_changed():
    assert preset("faithful", backbone="x", task="sst2", rank=5).rank == 5
    with pytest.raises(InputError, match="got 'depth'"):
        preset("default", backbone="x", depth=3)
    with pytest.raises(InputError, match="preset must be one of default, faithful"):
        preset("other", backbone="x")


def test_what_a_preset_sets_was_not_asked_for():
    given = {"backbone": "x", "task": "sst2"}
    assert preset("faithful", schedule="never", **given).own_tokens.ramp is None
    assert preset("faithful", peft="none", **given).rank == 3
    with pytest.raises(InputError, match="ramp must be left out"):
        preset("faithful", schedule="never", ramp=9, **given)


def test_steps_are_epochs_over_what_a_step_reads():
    settings = TrainSettings(backbone="x", epochs=2.0, batch_size=8, accumulation=2)
    # A pass over 13 batches is 6 steps of two and one of one.
    assert settings.total_steps(100) == 14
    assert settings.total_steps(100, processes=2) == 8
    half = TrainSettings(backbone="x", epochs=1.5, batch_size=8, accumulation=2)
    assert half.total_steps(96) == 6 + 3
    assert TrainSettings(backbone="x", steps=5).total_steps(100) == 5


def test_every_method_has_a_learning_rate():
    rates = {
        m: TrainSettings(backbone="x", peft=m).rate for m in ("none", "lora", "adalora")
    }
    assert rates["none"] < rates["lora"] < rates["adalora"]
    assert TrainSettings(backbone="x", learning_rate=1e-9).rate == 1e-9


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backbone": " "}, "backbone must name a model"),
        ({"objective": "writer"}, "objective must be one of predictor"),
        ({"pooling": "cls"}, "pooling must be one of mean"),
        ({"precision": "int8"}, "precision must be one of float32"),
        ({"steps": 0}, "steps must be at least 1; got 0"),
        ({"seed": 2**32}, "seed must lie in 0 ... 4294967295; got 4294967296"),
        ({"reserve": 0}, "reserve must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0"),
        ({"peft": "qlora"}, "peft method must be one of"),
        ({"schedule": "cosine"}, "schedule must be one of linear"),
        ({"schedule_end": 2.0}, "must be probabilities"),
        ({"lr_schedule": "up"}, "lr_schedule must be one of"),
        ({"schedule": "never", "ramp": 5}, "ramp must be left out with schedule 'never'"),
        ({"schedule": "always", "schedule_start": 0.5}, "schedule_start must be left out"),
        ({"peft": "none", "target_modules": ["q_proj"]}, "target_modules must be left out"),
        ({"peft": "none", "also_train": ["norm"]}, "also_train must be left out with peft"),
        ({"peft": "none", "rank": 4}, "rank must be left out with peft 'none'"),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        TrainSettings(**{"backbone": "x", "task": "sst2", **changes})


def test_a_training_is_as_long_as_one_setting_says():
    with pytest.raises(InputError, match="epochs must be left out with steps 4"):
        TrainSettings(backbone="x", task="sst2", steps=4, epochs=2.0)
    assert preset("faithful", backbone="x", task="sst2", steps=4).steps == 4
