"""Mutual information between a language model's hidden states and a target."""

from mi_probe.errors import InputError
from mi_probe.hidden import HiddenStates, Role

__version__ = "0.1.0.dev0"

__all__ = ["HiddenStates", "InputError", "Role", "__version__"]
