r"""The learning curve: what endless rows would give, from critics that saw fewer.

A critic with p numbers learned from m rows loses about p/2m nats (Wilks), so held-out
values rise like :math:`I(m) = I_\infty - a/m` once m is large. The *same* held-out rows
are scored by critics that saw m/4, m/2 and m training rows, each a part of the next: the
differences

.. math:: D_1 = I(m) - I(m/2), \qquad D_2 = I(m/2) - I(m/4), \qquad r = D_2 / D_1

are paired, so their noise is far smaller than that of a value. In the 1/n regime both
:math:`D_1` and :math:`D_2 / 2` are the loss that is left. They are averaged by what each is
worth: :math:`D_2 / 2` has less noise, and :math:`D_1` is nearer to the regime.

Where hundreds of dimensions are learned from thousands of rows, r lies between 1.2 and 1.7
and yet the loss that is left was 0.7 to 1.1 times :math:`D_1` (Gaussian classes, d = 768):
a bend does not tell on which side of the law the curve is, so none is fitted, and a quarter
of the correction is added to its error. Nothing is constrained to be positive, so that
noise stays centred on 0 where there is nothing to find.

References:
    Abdelaleem, Martini and Nemenman 2025, arXiv 2506.00330 (extrapolation in 1/n).
    Wilks 1938 (the loss of p/2m).
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int

from mi_probe.errors import InputError
from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.split import TOP, Split, standard_error

_SPREAD = 0.25
"""Of the loss that is left, relative to what either step says of it."""
CURVE_KNOWS_LESS = "critics that need more rows may find more than the curve shows"
_SMALL = 0.01
"""Nats below which a step of the curve is not argued about."""

ScoreRows = Callable[
    [Int[np.ndarray, " m"], Int[np.ndarray, " k"]], Float[np.ndarray, " k"]
]
"""Trains on the first rows, gives held-out terms i(y; x) of the second, in nats."""


def learning_curve(
    score: ScoreRows, split: Split, full: Float[np.ndarray, " n"]
) -> dict[int, Float[np.ndarray, " n"]]:
    """Held-out terms of all examples by critics that saw a quarter, a half and all rows.

    Args:
        score: fits on some rows and scores others: one estimator, whole procedure.
        split: which rows are learned from.
        full: the terms by critics that saw all training rows.

    Returns:
        Training rows (mean over folds) and the terms that they reached, fewest first.
    """
    curve: dict[int, np.ndarray] = {}
    for level in range(TOP):
        terms = np.empty(len(split))
        for k in range(split.n_folds):
            held_out = split.held_out(k)
            terms[held_out] = score(split.rows(k, level=level), held_out)
        curve[split.n_learned(level)] = terms
    return curve | {split.n_learned(): full}


def extrapolation(
    curve: Mapping[int, Float[np.ndarray, " n"]],
    split: Split,
    *,
    doubt: str = "",
) -> Extrapolation:
    """What the critics come to at n -> infinity, in nats: I(Y;X) is at least that.

    The curve cannot know what critics have not found yet, so it claims no more. Where it
    does not carry an extrapolation (the gain from twice the rows does not shrink, as where
    a structure is only just found; more rows made the value worse; most of the value would
    be made up by the fit), nothing is added to the lower end of what was learned.

    Args:
        curve: held-out terms of the same examples, by training rows: a quarter, a half,
            all.
        split: which examples were held out together, and which count as one.
        doubt: why the estimator itself would not trust the curve; empty for no reason.

    Raises:
        InputError: for other sizes than a quarter, a half and all.
    """
    sizes = sorted(curve)
    if len(sizes) != 3 or any(
        abs(larger - 2 * smaller) > 0.6 * smaller + 2
        for smaller, larger in zip(sizes[:-1], sizes[1:], strict=True)
    ):
        raise InputError(
            "curve must hold the terms for a quarter, a half and all training rows; got "
            f"{sizes} rows."
        )
    terms = np.stack([split.one_each(curve[size]) for size in sizes])
    means = terms.mean(1)
    steps = np.stack([terms[2] - terms[1], terms[1] - terms[0]])
    covariance = np.cov(steps) / terms.shape[1] + 1e-12 * np.eye(2)
    last, before = float(means[2] - means[1]), float(means[1] - means[0])
    shares = _worth(last, covariance)
    rest = float(shares @ [last, before / 2])
    # One row's influence on the value: the error over examples and folds.
    influence = terms[2] + shares[0] * steps[0] + shares[1] * steps[1] / 2
    # What is lost in learning is a chi-square over 2m, of mean p/2m and variance p/2m^2.
    chance = math.sqrt(max(rest, 0.0) / sizes[2])
    noise = standard_error(influence, split.fold[split.firsts])
    error = math.hypot(noise, _SPREAD * rest, chance)
    nats = float(means[2]) + rest
    reason = doubt or _objection(float(means[2]), last, before, rest, covariance)
    low = nats - split.reach(error)
    if reason:
        low = float(means[2]) - split.reach(split.standard_error(curve[sizes[2]]))
    return Extrapolation(
        nats=nats,
        ci=(low, math.inf),
        claim="at_least",
        reason=reason or CURVE_KNOWS_LESS,
        curve=tuple((size, float(mean)) for size, mean in zip(sizes, means, strict=True)),
    )


def most_carried(value: float) -> float:
    """The largest value, in nats, that a curve which ends at ``value`` can carry."""
    return value + max(2 * _SMALL, 0.5 * value)


def reach_upwards(error: float, quantile: float, rows: int) -> float:
    r"""How far above the value the truth may be: the error as it would be up there.

    Where little is found the terms hardly differ, so an interval of their spread alone is
    too short: it left out 0.025 and 0.032 nats at n = 300, of which the rows at hand
    showed none. Information of x nats that went unseen has terms of variance 2x where x is
    small (the law of weak signals: mean x, log ratios of variance 2x). So, as in Wilson's
    interval of a share, the error is that of the limit itself:

    .. math:: x = z \sqrt{\sigma^2 + 2x/n} = z^2/n + \sqrt{z^4/n^2 + z^2 \sigma^2}

    References:
        Wilson 1927, doi 10.1080/01621459.1927.10502953.
    """
    unseen = quantile**2 / rows
    return unseen + math.hypot(unseen, quantile * error)


def _worth(last: float, covariance: Float[np.ndarray, "k k"]) -> Float[np.ndarray, " k"]:
    """Shares of the last step, and of half the one before, in what is left to gain.

    Both measure it with noise; the second also departs from it by as much as the curve is
    not in the 1/n regime.
    """
    halved = np.diag([1.0, 0.5])
    noise = halved @ covariance @ halved
    weights = np.linalg.solve(noise + np.diag([0.0, (2 * _SPREAD * last) ** 2]), np.ones(2))
    return weights / weights.sum()


def _objection(
    value: float,
    last: float,
    before: float,
    rest: float,
    covariance: Float[np.ndarray, "k k"],
) -> str:
    """Why the curve itself does not carry an extrapolation; empty where it does."""
    error = math.sqrt(covariance[0, 0])
    if last < -max(_SMALL, 3 * error):
        return f"twice the rows made the value worse, by {-last:.3f} nats"
    if last > max(_SMALL, 3 * error) and before < 1.1 * last:
        return (
            f"the gain from twice the rows does not shrink yet: {before:.3f}, then "
            f"{last:.3f} nats"
        )
    if value + rest > most_carried(value):
        return f"most of the value would be the fit's: {value:.3f} found, {rest:.3f} added"
    return ""
