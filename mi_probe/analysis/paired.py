r"""Two estimates of the same rows: their difference, row by row.

Two intervals beside each other say little of a difference, since both move with the rows
that happened to be drawn. Of each row the difference of the two held-out terms is taken,

.. math:: \hat\Delta = \frac1n \sum_i d_i, \qquad d_i = i_a(y_i) - i_b(y_i)

with the error of a mean over independent pieces of evidence (groups, or rows) and Student's
t. Each critic may have been trained several times (seeds of the network or of the critic):
then the mean over the m trainings is compared, and how much they differ is in the error,

.. math:: \mathrm{se}^2 = \mathrm{se}_\text{rows}^2 + s_\text{trainings}^2 / m

with the degrees of freedom of Welch and Satterthwaite, few where trainings differ much. In
this the interaction of rows and trainings is in both parts, so it is rather too wide.

References:
    Cameron and Miller 2015, A Practitioner's Guide to Cluster-Robust Inference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import stdtr, stdtrit

from mi_probe.errors import InputError
from mi_probe.estimators import Estimate
from mi_probe.estimators.core.split import TOP, Split, codes_of
from mi_probe.facts import amount

_DECIDES = 0.1
"""Share of the sum of squares from which one piece of evidence decides."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored:
    """What one estimate says of each row, as comparing it needs; `scored` makes one."""

    name: str
    """What messages call it."""
    nats: float
    stderr: float
    ci: tuple[float, float]
    terms: Float[np.ndarray, " n"] = field(repr=False)
    """i(y; x) of each row in nats; their mean is ``nats``."""
    influence: Float[np.ndarray, " n"] = field(repr=False)
    """Of each row on ``nats``, but for a constant."""
    split: Split = field(repr=False)
    entropy_y: float | None = None
    labels: Shaped[np.ndarray, " n"] | None = field(repr=False, default=None)
    """Y, where it is known."""
    y_digest: str | None = None
    """Of Y; see `Estimate.y_digest`."""
    ids: Int[np.ndarray, " n"] | None = field(repr=False, default=None)
    """A number for the id of each row, where they have some."""
    draw: tuple[object, ...] = ()
    """Seeds of the training and the critic; what has equal ones is paired."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """I_a - I_b of the same rows, in nats; ``float(comparison)`` is ``difference``.

    Of two lower bounds: the critic of one side may be the weaker one. Where both are near
    H(Y) the few rows that decide may be missing by chance, and nothing here tells.
    """

    difference: float
    """Mean paired difference of held-out terms, a minus b."""
    stderr: float
    ci: tuple[float, float]
    """Interval of the difference, at ``level``."""
    p_value: float
    """Two-sided, of no difference, by Student's t; it is below 1 - ``level`` where ``ci``
    does not hold 0."""
    n: int
    """Number of rows."""
    units: int
    """Number of independent pieces of evidence: groups, or rows."""
    draws: int = 1
    """Number of trainings or seeds that the interval is over beside the rows; with 1 it
    says nothing of another training."""
    level: float = 0.95

    def __float__(self) -> float:
        return self.difference

    @property
    def words(self) -> str:
        """Difference, interval and p in a few words."""
        p = "p < 0.001" if self.p_value < 0.0005 else f"p = {self.p_value:.3f}"
        return f"{amount(self.difference, self.ci)}, {p}"


def compare_estimates(a: Estimate, b: Estimate, *, level: float = 0.95) -> Comparison:
    """The paired difference of two estimates of the same rows, in nats.

    Args:
        a: one estimate.
        b: another, of the same Y and rows: another layer, view, network, estimator or seed.
        level: of the interval.

    Raises:
        InputError: unless both are estimates and the rows and Y are the same.

    Example:
        >>> import numpy as np
        >>> from mi_probe.estimators import ESTIMATORS
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 300)
        >>> clear = y[:, None] + rng.standard_normal((300, 2))
        >>> noisy = clear + 2 * rng.standard_normal((300, 2))
        >>> one, two = (ESTIMATORS["linear"].estimate(x, y) for x in (clear, noisy))
        >>> found = compare_estimates(one, two)
        >>> found.ci[0] > 0 and found.p_value < 0.05
        True
    """
    return compare([placed(a, "a")], [placed(b, "b")], level=level)


def placed(estimate: Any, place: str) -> Scored:
    """An estimate as `compare` takes it, called by its place among the arguments.

    Raises:
        InputError: for what is neither an estimate nor what `scored` made of one.
    """
    if isinstance(estimate, Scored):
        return estimate
    if not isinstance(estimate, Estimate):
        raise InputError(
            "estimates must be what an estimator's estimate gives; "
            f"{place} is of type {type(estimate).__name__}."
        )
    return scored(estimate, f"{place} ({estimate.estimator.name})")


def scored(estimate: Estimate, name: str = "") -> Scored:
    """An estimate as `compare` takes it.

    Args:
        estimate: of some rows.
        name: what messages call it; the estimator's by default.
    """
    terms, kept = np.asarray(estimate.pointwise, dtype=np.float64), None
    split = estimate.split or rows_alone(len(terms), estimate.seed)
    if split.kept is not None:
        kept = split.kept
    return Scored(
        name=name or estimate.estimator.name,
        nats=estimate.nats,
        stderr=estimate.stderr,
        ci=estimate.ci,
        terms=terms,
        influence=terms if estimate.influence is None else estimate.influence,
        split=split,
        entropy_y=estimate.entropy_y,
        y_digest=estimate.y_digest,
        ids=kept,
        draw=(estimate.seed,),
    )


def rows_alone(
    n: int,
    seed: int,
    *,
    fold: Int[np.ndarray, " n"] | None = None,
    group: Int[np.ndarray, " n"] | None = None,
) -> Split:
    """The split of terms that are there already, which nothing is learned from again."""
    fold = np.zeros(n, dtype=np.int64) if fold is None else fold
    return Split(fold, np.full(n, TOP), seed, group)


def compare(a: Sequence[Scored], b: Sequence[Scored], *, level: float = 0.95) -> Comparison:
    """The paired difference of the means over trainings or seeds of two sides.

    Args:
        a: one estimate a training and seed.
        b: the same of the other side; equal `Scored.draw` are paired.
        level: of the interval.

    Raises:
        InputError: unless all are of the same rows and Y, or for a level outside (0, 1).
    """
    check_level(level)
    split = shared_split([*a, *b])
    sides = [_in_order(a), _in_order(b)]
    means = [np.mean([one.influence for one in side], axis=0) for side in sides]
    value = float(np.mean([s.nats for s in sides[0]]) - np.mean([s.nats for s in sides[1]]))
    rows = _error_of_rows(means[0] - means[1], split)
    between, freedom = _between(*sides)
    spread = rows**2 + between
    if spread == 0:  # the same terms twice, or no term on either side
        p = 1.0 if value == 0 else 0.0
        reach = 0.0
    else:
        parts = rows**4 / max(split.units - 1, 1) + between**2 / freedom
        freedom = spread**2 / parts
        p = float(2 * stdtr(freedom, -abs(value) / math.sqrt(spread)))
        reach = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(spread)
    return Comparison(
        difference=value,
        stderr=math.sqrt(spread),
        ci=(value - reach, value + reach),
        p_value=p,
        n=len(split),
        units=split.units,
        draws=min(len(a), len(b)),
        level=level,
    )


def check_level(level: float) -> None:
    """Raise unless it is a level of confidence."""
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95; got {level}.")


def shared_split(of: Sequence[Scored]) -> Split:
    """The split of rows that all of these are of; groups that share a row are one.

    Folds are those that all have in common; where they differ there is one.

    Raises:
        InputError: with the names of two that are of other rows, or another Y.
    """
    first = of[0]
    for other in of[1:]:
        check_same_rows(first, other)
    n = len(first.terms)
    group: np.ndarray | None = None
    for one in of:
        found = one.split.group
        if found is not None and group is None:
            group = codes_of(found)
        elif found is not None and group is not None:
            group = _joined(group, found)
    folds = [one.split.fold for one in of]
    same = all(np.array_equal(fold, folds[0]) for fold in folds)
    return rows_alone(n, first.split.seed, fold=folds[0] if same else None, group=group)


def are_of_the_same_rows(of: Sequence[Scored]) -> bool:
    """Whether these can be compared; see `check_same_rows`."""
    try:
        for other in of[1:]:
            check_same_rows(of[0], other)
    except InputError:
        return False
    return True


def check_same_rows(a: Scored, b: Scored) -> None:
    """Refuse to compare estimates of other rows, or of another Y.

    Raises:
        InputError: with both names, and where they differ.
    """
    said = ""
    if len(a.terms) != len(b.terms):
        said = f"{len(a.terms)} rows and {len(b.terms)}"
    elif a.ids is not None and b.ids is not None and (a.ids != b.ids).any():
        said = f"{_rows(a.ids != b.ids)} of other texts"
    elif (a.ids is None) != (b.ids is None):
        said = "rows left out of one alone"
    elif a.labels is not None and b.labels is not None and (a.labels != b.labels).any():
        said = f"{_rows(a.labels != b.labels)} of another Y"
    elif (a.entropy_y is None) != (b.entropy_y is None) or not math.isclose(
        a.entropy_y or 0.0, b.entropy_y or 0.0, abs_tol=1e-9
    ):
        said = "another H(Y)"
    elif None not in (a.y_digest, b.y_digest) and a.y_digest != b.y_digest:
        said = "another Y, or rows in another order"
    if said:
        raise InputError(
            f"estimates must be of the same rows and Y to be compared; {a.name} and "
            f"{b.name} have {said}. Measure both on the same rows."
        )


def _rows(differ: np.ndarray) -> str:
    return f"{int(differ.sum())} of {len(differ)} rows (row {int(differ.argmax())} first)"


def _in_order(side: Sequence[Scored]) -> list[Scored]:
    return sorted(side, key=lambda one: repr(one.draw))


def _error_of_rows(influence: Float[np.ndarray, " n"], split: Split) -> float:
    """Standard error over rows, and a unit more where one decides.

    Where one holds more than a tenth of the sum of squares (two critics near H(Y), few
    groups), others like it may be missing by chance: what it has beyond that is added.
    """
    squares = (units := split.one_each(influence)) - units.mean()
    squares = squares**2
    decides = max(float(squares.max() - _DECIDES * squares.sum()), 0.0)
    return math.hypot(split.standard_error(influence), math.sqrt(decides) / len(units))


def _between(a: list[Scored], b: list[Scored]) -> tuple[float, float]:
    """Variance of the difference over trainings, and its degrees of freedom."""
    if len(a) == len(b) > 1 and [one.draw for one in a] == [one.draw for one in b]:
        values = [one.nats - two.nats for one, two in zip(a, b, strict=True)]
        return float(np.var(values, ddof=1)) / len(a), len(a) - 1.0
    parts = [
        (float(np.var([one.nats for one in side], ddof=1)) / len(side), len(side) - 1)
        for side in (a, b)
        if len(side) > 1
    ]
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0, 1.0
    return total, total**2 / sum(part**2 / freedom for part, freedom in parts)


def _joined(one: np.ndarray, two: np.ndarray) -> Int[np.ndarray, " n"]:
    """Groups of rows that share a group of either."""
    two = codes_of(two) + one.max() + 1
    size = int(two.max()) + 1
    links = coo_array((np.ones(len(one)), (one, two)), shape=(size, size))
    return codes_of(connected_components(links, directed=False)[1][one])
