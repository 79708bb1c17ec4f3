"""Small tasks with something to learn, as files, and settings that learn it."""

from pathlib import Path

import numpy as np
import pandas as pd

from mi_probe.predgen.settings import TrainSettings, preset

_WORDS = {
    "negative": ("bad", "bleak", "desperate"),
    "positive": ("good", "funny", "pretty"),
}


def classes_file(folder: Path, rows: int = 160) -> str:
    """Reviews with a word that tells their class."""
    rng = np.random.default_rng(0)
    labels = rng.choice(list(_WORDS), rows)
    words = [_WORDS[label][rng.integers(3)] for label in labels]
    texts = [f"the {word} film {i}:" for i, word in enumerate(words)]
    path = folder / "classes.csv"
    pd.DataFrame({"text": texts, "label": labels}).to_csv(path, index=False)
    return str(path)


def scores_file(folder: Path, rows: int = 240) -> str:
    """Reviews with a word that tells their score: -1.5, 0.5, 2.5 or 4.5."""
    rng = np.random.default_rng(1)
    kinds = rng.integers(4, size=rows)
    words = np.array(["bad", "bleak", "good", "funny"])[kinds]
    texts = [f"the {word} film {i}:" for i, word in enumerate(words)]
    path = folder / "scores.csv"
    frame = pd.DataFrame({"text": texts, "label": 2.0 * kinds - 1.5})
    frame.to_csv(path, index=False)
    return str(path)


def quick(objective: str, backbone: str, data: str, **changes) -> TrainSettings:
    """Settings for a tiny model on the CPU."""
    usual = {
        "objective": objective,
        "backbone": backbone,
        "data": data,
        "steps": 40,
        "learning_rate": 1e-2,
        "checkpoint_every": 20,
        "device": "cpu",
    }
    return preset("default", **{**usual, **changes})
