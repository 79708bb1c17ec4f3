"""Mutual information between a language model's hidden states and a target."""

from importlib import import_module
from types import ModuleType

from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates, Role

__version__ = "0.1.0.dev0"

__all__ = ["HiddenStates", "InputError", "Role", "__version__"]

_PARTS = (
    "analysis",
    "backbones",
    "capture",
    "estimators",
    "plots",
    "pooling",
    "predgen",
    "results",
    "synthetic",
    "tasks",
)


def __getattr__(name: str) -> ModuleType:
    """A part of the package on its first use, so that importing it stays quick."""
    if name in _PARTS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
