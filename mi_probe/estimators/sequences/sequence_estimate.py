r"""`auto` for classes on sequences: never less than its pooled views, more where it shows.

The sequence is read in three ways, all cross-fitted over the same pairs of folds:

* each pooled view alone, by the very stack that estimates I(Y;Z_p) (`engine.auto`);
* the ends: first, last and mean token side by side, in `token_coordinates`, which holds
  what no view holds alone (do the first and the last token match?), where a quarter of the
  rows shows that they add something;
* all tokens in order, by evidence networks (`token_fits`).

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
from typing import Any

from mi_probe.estimators.core.assembly import assembled
from mi_probe.estimators.core.base import Estimate, Estimator, Extrapolation
from mi_probe.estimators.core.learning_curve import most_carried
from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.discriminant_limit import DiscriminantLaw
from mi_probe.estimators.engine.limits import clearest_law, value_at_infinity
from mi_probe.estimators.engine.stack import Chosen, FoldStacks
from mi_probe.estimators.sequences.reading import Reading, reading_of
from mi_probe.hidden import HiddenStates

WHOLE = "whole"
"""What the stack of all views and of the tokens is called beside the views."""


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
    reported = max(last, key=lambda name: last[name].nats)
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


def _values(reading: Reading) -> dict[str, FoldStacks]:
    """The whole and each pooled view, with all rows to learn from."""
    folds: dict[str, list[Chosen]] = {name: [] for name in (WHOLE, *reading.pooled)}
    for k in range(reading.split.n_folds):
        stacks = reading.stacks(k)
        folds[WHOLE].append(reading.joined(stacks, TOP, k))
        for name in reading.pooled:
            folds[name].append(stacks[name])
    return {
        name: FoldStacks(chosen, reading.target, reading.split)
        for name, chosen in folds.items()
    }


def _largest(
    last: Mapping[str, FoldStacks], reported: str, reading: Reading
) -> Extrapolation:
    """The extrapolation of what is reported, or of a view that shows more.

    At least: whatever a view's columns are like, the order of tokens may hold more.
    """
    values = {name: value.nats for name, value in last.items()}
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
    last: Mapping[str, FoldStacks],
    name: str,
    reading: Reading,
    law: DiscriminantLaw | None,
) -> Extrapolation:
    split = reading.split
    curve = {split.n_learned(): last[name].terms}
    for level in range(TOP):
        folds = [
            reading.again(level, k, record)
            if name == WHOLE
            else reading.stack(name, level, k)
            for k, record in enumerate(last[name].records)
        ]
        stacks = FoldStacks(folds, reading.target, split)
        curve[split.n_learned(level)] = stacks.terms
    fits = reading.views["mean" if name == WHOLE else name]
    return value_at_infinity(curve, fits, law, split)
