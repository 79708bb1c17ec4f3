"""Types and shapes of calls, checked for the first calls that each test makes.

jaxtyping's hook (pyproject.toml) puts `checked` around every function of mi_probe. To check
all of a training's calls took half of a test run's time, and the hundredth call of a loop
says what the first did: after `CALLS` of them a test goes on unchecked.
"""

import functools

from beartype import beartype
from jaxtyping import config

CALLS = 1000
_left = CALLS


def begin() -> None:
    """Check the next `CALLS` calls."""
    global _left
    _left = CALLS
    config.update("jaxtyping_disable", False)


def checked(function):
    """What jaxtyping takes for its type checker: beartype, which counts its calls."""
    checking = beartype(function)

    @functools.wraps(checking)
    def counting(*args, **kwargs):
        global _left
        _left -= 1
        if _left <= 0:
            config.update("jaxtyping_disable", True)
        return checking(*args, **kwargs)

    return counting
