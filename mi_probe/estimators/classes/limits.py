"""The value at n -> infinity of classes: by theory where means are all, else by a curve."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.classes.cross_fits import CrossFits, ViewFits
from mi_probe.estimators.classes.discriminant_limit import (
    DiscriminantLaw,
    by_law,
    discriminant_law,
)
from mi_probe.estimators.classes.stack import held_out_terms, stacked
from mi_probe.estimators.protocol.base import Extrapolation
from mi_probe.estimators.protocol.learning_curve import PARTS, extrapolation
from mi_probe.estimators.protocol.targets import Classes

TOP = len(PARTS) - 1
"""The level of the learning curve that has all rows."""
_NOTHING, _HIDDEN = 0.01, 0.1
"""Nats: what counts as nothing found, and what may not stay hidden without a word."""


def clearest_law(
    fits: Mapping[str, ViewFits],
    target: Classes,
    fold: Int[np.ndarray, " n"],
    group: Int[np.ndarray, " n"] | None,
) -> DiscriminantLaw | None:
    """The law of linear discriminants in the view that tells them most.

    It counts rows, so there is none where a ``group`` tells of copies.
    """
    if group is not None:
        return None
    found = []
    for fit in fits.values():
        if not isinstance(fit, CrossFits):
            continue
        law = discriminant_law(fit.coordinates, target.index, fold, target.log_prior)
        if law is not None:
            found.append(replace(law, regularised=_by_linear(fit, target, fold)))
    return max(found, key=lambda law: law.reached, default=None)


def _by_linear(fit: CrossFits, target: Classes, fold: Int[np.ndarray, " n"]) -> float:
    """What the stack of linear discriminants alone reaches on held-out rows, in nats."""
    places = fit.kept_places("linear", TOP)
    hints = [{"x:linear": places}] * (int(fold.max()) + 1)
    ratios = np.empty((len(fold), target.n_classes))
    level = np.zeros(len(fold), dtype=np.int64)
    for k in range(len(hints)):
        chosen = stacked({"x": fit}, target, fold, level, TOP, k, hints)
        ratios[fold == k] = chosen.test
    return float(held_out_terms(ratios, target.index, target.log_prior).mean())


def value_at_infinity(
    curve: Mapping[int, Float[np.ndarray, " n"]],
    fits: Mapping[str, ViewFits],
    law: DiscriminantLaw | None,
    fold: Int[np.ndarray, " n"],
    group: Int[np.ndarray, " n"] | None,
) -> Extrapolation:
    """What endless rows would give, in nats, and its interval.

    Args:
        curve: held-out terms by training rows, fewest first.
        fits: the views that they are from.
        law: of the linear discriminants in these views.
        fold: in which fold each example is held out.
        group: which examples are copies of one another; None where none is.
    """
    rows = max(curve)
    learned = float(curve[rows].mean())
    doubt = doubt_about(learned, fits, rows)
    found = extrapolation(curve, fold, doubt=doubt, group=group)
    return by_law(found, law, learned, fold, doubt)


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
