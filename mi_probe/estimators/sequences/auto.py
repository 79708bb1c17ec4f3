r"""`auto` for classes on sequences: never less than its pooled views, more where it shows.

The sequence is read in three ways, all cross-fitted over the same pairs of folds:

* each pooled view alone, by the very stack that estimates I(Y;Z_p) (`engine.auto`);
* the ends: first, last and mean token side by side, in `token_coordinates`, which holds
  what no view holds alone (do the first and the last token match?), where a quarter of the
  rows shows that they add something;
* all tokens in order, by evidence networks (`fits`).

Where fold k is held out, the start is the best single view, value for value. All stacks
together, as a mixture of them and of the product of their evidence, replace it only if they
gain more than a standard error on the other folds' rows. So where a view is sufficient, the
estimate *is* that view's, and I(Y;Z) - I(Y;Z_p) is 0 and not the noise of two fits.

Fewer rows, for the learning curve, are read by what was used with all of them, and a view's
own curve is made only where its extrapolation could be the largest.

I(Y;Z) >= I(Y;Z_p) holds for every view, so the largest of the lower bounds is the best one
known: should the whole be below a view after all, the estimate is the view's. That choice
looks at the reported values; where several are equal, their maximum is high by about the
error of their paired differences, far below the standard error of either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Estimator, Extrapolation
from mi_probe.estimators.core.learning_curve import most_carried
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.discriminant_limit import DiscriminantLaw
from mi_probe.estimators.engine.limits import clearest_law, value_at_infinity
from mi_probe.estimators.engine.stack import held_out_terms
from mi_probe.estimators.sequences.reading import Reading, reading_of
from mi_probe.hidden import HiddenStates

WHOLE = "whole"
"""What the stack of all views and of the tokens is called beside the views."""


@dataclass(frozen=True)
class Values:
    """Held-out values of all rows, with all rows to learn from."""

    terms: Float[np.ndarray, " n"]
    log_posterior: Float[np.ndarray, "n c"]
    records: list[dict[str, Any]]
    inner: Float[np.ndarray, "k n c"]


def sequence_estimate(
    estimator: Estimator,
    z: HiddenStates,
    target: Classes,
    split: Split,
    *,
    device: str,
    extrapolate: bool,
    hints: Sequence[Mapping[str, Any]] | None = None,
) -> Estimate:
    """I(Y;Z) in nats, at least as large as that of each pooled view.

    Not to be trusted as the *value* of Z where the order of tokens matters in a way that
    log-sum-exp over pairs of tokens cannot say (parity over many tokens): it is a lower
    bound there, and the learning curve need not know what the networks cannot learn.

    Args:
        estimator: the settings that the result names.
        z: the states.
        target: the classes.
        split: which rows learn and which are held out; its seed is the networks' too.
        device: where the networks are trained.
        extrapolate: also make the learning curve, from 40 examples or groups on.
        hints: the `Estimate.history` of a like Z (the layer before) with the same Y and
            seed: the ends and the tokens are left out where it did not use them, and
            members are tried as in `vector_estimate`. A fold's hints are that fold's.
    """
    reading = reading_of(z, target, split, device, hints)
    last = _values(reading)
    curved = extrapolate and split.has_curve
    # The whole comes first, so a tie is the whole's.
    reported = max(last, key=lambda name: float(last[name].terms.mean()))
    records = [
        {"reported": reported, **record, "whole": whole}
        for record, whole in zip(last[reported].records, last[WHOLE].records, strict=True)
    ]
    return assembled(
        estimator,
        z,
        target,
        split,
        pointwise=last[reported].terms,
        extrapolated=_largest(last, reported, reading) if curved else None,
        history=records,
        log_posterior=last[reported].log_posterior,
        inner=last[WHOLE].inner,
    )


def _values(reading: Reading) -> dict[str, Values]:
    """Held-out values of the whole and of each pooled view."""
    target, split = reading.target, reading.split
    shape = (len(split), target.n_classes)
    ratios = {name: np.empty(shape) for name in (WHOLE, *reading.pooled)}
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in ratios}
    inner: dict[str, list[np.ndarray]] = {name: [] for name in ratios}
    for k in range(split.n_folds):
        stacks, rows = reading.stacks(k), split.held_out(k)
        read = {name: stacks[name] for name in reading.pooled}
        for name, chosen in {**read, WHOLE: reading.joined(stacks, TOP, k)}.items():
            ratios[name][rows] = chosen.test
            records[name].append(chosen.record)
            inner[name].append(chosen.log_posterior(split.fold != k, target.log_prior))
    return {
        name: Values(
            held_out_terms(ratio, target.index, target.log_prior),
            log_softmax(ratio + target.log_prior, axis=1),
            records[name],
            np.stack(inner[name]),
        )
        for name, ratio in ratios.items()
    }


def _largest(last: Mapping[str, Values], reported: str, reading: Reading) -> Extrapolation:
    """The extrapolation of what is reported, or of a view that shows more.

    At least: whatever a view's columns are like, the order of tokens may hold more.
    """
    values = {name: float(value.terms.mean()) for name, value in last.items()}
    laws = {
        name: clearest_law(reading.views[name], reading.target, reading.split)
        for name in reading.pooled
    }
    known = [law for law in laws.values() if law is not None]
    laws[WHOLE] = max(known, key=lambda law: law.reached, default=None)
    found = _extrapolated(last, reported, reading, laws[reported])
    for name in sorted(values.keys() - {reported}, key=lambda name: -values[name]):
        most = most_carried(values[name])
        if (law := laws[name]) is not None and law.holds:
            most = max(most, law.value)
        if most <= found.nats:
            continue
        other = _extrapolated(last, name, reading, law)
        if other.ci[0] > found.ci[0]:
            found = other
    return found


def _extrapolated(
    last: Mapping[str, Values],
    name: str,
    reading: Reading,
    law: DiscriminantLaw | None,
) -> Extrapolation:
    target, split = reading.target, reading.split
    curve = {split.n_learned(): last[name].terms}
    for level in range(TOP):
        ratios = np.empty((len(split), target.n_classes))
        for k, record in enumerate(last[name].records):
            whole = name == WHOLE
            stack = (
                reading.again(level, k, record) if whole else reading.stack(name, level, k)
            )
            ratios[split.held_out(k)] = stack.test
        terms = held_out_terms(ratios, target.index, target.log_prior)
        curve[split.n_learned(level)] = terms
    fits = reading.views["mean" if name == WHOLE else name]
    return value_at_infinity(curve, fits, law, split)
