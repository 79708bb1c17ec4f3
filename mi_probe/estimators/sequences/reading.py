"""Z as `auto` reads a sequence: its pooled views, its ends, and all tokens in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.auto import cross_fits, hint_of
from mi_probe.estimators.engine.cross_fits import ViewFits
from mi_probe.estimators.engine.members import MEMBERS
from mi_probe.estimators.engine.stack import Chosen, Hint, stacked
from mi_probe.estimators.sequences.joining import adds, joined
from mi_probe.estimators.sequences.token_coordinates import ends, token_coordinates
from mi_probe.estimators.sequences.token_fits import TokenFits
from mi_probe.hidden import HiddenStates

Fits: TypeAlias = Mapping[str, ViewFits]

ENDS, TOKENS = "ends", "tokens"
"""The views that are no poolings."""
_PILOT_ROWS = 1000
"""Rows of a quarter below which the ends are read without a pilot: it would say little, and
they cost little."""
_PILOT_ADDS = 2e-3
"""Nats that the ends must add in it."""


@dataclass(frozen=True)
class Reading:
    """Z as it is read, and the rows that may learn from it."""

    views: Mapping[str, Fits]
    pooled: tuple[str, ...]
    """The views that are poolings: the whole never falls below one of these."""
    target: Classes
    split: Split
    hints: Sequence[Mapping[str, Any]] | None

    def stacks(self, k: int) -> dict[str, Chosen]:
        """The stacks for a held-out fold of what is read with all rows.

        Beyond the poolings that is what a hint used. Without hints the ends are read if a
        quarter of the rows shows that they add to the best view and the tokens.
        """
        found = {name: self.stack(name, TOP, k) for name in self.pooled}
        more = [name for name in self.views if name not in self.pooled]
        if self.hints is not None:
            whole = self.hints[k]["whole"]
            more = [name for name in more if adds(whole, name)]
        elif ENDS in more and not self._ends_add(found, k):
            more.remove(ENDS)
        return found | {name: self.stack(name, TOP, k) for name in more}

    def _ends_add(self, pooled: Mapping[str, Chosen], k: int) -> bool:
        few = np.count_nonzero(self.split.learns(k, level=0)) < _PILOT_ROWS
        if few or not self.split.has_curve:
            return True
        y = self.target.index[self.split.fold != k]
        own = (np.arange(len(y)), y)
        best = max(pooled, key=lambda name: float(pooled[name].train[own].mean()))
        pilot = {name: self.stack(name, 0, k) for name in (best, TOKENS)}
        without = self.joined(pilot, 0, k).record["nats"]
        # By members that need no pilot themselves.
        quick = {
            f"{view}:{member}": range(len(path))
            for view, fits in self.views[ENDS].items()
            for member, path in fits.members.items()
            if not MEMBERS[member].piloted
        }
        pilot[ENDS] = self._stacked(ENDS, 0, k, [quick] * self.split.n_folds)
        whole = self.joined(pilot, 0, k).record["nats"]
        return whole - without > _PILOT_ADDS

    def stack(self, name: str, level: int, k: int) -> Chosen:
        """A view's stack for a held-out fold."""
        fits, told = self.views[name], None
        if self.hints is not None:
            # One fit serves several folds, so it makes the places of all of them.
            records = [hint["whole"]["stacks"].get(name) for hint in self.hints]
            told = [hint_of(record, fits) for record in records]
        return self._stacked(name, level, k, told)

    def _stacked(
        self, name: str, level: int, k: int, told: Sequence[Hint] | None
    ) -> Chosen:
        fits = self.views[name]
        return stacked(fits, self.target, self.split, level, k, told)

    def joined(self, stacks: Mapping[str, Chosen], level: int, k: int) -> Chosen:
        """The best view, or all stacks together where that shows.

        Its ``train`` is of the rows outside the fold that learn at this level.
        """
        usable = self.split.learns(k, level=level)[self.split.fold != k]
        y = self.target.index[self.split.rows(k, level=level)]
        return joined(stacks, self.pooled, usable, y)

    def again(self, level: int, k: int, above: Mapping[str, Any]) -> Chosen:
        """The whole with fewer rows, of what it used with all: ``above`` is its record.

        The best view is where it started. That takes part if it is used, or if what is
        used falls, with so few rows, below what the view reached with all.
        """
        best = above["best view"]
        used = [n for n in self.views if adds(above, n)] or [best]
        stacks = {name: self.stack(name, level, k) for name in used}
        whole = self.joined(stacks, level, k)
        if best in used or whole.record["nats"] >= above["view_nats"]:
            return whole
        stacks[best] = self.stack(best, level, k)
        return self.joined(stacks, level, k)


def reading_of(
    z: HiddenStates,
    target: Classes,
    split: Split,
    device: str,
    hints: Sequence[Mapping[str, Any]] | None = None,
) -> Reading:
    """Z as the arguments of `sequence_estimate` say; what it fits is fitted when asked."""
    vectors = _distinct(views_of(z))
    views: dict[str, Fits] = {
        name: cross_fits(x, target, split, device) for name, x in vectors.items()
    }
    names = tuple(views)
    if int(z.mask.sum(1).max()) > 1:
        tokens = token_coordinates(z)
        views[ENDS] = cross_fits(ends(tokens), target, split, device)
        fits = TokenFits(tokens, target, split, device)
        views[TOKENS] = {"tokens": fits}
    return Reading(views, names, target, split, hints)


def _distinct(
    views: Mapping[str, Float[np.ndarray, "n d"]],
) -> dict[str, Float[np.ndarray, "n d"]]:
    """The views without those that repeat another, as all do where rows have one token."""
    found: dict[str, np.ndarray] = {}
    for name, x in views.items():
        # A few rows tell most views apart.
        some, same = x[:64], False
        for other in found.values():
            same |= np.array_equal(some, other[:64]) and np.array_equal(x, other)
        if not same:
            found[name] = x
    return found
