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
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import stdtr, stdtrit

from mi_probe.analysis.scored import Scored, placed, shared_split
from mi_probe.errors import InputError
from mi_probe.estimators import Estimate
from mi_probe.estimators.core.split import Split
from mi_probe.facts import amount

_DECIDES = 0.1
"""Share of the sum of squares from which one piece of evidence decides."""


@dataclass(frozen=True, kw_only=True, repr=False)
class PairedDifference:
    """I_a - I_b of the same rows, in nats; ``float(found)`` is ``difference``.

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
    a: float
    """Mean of the one side over its trainings."""
    b: float
    freedom: float
    """Degrees of freedom of the error; infinite where it is 0."""
    draws: int = 1
    """Number of trainings or seeds that the interval is over beside the rows; with 1 it
    says nothing of another training."""
    level: float = 0.95

    def __float__(self) -> float:
        return self.difference

    def __repr__(self) -> str:
        return f"PairedDifference({self.words}; {self.n:,} rows, {self.units:,} units)"

    @property
    def seen(self) -> float:
        """The smallest true difference that such an error would show in 80 % of runs."""
        t = stdtrit(self.freedom, 0.5 + self.level / 2) + stdtrit(self.freedom, 0.8)
        return float(t) * self.stderr

    @property
    def words(self) -> str:
        """Difference, interval and p in a few words."""
        p = "p < 0.001" if self.p_value < 0.0005 else f"p = {self.p_value:.3f}"
        return f"{amount(self.difference, self.ci)}, {p}"


def compare_estimates(a: Estimate, b: Estimate, *, level: float = 0.95) -> PairedDifference:
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


def compare(
    a: Sequence[Scored], b: Sequence[Scored], *, level: float = 0.95
) -> PairedDifference:
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
    rows = _error_of_rows(means[0] - means[1], split)
    between, freedom = _between(*sides)
    spread = rows**2 + between
    parts = rows**4 / max(split.units - 1, 1) + between**2 / freedom
    return with_error(
        *(float(np.mean([one.nats for one in side])) for side in sides),
        stderr=math.sqrt(spread),
        freedom=spread**2 / parts if spread else math.inf,
        n=len(split),
        units=split.units,
        draws=min(len(a), len(b)),
        level=level,
    )


def with_error(
    a: float, b: float, *, stderr: float, freedom: float, level: float = 0.95, **counts: int
) -> PairedDifference:
    """The difference of two means, from its error and the error's degrees of freedom."""
    value = a - b
    if stderr == 0:  # the same terms twice, or no term on either side
        p, reach = float(value == 0), 0.0
    else:
        p = float(2 * stdtr(freedom, -abs(value) / stderr))
        reach = float(stdtrit(freedom, 0.5 + level / 2)) * stderr
    return PairedDifference(
        difference=value,
        stderr=stderr,
        ci=(value - reach, value + reach),
        p_value=p,
        a=a,
        b=b,
        freedom=freedom,
        level=level,
        **counts,
    )


def check_level(level: float) -> None:
    """Raise unless it is a level of confidence."""
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, such as 0.95; got {level}.")


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
