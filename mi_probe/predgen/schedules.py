r"""Scheduled sampling: how often the model reads its own tokens, by optimiser step.

Early in training the answer that the model conditions on is the gold one; later it is more
and more often its own, so that it learns to go on from what it will meet at inference.
Bengio et al. 2015, https://arxiv.org/abs/1506.03099. Each curve goes from `Schedule.start`
to `Schedule.end` over a ramp of T steps and stays there. With x the share of the ramp done:

- ``linear``: x. The published code of PredGen has it with T = 500 micro-batches; here,
  steps are the optimiser's.
- ``exponential``: :math:`1 - k^x` with k = 0.01, scaled to end at 1. Bengio's
  :math:`\epsilon_i = k_B^i` with :math:`k_B = 0.01^{1/T}`; most of the change comes early.
- ``inverse_sigmoid``: :math:`1/(1 + e^{-12(x - 1/2)})`, scaled to run from 0 to 1. Bengio's
  :math:`\epsilon_i = k_B/(k_B + e^{i/k_B})` is such a logistic curve, falling; here its
  middle is at T/2 and its width T/12 for every T.
- ``never`` is 0 and ``always`` is 1 at every step: no ramp, no start, no end.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mi_probe.errors import InputError, check_known

_LEFT = 0.01
"""Of exponential decay: the share of gold that would be left at the ramp's end."""
_STEEPNESS = 12.0


def _exponential(x: float) -> float:
    return (1 - _LEFT**x) / (1 - _LEFT)


def _inverse_sigmoid(x: float) -> float:
    # The logistic curve less its start, over its rise, is half of one plus this ratio.
    half = _STEEPNESS / 4
    return 0.5 * (1 + math.tanh(half * (2 * x - 1)) / math.tanh(half))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "inverse_sigmoid": _inverse_sigmoid,
    "exponential": _exponential,
    "never": lambda x: 0.0,
    "always": lambda x: 1.0,
}
"""Name to the curve, from the share of the ramp done to the share of its rise."""

_CONSTANT = ("never", "always")


@dataclass(frozen=True)
class Schedule:
    """How the probability of the model's own tokens rises.

    Raises:
        InputError: on an unknown kind, a probability outside 0 ... 1, an end below the
            start, or a ramp of no step.
    """

    kind: str = "linear"
    """The curve: a name of `SCHEDULES`."""
    start: float = 0.0
    """The probability at step 0."""
    end: float = 1.0
    """The probability from the ramp's end on."""
    ramp: int | None = None
    """Optimiser steps from start to end; None for all steps of the training."""

    def __post_init__(self) -> None:
        check_known("schedule", self.kind, SCHEDULES)
        if not 0 <= self.start <= self.end <= 1:
            raise InputError(
                "a schedule's start and end must be probabilities, the end no smaller "
                f"than the start; got {self.start} and {self.end}."
            )
        if self.ramp is not None and self.ramp < 1:
            raise InputError(
                "a schedule's ramp must be 1 or more optimiser steps, or None for the "
                f"whole training; got {self.ramp}."
            )

    def probability(self, step: int, total_steps: int) -> float:
        """The probability that the model reads its own tokens at a step.

        Args:
            step: optimiser steps done so far, from 0.
            total_steps: of the whole training; the ramp where none is given.

        Raises:
            InputError: on a negative step or a training of no step.
        """
        if step < 0 or total_steps < 1:
            raise InputError(
                "step must be 0 or more, of 1 or more steps; "
                f"got step {step} of {total_steps}."
            )
        share = SCHEDULES[self.kind](min(1.0, step / (self.ramp or total_steps)))
        if self.kind in _CONSTANT:
            return share
        return self.start + (self.end - self.start) * share
