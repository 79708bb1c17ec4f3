r"""What endless rows would give scores: canonical correlations without bias, or a curve.

With as many columns as some share of the rows, :math:`c_x = d_x/n, c_y = d_y/n`, the
sample's squared canonical correlations :math:`\lambda` tend to a known function of the
true ones :math:`r`,

.. math:: \lambda = r \,(1 - c_x + c_x / r)\,(1 - c_y + c_y / r),

wherever r lies above :math:`\sqrt{c_x c_y / ((1 - c_x)(1 - c_y))}`; below, a pair cannot be
told from noise. Solved for r, it gives :math:`I_\infty = -\tfrac12 \sum \log(1 - r)` from
one fit, where a learning curve would need far more rows than columns.

That is for a few pairs among many columns. Where m pairs are related they share their
columns: a matrix of rank m has :math:`m(d_x + d_y - m)` parameters, not
:math:`m(d_x + d_y)`, and the sample gains half of their number over n. So each pair counts
as one of :math:`d_x - m/2` and :math:`d_y - m/2` columns: of 5.96 nats in 20 related pairs
of 20 x 20 columns, 1,000 rows then give 5.96, and without it 5.75.

The directions of principal and independent components are learned from all rows, before
any fold is left out, and no theory says what that costs. So the whole procedure is done
anew, on each half and each quarter of the rows: all rows are scored at three sizes, and
the learning curve says what is left to gain (`learning_curve`). That is not to be trusted,
and then it says so, where the components are not Gaussian: other columns blur a direction
that is learned from few rows, and where the density of the components is high (cubes of
normal columns near 0) that costs far more than in proportion to 1/n. The value then falls
short, though less so than what was learned.

References:
    Bao, Hu, Pan and Zhou 2019, Canonical correlation coefficients of high-dimensional
    Gaussian vectors, arXiv 1704.02408, theorem 1.8.
    Wilks 1938 (half the parameters over n).
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.linalg import cholesky, solve_triangular
from scipy.stats import t as student_t

from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.learning_curve import extrapolation
from mi_probe.estimators.core.split import FRACTIONS, Split
from mi_probe.estimators.models.normal_scores import BENT, excess_kurtosis
from mi_probe.estimators.scores.canonical import (
    MOST_PAIRS,
    CanonicalStart,
    NestedCanonical,
    held_out_ratios,
)
from mi_probe.estimators.scores.views import mixed_view, narrowed

NOT_TESTED = "pairs may be related otherwise than along canonical correlations"
_MOST = 0.9
"""Columns on both sides, as a share of the rows, above which there is no limit."""


def true_squares(
    sample: Float[np.ndarray, " m"], c_x: float, c_y: float
) -> Float[np.ndarray, " m"]:
    """Squared correlations that the sample's come from; 0 for those in the noise."""
    half = (sample - c_x * (1 - c_y) - c_y * (1 - c_x)) / 2
    square, product = (1 - c_x) * (1 - c_y), c_x * c_y
    inside = half**2 - square * product
    found = (half + np.sqrt(np.maximum(inside, 0))) / square
    return np.where((inside > 0) & (half > 0), np.clip(found, 0, 1 - 1e-12), 0.0)


def sample_squares(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, " m"]:
    """Squared canonical correlations of a sample, largest first."""
    x, y = x - x.mean(0), y - y.mean(0)
    roots = []
    for side in (x, y):
        scatter = side.T @ side
        level = 1e-9 * np.trace(scatter) / len(scatter)
        roots.append(cholesky(scatter + level * np.eye(len(scatter)), lower=True))
    half = solve_triangular(roots[0], x.T @ y, lower=True)
    middle = solve_triangular(roots[1], half.T, lower=True)
    small = middle @ middle.T if middle.shape[0] <= middle.shape[1] else middle.T @ middle
    return np.linalg.eigvalsh(small)[::-1]


def canonical_limit(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    split: Split,
    starts: Sequence[CanonicalStart],
    learned_terms: Float[np.ndarray, " n"],
) -> Extrapolation:
    """The value of a Gaussian pair at n -> infinity, in nats: I(Y;X) is at least that.

    Its error is a jackknife's over the folds, and the held-out value's own.

    Args:
        x: scores of X.
        y: scores of Y.
        split: which rows were held out together; its folds are the jackknife's.
        starts: of each held-out fold, the Gaussian critic; none where there is none.
        learned_terms: those of the estimate that is to be extrapolated, which the limit is
            never below.
    """
    found = sorted(len(start.ratio.correlations) for start in starts)
    # How many pairs of directions held-out rows have shown to be correlated.
    pairs = found[len(found) // 2] if found else 0
    held_out = float(held_out_ratios(starts, split.fold).mean()) if found else 0.0
    learned, stderr = float(learned_terms.mean()), split.standard_error(learned_terms)
    n, n_folds, fold = len(x), split.n_folds, split.fold
    columns = x.shape[1] + y.shape[1]
    rows = round(n * (1 - 1 / n_folds))
    if columns > _MOST * n:
        reason = f"{columns} columns need more than the {n} rows"
        return _record(learned, 1.96 * stderr, rows, learned, reason)
    if not pairs:
        return _record(learned, 1.96 * stderr, rows, learned, "no related pair was found")
    value, separated = _limit(x, y, pairs)
    if columns * 20 < n:
        # The noise of leaving rows out would be larger than what it measures.
        spread = 0.0
    else:
        parts = np.array(
            [_limit(x[fold != k], y[fold != k], pairs)[0] for k in range(n_folds)]
        )
        spread = math.sqrt((n_folds - 1) / n_folds * ((parts - parts.mean()) ** 2).sum())
    # A stack has already won back some of what one Gaussian critic loses by learning.
    nats = max(learned, value)
    reach = math.hypot(
        float(student_t.ppf(0.975, n - 1)) * stderr,
        float(student_t.ppf(0.975, n_folds - 1)) * spread,
    )
    reason = "" if separated else "a correlation that counts lies at the edge of the noise"
    if pairs == MOST_PAIRS < min(x.shape[1], y.shape[1]):
        reason = (
            f"all {pairs} pairs that were looked for are related, and there may be more"
        )
    if not reason and value - held_out > max(0.02, held_out):
        reason = (
            f"most of the value would be the limit's: {held_out:.3f} found, "
            f"{value - held_out:.3f} added"
        )
    if reason:
        # A limit that is doubted adds nothing to the lower end.
        reach = nats - learned + float(student_t.ppf(0.975, n - 1)) * stderr
    return _record(nats, reach, rows, learned, reason or NOT_TESTED)


def _limit(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], pairs: int
) -> tuple[float, bool]:
    squares = sample_squares(x, y)[:pairs]
    columns = (side.shape[1] - len(squares) / 2 for side in (x, y))
    true = true_squares(squares, *(count / len(x) for count in columns))
    return float(-0.5 * np.log1p(-true).sum()), bool((true > 0).all())


def _record(
    nats: float, reach: float, rows: int, learned: float, reason: str
) -> Extrapolation:
    return Extrapolation(
        nats=nats,
        ci=(nats - reach, math.inf),
        claim="at_least",
        reason=reason,
        curve=((rows, learned),),
        method="canonical correlations",
    )


_LEAST_ROWS = 20
"""Of a fold in the smallest part."""


def component_limit(
    x: Float[np.ndarray, "n d"],
    y: Float[np.ndarray, "n k"],
    split: Split,
    *,
    independent: bool,
    held_out: Float[np.ndarray, " n"],
    learned: Float[np.ndarray, " n"],
) -> Extrapolation | None:
    """The value at n -> infinity, in nats; None where there are too few rows for a curve.

    Args:
        x: columns of X, not cut yet.
        y: columns of Y.
        split: which rows were held out together; its seed draws the parts.
        independent: whether independent components are meant, not principal ones.
        held_out: terms of the Gaussian critic of all rows' components.
        learned: the terms that are to be extrapolated; what they hold beyond the Gaussian
            critic is kept as it is.
    """
    rng = np.random.default_rng(np.random.SeedSequence([split.seed, 4]))
    place = np.arange(len(x)) if split.group is None else split.group
    order = rng.permutation(split.units)[place]
    smallest = order % max(FRACTIONS)
    fold, n_folds = split.fold, split.n_folds
    counts = np.bincount(smallest * n_folds + fold, minlength=max(FRACTIONS) * n_folds)
    if counts.min() < _LEAST_ROWS:
        return None
    curve, bend = {}, 0.0
    for parts in FRACTIONS:
        terms = held_out.copy()
        for part in range(parts if parts > 1 else 0):
            rows = order % parts == part
            columns = narrowed(x[rows], y[rows])
            bend = max(bend, *map(excess_kurtosis, columns))
            view = mixed_view(*columns, independent=independent)
            nested = NestedCanonical(view.x, view.y, fold[rows])
            terms[rows] = held_out_ratios(list(nested.starts()), fold[rows])
        # What is beyond the Gaussian critic has the same mean at every size.
        curve[round(len(x) * (1 - 1 / n_folds) / parts)] = terms + (learned - held_out)
    doubt = ""
    if independent:
        doubt = "no law is known for the loss of learning independent components"
    elif bend > BENT:
        doubt = f"components are not Gaussian (excess kurtosis {bend:.1f})"
    return extrapolation(curve, split, doubt=doubt)
