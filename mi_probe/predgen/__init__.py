"""The three systems, Predictor, Generator and PredGen, and their training.

    from mi_probe.predgen import preset, train

    settings = preset("default", backbone="smollm2-135m:8", task="rotten_tomatoes")
    train(settings, "out").metrics["test"]

Kowsher et al. 2025, https://arxiv.org/abs/2502.17817.
"""

from importlib import import_module
from typing import Any

_FROM = {
    "BUGS": "presets",
    "PRESETS": "presets",
    "Checkpoint": "checkpoints",
    "TrainSettings": "settings",
    "Trained": "training",
    "load_checkpoint": "checkpoints",
    "preset": "settings",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    """A name on its first use: the Trainer takes seconds to import."""
    if name in _FROM:
        return getattr(import_module(f"{__name__}.{_FROM[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
