r"""Examples that occur more than once: where they are, and what they do to an estimate.

A copy of a held-out row among the training rows is known by heart, and the held-out value
is then far above I(Y;X). So copies belong in one fold, and count as one row in a standard
error. But rows of a *discrete* X are equal by nature: what was learned of a value is known
of its next occurrence, and to hold all of them out would hide it. Rows are called copies
where nothing else explains that they are equal:

* equal rows have equal Y, far more often than by chance: a value that recurs by nature need
  not (where Y is a function of X it does; then the estimate says what the other values
  tell, which is a lower bound still);
* a coordinate of X takes about as many values as there are different rows, on no grid;
* no row occurs very often.
"""

from collections import defaultdict

import numpy as np
import torch
from jaxtyping import Float, Int

from mi_probe.estimators.core.states import chunks, mean_vectors
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences
from mi_probe.hidden import HiddenStates

_FEWEST = 20
"""Different rows below which folds of whole groups make no sense."""
_MOST, _MOST_SHARE = 20, 0.01
"""Occurrences, and share of all rows, up to which a row may be copied."""
_AGREEMENT = 0.9
"""Of the Y of equal rows, beyond chance: 1 where all agree, 0 where as if drawn anew."""
_VALUES, _SHARE = 1000, 0.9
"""Different values of a coordinate, and their share of the different rows, from which it is
continuous. 16 bits do not hold more than a few thousand near 0."""
_GRID = 20.0
"""Least gap times squared number of values, in units of the range: of the order of 1 for
values without a grid, and large for one so coarse that rows meet on it by chance."""
_COLUMNS = 16
"""Coordinates that are looked at."""


def copies_of(
    x: Float[np.ndarray, "n d"] | HiddenStates, target: Classes | Scores | TokenSequences
) -> Int[np.ndarray, " n"] | None:
    """A number for each example, equal for copies of one another; None without copies."""
    group = _equal_rows(x)
    if group is None:
        return None
    counts = np.bincount(group)
    if len(counts) < _FEWEST or counts.max() > max(_MOST, _MOST_SHARE * len(group)):
        return None
    if _agreement(group, target) < _AGREEMENT:
        return None
    return group if _is_continuous(x, group) else None


def _equal_rows(x: Float[np.ndarray, "n d"] | HiddenStates) -> np.ndarray | None:
    """The group of each row; None where all differ."""
    marks = _marks(x)
    _, place, counts = np.unique(marks, axis=0, return_inverse=True, return_counts=True)
    suspects = np.flatnonzero(counts[place.reshape(-1)] > 1)
    found: dict[bytes, list[int]] = defaultdict(list)
    for row in suspects:
        found[_bytes(x, int(row))].append(int(row))
    group = np.arange(len(marks))
    for rows in found.values():
        group[rows] = rows[0]
    if len(found) == len(suspects):
        return None
    return np.unique(group, return_inverse=True)[1].reshape(-1)


def _marks(x: Float[np.ndarray, "n d"] | HiddenStates) -> Float[np.ndarray, "n m"]:
    """A few numbers of each row, the same for equal rows: most rows are told by them."""
    if isinstance(x, np.ndarray):
        return x[:, :4]
    if x.kept is not None:  # so that they are not read again
        return mean_vectors(x)[:, :4]
    # Sorted, so that it does not matter where the padding is.
    marks = np.empty((len(x), min(4, x.shape[1])))
    for rows in chunks(x):
        part = x[rows]
        first = part.values[:, :, 0].float().masked_fill(~part.mask, torch.inf)
        marks[rows] = first.sort(dim=1).values[:, :4].cpu().numpy()
    return marks


def _bytes(x: Float[np.ndarray, "n d"] | HiddenStates, row: int) -> bytes:
    if isinstance(x, np.ndarray):
        return x[row].tobytes()
    one = x[row : row + 1]
    tokens = one.values[0][one.mask[0]].cpu()
    return tokens.contiguous().view(torch.uint8).numpy().tobytes()


def _agreement(
    group: Int[np.ndarray, " n"], target: Classes | Scores | TokenSequences
) -> float:
    if isinstance(target, Classes):
        y = target.index
    else:
        values = target.values if isinstance(target, Scores) else target.ids
        y = np.unique(values, axis=0, return_inverse=True)[1].reshape(-1)
    first = np.unique(group, return_index=True)[1]
    others = np.setdiff1d(np.arange(len(group)), first)
    agree = float((y[others] == y[first][group[others]]).mean())
    chance = float(((np.bincount(y) / len(y)) ** 2).sum())
    return (agree - chance) / max(1 - chance, 1e-12)


def _is_continuous(
    x: Float[np.ndarray, "n d"] | HiddenStates, group: Int[np.ndarray, " n"]
) -> bool:
    first = np.unique(group, return_index=True)[1]
    if isinstance(x, HiddenStates):
        x = mean_vectors(x)
    d = x.shape[1]
    columns = np.unique(np.linspace(0, d - 1, min(d, _COLUMNS)).astype(int))
    return any(_has_no_grid(x[first, column]) for column in columns)


def _has_no_grid(values: Float[np.ndarray, " g"]) -> bool:
    found = np.unique(values)
    if len(found) < min(_SHARE * len(values), _VALUES) or len(found) < 2:
        return False
    if np.array_equal(found, np.round(found)):
        return False
    gaps = np.diff(found)
    return bool(gaps.min() * len(found) ** 2 < _GRID * (found[-1] - found[0]))
