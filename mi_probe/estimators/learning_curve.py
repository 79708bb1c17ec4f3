r"""The learning curve: what endless rows would give, from critics that saw fewer.

A critic with p numbers learned from m rows loses about p/2m nats (Wilks), so held-out
values rise like :math:`I(m) = I_\infty - a/m` once m is large. The *same* held-out rows
are scored by critics that saw m/4, m/2 and m training rows, each a part of the next: the
differences

.. math:: D_1 = I(m) - I(m/2), \qquad D_2 = I(m/2) - I(m/4), \qquad r = D_2 / D_1

are paired, so their noise is far smaller than that of a value. In the 1/n regime r = 2 and
the loss that is left is :math:`D_1`. Where regularised critics in many dimensions are not
quite there yet, the curve is better described by the rational function
:math:`(A + Bh)/(1 + kh)` of h = 1/m, which goes through all three points and leaves

.. math:: I_\infty - I(m) = D_1 \frac{r + 1}{2r - 1}.

r is a ratio of small numbers: it is shrunk towards 2 by a normal prior of spread 0.5, as
far as its own noise asks, and what stays unknown of it widens the interval. Nothing is
constrained to be positive, so that noise stays centred on 0 where there is nothing to find.

References:
    Abdelaleem, Martini and Nemenman 2025, arXiv 2506.00330 (extrapolation in 1/n).
    Bulirsch and Stoer 1964 (rational extrapolation).
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as student_t

from mi_probe.errors import InputError
from mi_probe.estimators.assembly import standard_error
from mi_probe.estimators.base import Extrapolation

PARTS = (4, 2, 1)
"""The training rows are divided by these; each part holds the one before it."""

_SPREAD = 0.5
"""Of the prior for r, around 2."""
_SMALL = 0.01
"""Nats below which a step of the curve is not argued about."""

ScoreRows = Callable[
    [Int[np.ndarray, " m"], Int[np.ndarray, " k"]], Float[np.ndarray, " k"]
]
"""Trains on the first rows, gives held-out terms i(y; x) of the second, in nats."""


def nested_parts(
    rows: Int[np.ndarray, " m"],
    classes: Int[np.ndarray, " n"] | None,
    rng: np.random.Generator,
) -> list[Int[np.ndarray, " k"]]:
    """A quarter, a half and all of the rows, each holding the one before.

    Args:
        rows: the training rows of a fold.
        classes: of all examples, so that each part has about the same shares; None for a
            Y without classes.
        rng: draws the parts.
    """
    place = rng.permutation(len(rows)).astype(float)
    if classes is not None:
        own = classes[rows]
        order = np.lexsort((place, own))
        counts = np.bincount(own)
        first = np.cumsum(counts) - counts
        rank = np.empty(len(rows))
        rank[order] = np.arange(len(rows)) - first[own[order]]
        # The place inside the class, as a share of it: a prefix holds equal shares.
        place = (rank + rng.random(len(rows))) / counts[own]
    ordered = rows[np.argsort(place, kind="stable")]
    return [np.sort(ordered[: max(1, len(rows) // part)]) for part in PARTS]


def learning_curve(
    score: ScoreRows,
    fold: Int[np.ndarray, " n"],
    rng: np.random.Generator,
    *,
    classes: Int[np.ndarray, " n"] | None = None,
    full: Float[np.ndarray, " n"] | None = None,
) -> dict[int, Float[np.ndarray, " n"]]:
    """Held-out terms of all examples by critics that saw a quarter, a half and all rows.

    Args:
        score: fits on some rows and scores others: one estimator, whole procedure.
        fold: in which fold each example is held out.
        rng: draws the nested parts.
        classes: of all examples, for parts with equal shares.
        full: the terms by critics that saw all training rows, where they are known
            already; else they are made too.

    Returns:
        Training rows (mean over folds) and the terms that they reached, fewest first.
    """
    n, n_folds = len(fold), int(fold.max()) + 1
    wanted = len(PARTS) if full is None else len(PARTS) - 1
    terms = np.empty((wanted, n))
    sizes = np.zeros(len(PARTS))
    for k in range(n_folds):
        held_out = np.flatnonzero(fold == k)
        parts = nested_parts(np.flatnonzero(fold != k), classes, rng)
        sizes += [len(part) / n_folds for part in parts]
        for place, part in enumerate(parts[:wanted]):
            terms[place, held_out] = score(part, held_out)
    made = [*terms] if full is None else [*terms, full]
    return {round(size): values for size, values in zip(sizes, made, strict=True)}


def extrapolation(
    curve: Mapping[int, Float[np.ndarray, " n"]],
    fold: Int[np.ndarray, " n"],
    *,
    doubt: str = "",
) -> Extrapolation:
    """The value at n -> infinity and its 95 % interval, in nats: not a bound.

    Not to be trusted where ``reliable`` is False: the gain from twice the rows does not
    shrink (the curve is not in the 1/n regime, as where a structure is only just found),
    more rows made the value worse, or most of the value would be made up by the fit.

    Args:
        curve: held-out terms of the same examples, by training rows: a quarter, a half,
            all.
        fold: in which fold each example was held out.
        doubt: why the estimator itself would not trust the value; empty for no reason.

    Raises:
        InputError: for other sizes than a quarter, a half and all.
    """
    sizes = sorted(curve)
    if len(sizes) != 3 or any(
        abs(larger / max(smaller, 1) - 2) > 0.6
        for smaller, larger in zip(sizes[:-1], sizes[1:], strict=True)
    ):
        raise InputError(
            "curve must hold the terms for a quarter, a half and all training rows; got "
            f"{sizes} rows."
        )
    terms = np.stack([curve[size] for size in sizes])
    means = terms.mean(1)
    steps = np.stack([terms[2] - terms[1], terms[1] - terms[0]])
    covariance = np.cov(steps) / terms.shape[1] + 1e-12 * np.eye(2)
    last, before = float(means[2] - means[1]), float(means[1] - means[0])
    rest, unknown = _rest(last, before, covariance)
    # One row's influence on the value, to first order: the error over examples and folds.
    slopes = _slopes(last, before, covariance)
    influence = terms[2] + slopes[0] * steps[0] + slopes[1] * steps[1]
    error = math.hypot(standard_error(influence, fold), unknown)
    nats = float(means[2]) + rest
    reach = float(student_t.ppf(0.975, terms.shape[1] - 1)) * error
    reason = doubt or _objection(float(means[2]), last, before, rest, covariance)
    return Extrapolation(
        nats=nats,
        ci=(nats - reach, nats + reach),
        reliable=not reason,
        reason=reason,
        curve=tuple((size, float(mean)) for size, mean in zip(sizes, means, strict=True)),
    )


def _rest(
    last: float, before: float, covariance: Float[np.ndarray, "k k"]
) -> tuple[float, float]:
    """What is left to gain after the last step, and the spread of what is unknown of it.

    The last step and half the one before it measure the same number, but for noise and for
    r - 2; so they are averaged by what each is worth, and r takes from their contrast the
    share that is not noise.
    """
    halved = np.diag([1.0, 0.5])
    noise = halved @ covariance @ halved
    bend = (0.5 * _SPREAD * last) ** 2
    weights = np.linalg.solve(noise + np.diag([0.0, bend]), np.ones(2))
    step = float(weights @ [last, before / 2] / weights.sum())
    contrast = noise[0, 0] + noise[1, 1] - 2 * noise[0, 1]
    share = bend / (bend + contrast)
    ratio = max(1.0, 2 + share * (before / last - 2)) if last > 0 else 2.0
    unknown = abs(step) * _SPREAD * math.sqrt(1 - share) / 3
    return step * (ratio + 1) / (2 * ratio - 1), unknown


def _slopes(
    last: float, before: float, covariance: Float[np.ndarray, "k k"]
) -> tuple[float, float]:
    """How the rest moves with either step."""
    reach = np.sqrt(np.diag(covariance)) / 2
    along_last = _rest(last + reach[0], before, covariance)[0]
    along_last -= _rest(last - reach[0], before, covariance)[0]
    along_before = _rest(last, before + reach[1], covariance)[0]
    along_before -= _rest(last, before - reach[1], covariance)[0]
    return along_last / (2 * reach[0]), along_before / (2 * reach[1])


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
    if last > max(_SMALL, 3 * error) and before < 1.2 * last:
        return (
            f"the gain from twice the rows does not shrink yet: {before:.3f}, then "
            f"{last:.3f} nats"
        )
    if rest > max(2 * _SMALL, 0.5 * value):
        return f"most of the value would be the fit's: {value:.3f} found, {rest:.3f} added"
    return ""
