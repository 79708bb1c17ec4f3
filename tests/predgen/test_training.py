"""Each objective learns what there is to learn, and an interruption changes nothing."""

import numpy as np
import pandas as pd
import pytest
from tiny import save_tiny

from mi_probe.predgen.settings import preset
from mi_probe.predgen.training import train


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """Reviews whose verdict is one of their words, as a file."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(240):
        y = int(rng.integers(2))
        word = (("bad", "bleak"), ("good", "funny"))[y][int(rng.integers(2))]
        rows.append({"text": f"the {word} film {i}:", "label": ("negative", "positive")[y]})
    path = tmp_path_factory.mktemp("planted") / "planted.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "llama"
    return str(save_tiny(folder, "llama", head="CausalLM"))


@pytest.mark.parametrize("objective", ["predictor", "generator", "predgen"])
def test_each_objective_learns_a_planted_task(objective, planted, llama, tmp_path):
    settings = preset(
        "default",
        objective=objective,
        backbone=llama,
        data=planted,
        steps=60,
        learning_rate=1e-2,
        checkpoint_every=30,
        device="cpu",
    )
    trained = train(settings, tmp_path / "out")
    assert trained.metrics["test"]["accuracy"] > 0.9
