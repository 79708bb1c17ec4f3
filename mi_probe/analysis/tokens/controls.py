r"""What a token map shows where there is nothing to show, and what memorising gives.

- ``random_labels``: the same states and critics with labels that say nothing: whole groups
  of rows change labels, so classes keep their shares and copies stay copies. True values
  are 0 everywhere: what is found there is made of nothing, by rows that know one another.
  Single values of the map itself are noisier, since its critics do speak up.
- ``control_task``, after Hewitt and Liang (2019, arXiv 1909.03368): each word *type* gets a
  random label, and a critic of single tokens is asked for it, at the last piece of each
  word, in sentences that it did not learn from:
  :math:`\log q(c(w_t)|z_t) / p(c)`. Nothing but knowing the word answers it, so its mean
  (of H(c) at most) is what critics like these memorise of words at this site. Where the map
  is no higher than that, the words' identity alone may explain it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from mi_probe.errors import InputError, check_known
from mi_probe.estimators.prefixes.token_information import (
    TokenInformation,
    token_classes,
    token_information,
)
from mi_probe.hidden import HiddenStates

CONTROLS = ("random_labels", "control_task")
"""The controls of a token map, by name; the first is made unless it is declined."""
_DRAWS = 50
"""Draws of labels until each class has rows enough for its critics."""
_MOST_WORDS = 20_000
"""Words that the control task is of, at most: those of rows drawn at random."""


@dataclass(frozen=True)
class Controls:
    """Values of the controls at each token; None where one was not made."""

    mask: Bool[np.ndarray, "n t"] = field(repr=False)
    """True where a token is real."""
    twin: Mapping[str, TokenInformation] | None = field(repr=False, default=None)
    """Both readers with random labels."""
    task: Float[np.ndarray, "n t"] | None = field(repr=False, default=None)
    """Values of the control task in nats; NaN where none was asked."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """A summary of each, or why there is none."""


def checked_controls(names: Sequence[str]) -> tuple[str, ...]:
    """The names, in the order of `CONTROLS`.

    Raises:
        InputError: for one that is none.
    """
    check_known("controls", tuple(names), CONTROLS, "Or 'none'.")
    return tuple(name for name in CONTROLS if name in names)


def token_controls(
    z: HiddenStates,
    found: TokenInformation,
    names: Sequence[str],
    *,
    types: Int[np.ndarray, "n t"],
    seed: int = 0,
) -> Controls:
    """Make the controls of a map.

    Args:
        z: the states.
        found: the map's reader of prefixes, whose labels and groups are taken.
        names: some of `CONTROLS`.
        types: a number for the word type that ends at a token, -1 where none does.
        seed: of labels, folds and critics.

    Raises:
        InputError: for a name that is none.
    """
    twin, task, about = None, None, {}
    for name in checked_controls(names):
        try:
            if name == "random_labels":
                twin = random_labels(z, found, seed=seed)
                about[name] = _total(twin["prefix"], twin["prefix"].totals)
            else:
                task, about[name] = control_task(z, found, types, seed=seed)
        except InputError as error:  # too few rows or types for this control alone
            about[name] = {"reason": str(error)}
    return Controls(found.mask, twin, task, about)


def random_labels(
    z: HiddenStates, found: TokenInformation, *, seed: int = 0
) -> dict[Any, TokenInformation]:
    """The map with labels that say nothing; groups of rows change labels as wholes.

    Args:
        z: the states.
        found: the map, whose labels and groups are taken.
        seed: of labels, folds and critics.

    Raises:
        InputError: if no draw leaves each class rows enough.
    """
    rng, group = np.random.default_rng((seed, 1)), found.split.group
    rows = np.arange(len(found.y)) if group is None else group
    for _ in range(_DRAWS):
        y = found.y[found.split.permuted(rng)]
        if len(np.unique(y)) == len(np.unique(found.y)) and _enough(y):
            return token_information(z, y, groups=rows, seed=seed)
    raise InputError(
        f"random labels must leave each class rows enough; {_DRAWS} draws over "
        f"{found.split.units} groups did not. Name finer groups, or pool rare classes."
    )


def control_task(
    z: HiddenStates,
    found: TokenInformation,
    types: Int[np.ndarray, "n t"],
    *,
    seed: int = 0,
) -> tuple[Float[np.ndarray, "n t"], dict[str, Any]]:
    """A random label a word type, asked of single tokens; and a summary.

    Args:
        z: the states.
        found: the map: its classes' shares are the labels', its groups are held out.
        types: a number for the word type that ends at a token, -1 where none does.
        seed: of labels, rows, folds and critics.

    Raises:
        InputError: if there are too few words or types for labels of as many classes.
    """
    rng = np.random.default_rng((seed, 2))
    shares = np.bincount(found.y) / len(found.y)
    row, place = np.nonzero((types >= 0) & found.mask)
    order = rng.permutation(len(found.y))
    taken = np.cumsum(np.bincount(row, minlength=len(order))[order]) <= _MOST_WORDS
    kept = np.isin(row, order[taken])
    row, place = row[kept], place[kept]
    number = np.unique(types[row, place], return_inverse=True)[1]
    count = int(number.max()) + 1 if len(number) else 0
    for _ in range(_DRAWS):
        label = rng.choice(len(shares), size=count, p=shares)[number]
        if len(np.unique(label)) == len(shares) and _enough(label):
            break
    else:
        raise InputError(
            f"the control task must have word types enough for {len(shares)} labels; the "
            f"{len(row):,} words are of {count:,}. Take more rows."
        )
    group = row if found.split.group is None else found.split.group[row]
    states = z.at(torch.as_tensor(row), torch.as_tensor(place))
    ids = None if z.token_ids is None else z.token_ids[row, place][:, None]
    alone = HiddenStates(
        states[:, None], torch.ones(len(row), 1, dtype=torch.bool), token_ids=ids
    )
    told = token_information(alone, label, readers=["alone"], groups=group, seed=seed)
    values = np.full(found.mask.shape, np.nan)
    values[row, place] = told["alone"].totals
    about = _total(told["alone"], told["alone"].totals)
    return values, {**about, "words": len(row), "types": count}


def _enough(y: Int[np.ndarray, " n"]) -> bool:
    try:
        token_classes(y)
    except InputError:
        return False
    return True


def _total(found: TokenInformation, totals: Float[np.ndarray, " n"]) -> dict[str, Any]:
    reach = found.split.reach(found.split.standard_error(totals))
    return {
        "nats": found.nats,
        "ci": [found.nats - reach, found.nats + reach],
        "H_nats": found.entropy_y,
    }
