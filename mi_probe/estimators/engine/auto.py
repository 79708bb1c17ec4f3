"""`auto` for classes on vectors: `stack`, with its folds and its curve.

The bound is H(Y) minus the held-out cross-entropy; the interval is the bound's. Not to be
trusted as the *value* where a critic must be learned from few rows in many dimensions
(benchmarks/known_answers.csv: `gaussians d=768 c=4`): there read `Estimate.extrapolated`,
and see by what method it is and what it claims.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Estimator
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.cross_fits import CrossFits, ViewFits
from mi_probe.estimators.engine.limits import (
    clearest_law,
    under_the_law,
    value_at_infinity,
)
from mi_probe.estimators.engine.stack import Hint, fold_stacks
from mi_probe.estimators.models.columns import views_of_vectors

_MEMORY = 512 * 2**20
"""Bytes of fits that are kept for the next estimate on the same vectors."""
_USED = 0.1
"""Weight from which a member counts as used."""


def vector_estimate(
    estimator: Estimator,
    x: Float[np.ndarray, "n d"],
    target: Classes,
    split: Split,
    *,
    device: str,
    extrapolate: bool,
    hints: Sequence[Mapping[str, Any]] | None = None,
) -> Estimate:
    """I(Y;X) of classes and vectors, in nats.

    Args:
        estimator: the settings that the result names.
        x: the vectors.
        target: the classes.
        split: which rows learn and which are held out; its seed is the networks' too.
        device: where the networks are trained.
        extrapolate: also make the learning curve, from 40 examples or groups on.
        hints: the `Estimate.history` of an estimate with the same Y and seed: members
            that it did not use are left out, and only its places and those beside them
            are tried. A fold's hints are that fold's: they never saw its labels.
    """
    fits = cross_fits(x, target, split, device)
    told = None if hints is None else [hint_of(record, fits) for record in hints]
    curve: dict[int, np.ndarray] = {}
    for level in range(TOP) if extrapolate and split.has_curve else ():
        curve[split.n_learned(level)] = fold_stacks(fits, target, split, level, told).terms
        for fit in fits.values():
            fit.release(level)
    found, limit = fold_stacks(fits, target, split, TOP, told), None
    for fit in fits.values():
        fit.release(TOP)
    if curve:
        curve[split.n_learned()] = found.terms
        law = clearest_law(fits, target, split)
        limit = value_at_infinity(curve, fits, law, split)
        limit = under_the_law(limit, x, fits, target)
    return assembled(
        estimator,
        x,
        target,
        split,
        pointwise=found.terms,
        extrapolated=limit,
        history=found.records,
        log_posterior=found.log_posterior,
        inner=found.inner,
    )


def hint_of(record: Mapping[str, Any] | None, fits: Mapping[str, ViewFits]) -> Hint:
    """The used members' places and those beside them; none of a stack that was not made."""
    if record is None:
        return {}
    weights, found = record["weights"], {}
    for view, fit in fits.items():
        for name, path in fit.members.items():
            known = f"{view}:{name}"
            told = record["members"].get(known)
            if told is None:
                continue
            share = weights[known] + weights.get("product", 0.0) * told.get("power", 0.0)
            # A member that was tempered to nothing has any weight.
            share *= min(1.0, told["temperature"])
            if share > _USED:
                # On few rows the other X may have more coordinates, and longer paths.
                place = min(told["place"], len(path) - 1)
                found[known] = range(max(0, place - 1), min(len(path), place + 2))
    return found


# Outlives an estimate, up to `_MEMORY`; what it holds follows from the key alone.
_kept: OrderedDict[bytes, dict[str, CrossFits]] = OrderedDict()


def cross_fits(
    x: Float[np.ndarray, "n d"],
    target: Classes,
    split: Split,
    device: str,
) -> dict[str, CrossFits]:
    """The views' fits to these very vectors, classes and split, made once.

    I(Y;Z) reads the same pooled views that each I(Y;Z_p) reads alone.
    """
    key = blake2b(np.ascontiguousarray(x).data, digest_size=16)
    for array in (target.index, split.fold, split.level):
        key.update(array.tobytes())
    key.update(f"{x.shape} {x.dtype} {split.seed} {device}".encode())
    name = key.digest()
    if name in _kept:
        _kept.move_to_end(name)
        return _kept[name]
    _kept[name] = {
        view: CrossFits(values, target, split, device)
        for view, values in views_of_vectors(x)
    }
    # What an older one holds is known only once it was used, so room is made now.
    while len(_kept) > 1 and sum(map(_bytes, _kept.values())) > _MEMORY:
        _kept.popitem(last=False)
    return _kept[name]


def forget_fits() -> None:
    """Let go of the fits that are kept for the next estimate on the same vectors."""
    _kept.clear()


def _bytes(fits: dict[str, CrossFits]) -> int:
    return sum(fit.bytes_held for fit in fits.values())
