"""What a study runs: chains of commands, told apart by their factors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FACTORS = ("backbone", "task", "method", "system", "seed")
"""What a training is one combination of."""

LAST = "last"
"""Name of the step of a training's final model, whichever it was."""


@dataclass(frozen=True)
class Step:
    """One command of a chain."""

    command: str
    """Name of the command: ``train``, ``estimate``, ``gap`` or ``tokens``."""
    settings: Mapping[str, Any]
    """Its settings, all but where it writes and which model it reads."""
    model: str | None = None
    """The model that it measures; None for the one that the chain trains."""


@dataclass(frozen=True)
class Chain:
    """Commands that run one after the other, in a folder of their own."""

    name: str
    """Name of its folder."""
    factors: Mapping[str, Any]
    """What distinguishes it: backbone, task, method, system, seed."""
    steps: tuple[Step, ...] = field(repr=False)
