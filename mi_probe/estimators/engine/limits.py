"""The value at n -> infinity of classes: by theory where means are all, else by a curve."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.core.base import Extrapolation
from mi_probe.estimators.core.departures import two_sided_if_tested
from mi_probe.estimators.core.gaussian_laws import ClassLaw
from mi_probe.estimators.core.learning_curve import extrapolation
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.cross_fits import CrossFits, ViewFits
from mi_probe.estimators.engine.discriminant_limit import (
    MEANS_ALONE,
    DiscriminantLaw,
    by_law,
    discriminant_law,
)
from mi_probe.estimators.engine.stack import fold_stacks
from mi_probe.estimators.models.columns import standardised
from mi_probe.scratch import let_go

_NOTHING, _HIDDEN = 0.01, 0.1
"""Nats: what counts as nothing found, and what may not stay hidden without a word."""


def clearest_law(
    fits: Mapping[str, ViewFits],
    target: Classes,
    split: Split,
) -> DiscriminantLaw | None:
    """The law of linear discriminants in the view that tells them most.

    It counts rows, so there is none where several make a group.
    """
    if split.group is not None:
        return None
    found = []
    for fit in fits.values():
        if not isinstance(fit, CrossFits):
            continue
        law = discriminant_law(fit.coordinates, target.index, split.fold, target.log_prior)
        let_go([fit.coordinates])
        if law is not None:
            found.append(replace(law, regularised=_by_linear(fit, target, split)))
    return max(found, key=lambda law: law.reached, default=None)


def _by_linear(fit: CrossFits, target: Classes, split: Split) -> float:
    """What the stack of linear discriminants alone reaches on held-out rows, in nats."""
    hints = [{"x:linear": fit.kept_places("linear", TOP)}] * split.n_folds
    return fold_stacks({"x": fit}, target, split, TOP, hints).nats


def value_at_infinity(
    curve: Mapping[int, Float[np.ndarray, " n"]],
    fits: Mapping[str, ViewFits],
    law: DiscriminantLaw | None,
    split: Split,
) -> Extrapolation:
    """What endless rows would give, in nats, and its interval.

    Args:
        curve: held-out terms by training rows, fewest first.
        fits: the views that they are from.
        law: of the linear discriminants in these views.
        split: which rows are held out together.
    """
    rows = max(curve)
    learned = float(curve[rows].mean())
    doubt = doubt_about(learned, fits, rows)
    found = extrapolation(curve, split, doubt=doubt)
    return by_law(found, law, learned, split, doubt)


def under_the_law(
    limit: Extrapolation,
    x: Float[np.ndarray, "n d"],
    fits: Mapping[str, ViewFits],
    target: Classes,
) -> Extrapolation:
    """The value from both sides, where it is theory's and all rows pass as such classes.

    Args:
        limit: of all that X is, not of one view of it.
        x: the vectors.
        fits: their views, the first of which is X itself.
        target: the classes.
    """
    fit = next(iter(fits.values()), None)
    if limit.reason != MEANS_ALONE or not isinstance(fit, CrossFits):
        return limit
    law = ClassLaw(target.index)
    columns = standardised(x)
    return two_sided_if_tested(limit, law, fit.coordinates, columns, target.entropy)


def doubt_about(value: float, fits: Mapping[str, ViewFits], rows: int) -> str:
    """Why neither finding nothing nor a curve says much here; empty where they do.

    With fewer rows than dimensions a curve may look flat far from its end.
    The covariance of two whitened coordinates differs between classes by at most 1; from m
    rows in d dimensions a difference below sqrt(d/m) drowns in the noise of the others
    (Baik, Ben Arous and Peche 2005), and one of t is worth about -ln(1 - t^2)/2 nats.
    """
    d = max(fit.dimensions for fit in fits.values()) if fits else 0
    squared = d / rows
    if squared >= 1 and value > _NOTHING:
        return f"{rows} rows in {d} dimensions are too few for a curve that falls like 1/n"
    hidden = np.inf if squared >= 1 else -0.5 * np.log1p(-squared)
    if value > _NOTHING or hidden < _HIDDEN:
        return ""
    most = "any amount" if np.isinf(hidden) else f"up to {hidden:.2f} nats"
    return (
        f"nothing was found, but {rows} rows in {d} dimensions would hide a dependence on "
        f"pairs of coordinates, {most}"
    )
