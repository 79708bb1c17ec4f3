r"""Which rows learn, which choose and which are held out: drawn once, handed down.

Every row is held out once, in a fold, and is scored by critics that never saw that fold.
The learning curve trains the same critics on a quarter, a half and all of the rows outside
it (`level`). Rows of one ``group`` (copies, one document, one speaker) know one another, so
whole groups are held out, learned from, watched and permuted together, and the error of a
mean is the groups': with :math:`S_g` the sum of centred influences of group g,

.. math:: \mathrm{se}^2 = \frac{G}{G-1} \frac{1}{n^2} \sum_g S_g^2

References:
    Cameron and Miller 2015, A Practitioner's Guide to Cluster-Robust Inference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import chi2
from scipy.stats import t as student_t

from mi_probe.errors import InputError
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences

FRACTIONS = (4, 2, 1)
"""The training rows are divided by these; each part holds the one before it."""
TOP = len(FRACTIONS) - 1
"""The level at which all rows are learned from."""
MOST_LEARNED = 20_000
"""Rows that a held-out fold's critics learn from, at most; all rows are scored. Of very
many, what is learned grows slowly, and its cost does not."""
_ONLY_SCORED = TOP + 1
"""Level of rows that no critic learns from."""
_CURVE_UNITS, _CURVE_ROWS = 40, 3
"""Rows, or groups, below which a quarter of them teaches nothing; and rows that it must
leave where two folds are left out, as it may not where one group is large."""


@dataclass(frozen=True)
class Blocks:
    """Ordered rows, cut into contiguous blocks: the ``groups`` of a series in time.

    Folds are contiguous runs of blocks, and the block between two folds is left out, so
    that no row is scored by a critic that learned from its neighbours.
    """

    count: int
    """Number of blocks, 3 a fold at least; longer than the dependence reaches."""


@dataclass(frozen=True)
class Dependence:
    """One sign that rows depend on one another, though nobody named their groups."""

    kind: Literal["near copies", "clusters", "order"]
    words: str
    """What was seen and what to do, one sentence."""

    @property
    def flagged(self) -> bool:
        """Whether the estimate is not to be trusted; clusters may be a mixture's."""
        return self.kind != "clusters"


Groups: TypeAlias = np.ndarray | Sequence[Any] | Blocks


@dataclass(frozen=True, eq=False)
class Split:
    """The folds, learning-curve levels, groups and seed of one Y."""

    fold: Int[np.ndarray, " n"]
    """Number of the fold in which each row is held out."""
    level: Int[np.ndarray, " n"]
    """Level of the learning curve at which each row is first learned from; above `TOP` for
    those that are only scored."""
    seed: int
    group: Int[np.ndarray, " n"] | None = None
    """Number 0 ... g-1 of each row's group; None where every row is its own."""
    kept: Int[np.ndarray, " n"] | None = None
    """Indices, among the rows that came, of those that are used; None for all."""
    signs: tuple[Dependence, ...] = ()
    """Signs that rows depend on one another; none where the caller named the groups."""

    def __len__(self) -> int:
        return len(self.fold)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1

    @cached_property
    def pairs(self) -> list[tuple[int, int]]:
        """Each two folds: those that a nested fit has not seen."""
        return list(combinations(range(self.n_folds), 2))

    @property
    def units(self) -> int:
        """Independent pieces of evidence: groups, or rows where each is its own."""
        return len(self) if self.group is None else int(self.group.max()) + 1

    @cached_property
    def has_curve(self) -> bool:
        """Whether a quarter of the rows can teach, whatever folds are left out."""
        if self.units < _CURVE_UNITS:
            return False
        nested = self.pairs if self.n_folds > 2 else [(k,) for k in range(self.n_folds)]
        return min(len(self.rows(*one, level=0)) for one in nested) >= _CURVE_ROWS

    @cached_property
    def firsts(self) -> Int[np.ndarray, " g"]:
        """Row numbers of the first row of each group."""
        if self.group is None:
            return np.arange(len(self))
        return np.unique(self.group, return_index=True)[1]

    def held_out(self, k: int) -> Int[np.ndarray, " m"]:
        """The rows of a fold."""
        return np.flatnonzero(self.fold == k)

    def learns(self, *without: int, level: int = TOP) -> Bool[np.ndarray, " n"]:
        """True for the rows outside these folds that are learned from at a level."""
        return (self.level <= level) & ~np.isin(self.fold, without)

    def rows(self, *without: int, level: int = TOP) -> Int[np.ndarray, " m"]:
        """The rows outside these folds that are learned from at a level."""
        return np.flatnonzero(self.learns(*without, level=level))

    def n_learned(self, level: int = TOP) -> int:
        """Rows that a fold's critic learns from at a level, a mean over folds."""
        folds = range(self.n_folds)
        return round(float(np.mean([len(self.rows(k, level=level)) for k in folds])))

    def watched(
        self,
        rows: Int[np.ndarray, " m"],
        share: float,
        rng: np.random.Generator,
        *,
        most: int | None = None,
    ) -> Bool[np.ndarray, " m"]:
        """True for those of the training rows that stop a training and choose the critic.

        Args:
            rows: the training rows.
            share: of them that are watched.
            rng: draws them, in whole groups.
            most: rows at most: where each is scored against all others, their square is
                what takes the memory.
        """
        count = max(1, round(share * len(rows)))
        count = count if most is None else min(count, most)
        chosen = np.zeros(len(rows), dtype=bool)
        if self.group is None:
            chosen[rng.permutation(len(rows))[:count]] = True
            return chosen
        own = codes_of(self.group[rows])
        sizes = np.bincount(own)
        order = rng.permutation(len(sizes))
        # One group at least, and never all of them.
        taken = max(1, int((np.cumsum(sizes[order]) <= count).sum()))
        return np.isin(own, order[: min(taken, len(sizes) - 1)])

    def standard_error(self, influence: Float[np.ndarray, " n"]) -> float:
        """Of the mean: spread over rows or groups, plus spread over the folds' critics.

        The second only where the folds' means differ more than 19 of 20 times by chance: a
        positive part alone would make every interval too wide.

        Args:
            influence: of each row on the mean; its terms, where these are independent.
        """
        return standard_error(self.one_each(influence), self.fold[self.firsts])

    def one_each(self, influence: Float[np.ndarray, " n"]) -> Float[np.ndarray, " g"]:
        """The influence of each group on the mean: of the same mean, and of its spread."""
        if self.group is None:
            return influence
        mean = influence.mean()
        sums = np.bincount(self.group, weights=influence - mean, minlength=self.units)
        return mean + sums * self.units / len(self)

    def reach(self, error: float, level: float = 0.95) -> float:
        """Half the width of an interval of this standard error, by Student's t."""
        return float(student_t.ppf(0.5 + level / 2, max(self.units - 1, 1))) * error

    def permuted(self, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
        """Whose Y each row takes under independence: whole groups change places.

        Each group takes the Y of another, read in order from a random start and round
        again where sizes differ.
        """
        if self.group is None:
            return rng.permutation(len(self))
        members = np.split(
            np.argsort(self.group, kind="stable"), np.cumsum(np.bincount(self.group))[:-1]
        )
        order = np.empty(len(self), dtype=np.int64)
        for rows, other in zip(members, rng.permutation(len(members)), strict=True):
            source = members[other]
            start = int(rng.integers(len(source))) if len(source) != len(rows) else 0
            order[rows] = source[(start + np.arange(len(rows))) % len(source)]
        return order

    def only(self, rows: Int[np.ndarray, " m"]) -> "Split":
        """The same split of some of the rows."""
        group = None if self.group is None else codes_of(self.group[rows])
        kept = rows if self.kept is None else self.kept[rows]
        return replace(
            self, fold=self.fold[rows], level=self.level[rows], group=group, kept=kept
        )


def draw_split(
    target: Classes | Scores | TokenSequences,
    n_folds: int,
    seed: int,
    group: Int[np.ndarray, " n"] | None = None,
    *,
    fold: Int[np.ndarray, " n"] | None = None,
    kept: Int[np.ndarray, " n"] | None = None,
    most: int | None = MOST_LEARNED,
) -> Split:
    """Folds with about equal shares of each class, and the levels of the learning curve.

    Args:
        target: Y.
        n_folds: number of folds; 1 where nothing is held out.
        seed: of both.
        group: number of each row's group, 0 ... g-1; None where every row is its own.
        fold: of each row, where it is not drawn.
        kept: which of the rows that came these are; None for all.
        most: rows that a fold's critics learn from, about; drawn like the levels, with the
            classes' shares and in whole groups. None takes all.
    """
    units = len(target) if group is None else int(group.max()) + 1
    rng = np.random.default_rng(seed)
    classes = target.index if isinstance(target, Classes) else None
    if fold is not None:
        pass
    elif group is None:
        shuffled = rng.permutation(units)
        if classes is not None:
            # A stable sort by class keeps the shuffled order inside each class.
            shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]
        fold = np.empty(units, dtype=np.int64)
        fold[shuffled] = np.arange(units) % n_folds
    else:
        fold = _group_folds(classes, group, n_folds, rng)[group]
    # Of these one fold is held out.
    drawn = len(target) if most is None else most * n_folds // max(1, n_folds - 1)
    return Split(fold, _levels(classes, group, units, rng, drawn), seed, group, kept)


def cut_blocks(
    n: int, blocks: Blocks, n_folds: int
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Kept rows, their blocks and contiguous folds; one block is left out between folds.

    Raises:
        InputError: for fewer than 3 blocks a fold, or more blocks than half the rows.
    """
    whole = isinstance(blocks.count, Integral) and not isinstance(blocks.count, bool)
    if not whole or not 3 * n_folds <= blocks.count <= n // 2:
        raise InputError(
            f"blocks must number {3 * n_folds} (3 a fold) ... {n // 2} for {n} rows; got "
            f"{blocks.count!r}."
        )
    block = np.arange(n) * blocks.count // n
    fold = np.arange(blocks.count) * n_folds // blocks.count
    between = np.flatnonzero(np.diff(fold)) + 1
    kept = np.flatnonzero(~np.isin(block, between))
    return kept, codes_of(block[kept]), fold[block[kept]]


def codes_of(groups: np.ndarray | Sequence[Any]) -> Int[np.ndarray, " n"]:
    """Groups numbered 0 ... g-1."""
    return np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)


def standard_error(
    influence: Float[np.ndarray, " n"], fold: Int[np.ndarray, " n"]
) -> float:
    """Of the mean of independent terms; see `Split.standard_error`."""
    folds = [influence[fold == k] for k in range(int(fold.max()) + 1)]
    within = float(influence.var(ddof=1)) / len(influence)
    if len(folds) < 2 or min(map(len, folds)) < 2:
        return math.sqrt(within)
    means = np.array([terms.mean() for terms in folds])
    expected = float(np.mean([terms.var(ddof=1) / len(terms) for terms in folds]))
    spread = float(means.var(ddof=1))
    chance = float(chi2.ppf(0.95, len(folds) - 1)) / (len(folds) - 1)
    if spread <= chance * expected:
        return math.sqrt(within)
    return math.sqrt(within + (spread - expected) / len(folds))


def _group_folds(
    classes: Int[np.ndarray, " n"] | None,
    group: Int[np.ndarray, " n"],
    n_folds: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " g"]:
    """A fold for each group, the largest first, where its classes are rarest so far."""
    y = np.zeros(len(group), dtype=np.int64) if classes is None else classes
    counts = np.zeros((int(group.max()) + 1, int(y.max()) + 1))
    np.add.at(counts, (group, y), 1)
    sizes, shuffled = counts.sum(1), rng.permutation(len(counts))
    order = shuffled[np.lexsort((counts.argmax(1)[shuffled], -sizes[shuffled]))]
    fold = np.empty(len(counts), dtype=np.int64)
    held = np.zeros((n_folds, counts.shape[1]))
    for one in order:
        alike = held @ counts[one] / sizes[one]
        fold[one] = np.lexsort((held.sum(1), alike))[0]
        held[fold[one]] += counts[one]
    return fold


def _levels(
    classes: Int[np.ndarray, " n"] | None,
    group: Int[np.ndarray, " n"] | None,
    units: int,
    rng: np.random.Generator,
    drawn: int,
) -> Int[np.ndarray, " n"]:
    """The level that first learns from each row, in prefixes of equal class shares."""
    first, sizes = np.arange(units), np.ones(units)
    if group is not None:
        first, sizes = np.unique(group, return_index=True, return_counts=True)[1:]
    place = rng.permutation(units).astype(float)
    if classes is not None:
        own = classes[first]
        order = np.lexsort((place, own))
        counts = np.bincount(own)
        before = np.cumsum(counts) - counts
        rank = np.empty(units)
        rank[order] = np.arange(units) - before[own[order]]
        # The place inside the class, as a share of it: a prefix holds equal shares.
        place = (rank + rng.random(units)) / counts[own]
    ordered = np.argsort(place, kind="stable")
    reached = np.cumsum(sizes[ordered])
    level = np.full(units, _ONLY_SCORED)
    # The largest first: the smaller ones lie inside it.
    for number in range(TOP, -1, -1):
        most = max(sizes[ordered[0]], min(sizes.sum(), drawn) // FRACTIONS[number])
        level[ordered[reached <= most]] = number
    return level if group is None else level[group]
