"""What an estimator lets in: one check of X and Y for all, by what its `Nature` says."""

from dataclasses import replace
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from mi_probe.errors import InputError
from mi_probe.estimators.core.base import Estimator, States
from mi_probe.estimators.core.copies import copies_of
from mi_probe.estimators.core.dependence import dependence_of
from mi_probe.estimators.core.split import (
    Blocks,
    Groups,
    Split,
    codes_of,
    cut_blocks,
    draw_split,
)
from mi_probe.estimators.core.states import as_states
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    Target,
    TokenSequences,
    as_target,
)
from mi_probe.hidden import HiddenStates
from mi_probe.scratch import picked

FEWEST_ROWS = 10
"""Examples below which no estimate is made."""

Admitted: TypeAlias = tuple[
    Float[np.ndarray, "k d"] | HiddenStates, Classes | Scores | TokenSequences, Split
]
"""X, Y and the split of the rows that are used."""

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
    estimator: Estimator,
    x: States,
    y: Target,
    *,
    groups: Groups | None,
    seed: int,
    n_folds: int,
    fewest_folds: int = 3,
) -> Admitted:
    """X and Y as estimators see them and how their rows are split, or an error.

    Args:
        estimator: what they are for.
        x: the states.
        y: the target.
        groups: which rows depend on one another, one value a row, or `Blocks` of ordered
            rows. By default the copies that `copies_of` finds; `dependence_of` then looks
            for signs of more.
        seed: of the split.
        n_folds: number of folds; 1 where nothing is held out.
        fewest_folds: that this estimator can nest; 1 where nothing is held out.

    Raises:
        InputError: for fewer than 10 examples, a kind of Y or X that the estimator does
            not take, folds that the rows or groups cannot fill, and for what `check_seed`,
            `as_target` and `as_states` refuse.
    """
    check_seed(seed)
    target = as_target(y)
    _check_kinds(estimator, x, target)
    n = len(target)
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
    return split_rows(
        states, target, groups, seed=seed, n_folds=n_folds, fewest_folds=fewest_folds
    )


def split_rows(
    states: Float[np.ndarray, "n d"] | HiddenStates,
    target: Classes | Scores | TokenSequences,
    groups: Groups | None,
    *,
    seed: int,
    n_folds: int,
    fewest_folds: int = 3,
) -> Admitted:
    """The rows that are used, and their split; arguments as of `admitted`.

    Raises:
        InputError: for groups that are not one a row, and folds that they cannot fill.
    """
    n, fold, kept = len(target), None, None
    if isinstance(groups, Blocks):
        kept, group, fold = cut_blocks(n, groups, max(n_folds, fewest_folds))
        target = target[kept]
        if isinstance(states, HiddenStates):
            states = states.only(kept)
        else:
            states = picked(states, kept)
        if isinstance(target, Classes) and target.n_classes < 2:
            raise InputError(
                f"y must hold at least two classes in the rows that {groups.count} blocks "
                "keep; it holds one. Give more blocks."
            )
    else:
        group = copies_of(states, target) if groups is None else _group_of(groups, n)
    units, what = (n, "examples") if group is None else (int(group.max()) + 1, "groups")
    if fewest_folds > 1 and not fewest_folds <= n_folds <= units // 2:
        nested = "one fold is held out, one weighs the members, the others train them; "
        if units < 2 * fewest_folds:
            raise InputError(
                f"groups must number at least {2 * fewest_folds}, since whole groups are "
                f"held out in turn; got {units} {what}. Name finer groups."
            )
        raise InputError(
            f"n_folds must lie in {fewest_folds} ... {units // 2} for {units} {what}: "
            f"{nested * (fewest_folds > 2)}got {n_folds}."
            + f" Take more rows, or name finer groups: at least {2 * n_folds}."
            * (units < 2 * n_folds)
        )
    split = draw_split(target, n_folds, seed, group, fold=fold, kept=kept)
    if groups is None:
        split = replace(split, signs=dependence_of(states, target))
    return states, target, split


def _group_of(groups: Any, n: int) -> Int[np.ndarray, " n"] | None:
    """Groups numbered 0 ... g-1; None where every row is its own.

    Raises:
        InputError: for another number of rows, or values that are neither int nor text.
    """
    values = np.asarray(groups)
    if values.dtype == object and all(isinstance(value, str) for value in values.flat):
        values = values.astype(str)
    if values.shape != (n,) or values.dtype.kind not in "biuU":
        raise InputError(
            f"groups must hold an int or a text for each of the {n} rows; got "
            f"{values.dtype} of shape {values.shape}."
        )
    codes = codes_of(values)
    if not codes.any():
        raise InputError(
            f"groups must be several, which are held out in turn; all {n} rows are of one, "
            f"'{values[0]}'. Name finer groups, or take texts that are not all alike."
        )
    return codes if int(codes.max()) + 1 < n else None


def _check_kinds(
    estimator: Estimator, x: Any, target: Classes | Scores | TokenSequences
) -> None:
    nature, name = estimator.nature, estimator.name
    kind = (
        "classes"
        if isinstance(target, Classes)
        else "scores"
        if isinstance(target, Scores)
        else "tokens"
    )
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
            f"{x.shape}. Pool them first (mi_probe.pooling.pool), or use "
            "'auto', 'mine' or 'attention'."
        )
