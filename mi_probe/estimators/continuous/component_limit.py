"""What endless rows would give a Gaussian pair of components that are learned as well.

The directions of principal and independent components are learned from all rows, before
any fold is left out, and no theory says what that costs. So the whole procedure is done
anew, on each half and each quarter of the rows: all rows are scored at three sizes, and
the learning curve says what is left to gain (`learning_curve`).

Not to be trusted, and then it says so, where the components are not Gaussian: other columns
blur a direction that is learned from few rows, and where the density of the components is
high (cubes of normal columns near 0) that costs far more than in proportion to 1/n. The
value then falls short, though less so than what was learned.
"""

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.continuous.canonical import NestedCanonical
from mi_probe.estimators.continuous.normal_scores import BENT, excess_kurtosis
from mi_probe.estimators.continuous.views import mixed_view, narrowed
from mi_probe.estimators.protocol.base import Extrapolation
from mi_probe.estimators.protocol.learning_curve import extrapolation
from mi_probe.estimators.protocol.split import FRACTIONS, Split

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
            scored = np.empty(int(rows.sum()))
            for k, start in enumerate(nested.starts()):
                scored[fold[rows] == k] = start.ratio.paired(start.x_test, start.y_test)
            terms[rows] = scored
        # What is beyond the Gaussian critic has the same mean at every size.
        curve[round(len(x) * (1 - 1 / n_folds) / parts)] = terms + (learned - held_out)
    doubt = ""
    if independent:
        doubt = "no law is known for the loss of learning independent components"
    elif bend > BENT:
        doubt = f"components are not Gaussian (excess kurtosis {bend:.1f})"
    return extrapolation(curve, split, doubt=doubt)
