"""What an estimator lets in: one check of X and Y for all, by what its `Nature` says."""

from numbers import Integral
from typing import Any

import numpy as np
from jaxtyping import Float

from mi_probe.errors import InputError
from mi_probe.estimators.protocol.base import Estimator, States, Target
from mi_probe.estimators.protocol.states import as_states
from mi_probe.estimators.protocol.targets import Classes, Scores, as_target
from mi_probe.estimators.protocol.tokens import TokenSequences
from mi_probe.hidden import HiddenStates

FEWEST_ROWS = 10
"""Examples below which no estimate is made."""

_KINDS = {
    "classes": "classes (int y)",
    "scores": "floats",
    "tokens": "token sequences (TokenSequences)",
}


def check_seed(seed: Any) -> None:
    """A seed is a whole number from 0 on, as NumPy's generators want it.

    Raises:
        InputError: for anything else.
    """
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise InputError(
            f"seed must be a whole number of 0 or more; got {seed!r}. Pass an int."
        )


def admitted(
    estimator: Estimator, x: States, y: Target, seed: int
) -> tuple[Float[np.ndarray, "n d"] | HiddenStates, Classes | Scores | TokenSequences]:
    """X and Y as estimators see them, or an error that says what to do.

    Raises:
        InputError: for fewer than 10 examples, a kind of Y or X that the estimator does
            not take, and for what `check_seed`, `as_target` and `as_states` refuse.
    """
    check_seed(seed)
    target = as_target(y)
    nature, name = estimator.nature, estimator.name
    kind = (
        "classes"
        if isinstance(target, Classes)
        else "scores"
        if isinstance(target, Scores)
        else "tokens"
    )
    n = len(target)
    if kind not in nature.takes:
        wanted = " or ".join(_KINDS[k] for k in _KINDS if k in nature.takes)
        more = ", or convert y to int if its values are classes" if kind == "scores" else ""
        raise InputError(
            f"estimator '{name}' takes {wanted}; got {_KINDS[kind]}. "
            f"Use 'auto' or 'mine'{more}."
        )
    if isinstance(x, HiddenStates) and not nature.sequences:
        raise InputError(
            f"estimator '{name}' takes vectors (n, d); got HiddenStates of shape "
            f"{tuple(x.values.shape)}. Pool them first (mi_probe.pooling.pool), or use "
            "'auto', 'mine' or 'attention'."
        )
    states = as_states(x, n)
    if n < FEWEST_ROWS:
        raise InputError(
            f"x must hold at least {FEWEST_ROWS} examples to train and to test a "
            f"critic; got {n}. Capture more rows."
        )
    if isinstance(target, Classes) and target.counts.max() < 2:
        raise InputError(
            f"y must repeat its classes; all {n} labels differ. Pass numbers as floats."
        )
    return states, target
