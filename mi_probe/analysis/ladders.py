"""Ladders of the gap: against the critic's capacity, and against noise before pooling.

A gap between critics is one of usable information: what a critic of that capacity extracts
(Xu et al. 2020, arXiv 2002.10689). It is worth the name only along a ladder, on which it
first changes and then saturates. Every rung is scored on held-out rows with the same folds.
A rung's critic contains those of the rungs below it, of Z as of Z_p, and Z's is learned on
top of Z_p's (`nested_gap`, by the critics alone), so that more capacity is never less. The
rung that is reported for a fold's rows is chosen on the other folds' rows.

At every sigma above 0 the data processing inequality holds strictly for the noised states,
Z + sigma*RMS*eps, and no argument from injectivity applies: a gap is one of Shannon
information, up to what the critics miss.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from jaxtyping import Float

from mi_probe.analysis.dpi import dpi_gap
from mi_probe.analysis.gap import Gap
from mi_probe.analysis.gap_inputs import DRAWS, pooled_views
from mi_probe.analysis.learned_pooling import check_pooling, is_learned, taught
from mi_probe.analysis.nested_gap import Sides, nested_gap, paired_mean
from mi_probe.analysis.verdict import CAVEAT
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimate, Estimator, MemberStack
from mi_probe.estimators.core.parameters import without_limit
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Classes, Target, as_target
from mi_probe.facts import amount
from mi_probe.hidden import HiddenStates


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Rungs of a gap, in nats, what they come to, and what may be read from them."""

    table: pd.DataFrame = field(repr=False)
    """One row a rung."""
    chosen: str
    """The rung whose critic of Z did best on rows that are not the reported ones; for
    noise, the least noise at which a gap is shown, or ``none``."""
    saturated: bool | None
    """Whether more capacity is known to add nothing; None where capacity is not varied."""
    nats: float
    """The gap with the rung chosen apart from the rows that it is reported on."""
    ci: tuple[float, float]
    """Its 95 % interval."""
    verdict: str
    """What may be read from it, and on which reading."""

    def _repr_html_(self) -> str:
        table = self.table.to_html(
            index=False, float_format=lambda v: f"{v:.3f}", na_rep="-"
        )
        return f"{table}<p>All values in nats.</p><p>{escape(self.verdict)}</p>"


Rungs: TypeAlias = Mapping[str, Estimator]

_NEGLIGIBLE = 0.01
"""Nats, or a hundredth of H(Y) where that is more: a last step below it is saturation."""


def _rung(name: str, *members: str) -> MemberStack:
    return MemberStack(name=name, members=members)


RUNGS: Rungs = MappingProxyType(
    {
        "linear on views": _rung("linear on views", "linear"),
        "quadratic on views": _rung("quadratic on views", "linear", "quadratic"),
        "network on views": _rung("network on views", "linear", "quadratic", "network"),
        "recommended": ESTIMATORS["auto"],
    }
)
"""From linear to the recommended stack, which reads all tokens in order of Z. Views are the
poolings of Z together, or Z_p alone."""


def capacity_ladder(
    z: HiddenStates,
    y: Target,
    *,
    pooling: str = "mean",
    groups: Groups | None = None,
    seed: int = 0,
    rungs: Rungs = RUNGS,
) -> Ladder:
    """I(Y;Z), I(Y;Z_p) and their gap, in nats, by critics of rising capacity.

    Args:
        z: the states of all tokens.
        y: classes.
        pooling: a name, or names joined by ``+``; what is learned (``attention``) is taught
            by a third of the rows, and all rungs are of the others.
        groups: which rows depend on one another; see `Estimator.estimate`.
        seed: of the folds and the critics.
        rungs: estimators in the order of their capacity; with the same number of folds.

    Returns:
        A `Ladder`. Its table has a row a rung: ``full``, ``pooled`` and ``gap``, each with
        its interval, and ``step``, what the rung adds to I(Y;Z) over the one below, with
        its interval.

    Raises:
        InputError: for another Y than classes, no rung, or an unknown pooling.

    Examples:
        Which of two tokens comes first cannot be told from their mean:

        >>> from mi_probe.analysis import capacity_ladder
        >>> from mi_probe.analysis.ladders import RUNGS
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> names = ("linear on views", "quadratic on views")
        >>> rungs = {name: RUNGS[name] for name in names}
        >>> ladder = capacity_ladder(known.x, known.y, rungs=rungs)
        >>> ladder.table[["full", "pooled", "gap"]].shape, bool(ladder.nats > 0.2)
        ((2, 3), True)
    """
    _check_one(pooling)
    target = as_target(y)
    if not isinstance(target, Classes):
        raise InputError(
            "capacity_ladder stacks posteriors, so y must be int classes; got floats or "
            "token sequences. Use dpi_gap with estimators of your choice."
        )
    if not rungs:
        raise InputError("rungs must hold at least one estimator; got none.")
    check_pooling(pooling)
    if is_learned(pooling):
        part = taught(z, target, [pooling], groups=groups, seed=seed)
        z, y, groups, x = part.z, part.y, part.groups, part.view(pooling)
        target = as_target(y)
        assert isinstance(target, Classes)
    else:
        x = pooled_views(z, pooling)
    own, asked = [], [without_limit(one) for one in rungs.values()]
    for one in asked:
        own.append(one.estimate(z, y, groups=groups, seed=seed))
        if groups is None:
            # Copies are told from Z, and so fall into the same folds of Z_p.
            groups = own[0].group
    given: dict[str, Any] = {"groups": groups, "seed": seed}
    alone = [one.estimate(x, y, **given) for one in asked]
    gaps = [
        nested_gap(
            Sides(pooled=alone[i::-1], full=own[i::-1], c=x),
            target,
            name=pooling,
            given=f"Z_{pooling}",
            n_draws=0,
            seed=seed,
        )
        for i in range(len(rungs))
    ]
    pooled, full = [gap.pooled for gap in gaps], [gap.full for gap in gaps]
    split = full[0].split
    assert split is not None
    rows = []
    for i, name in enumerate(rungs):
        gap = gaps[i]
        row: dict[str, Any] = {"rung": name}
        for side, one in (("full", gap.full), ("pooled", gap.pooled)):
            row |= {side: one.nats, f"{side}_low": one.ci[0], f"{side}_high": one.ci[1]}
        row |= {"gap": gap.nats, "stderr": gap.stderr, "low": gap.ci[0], "high": gap.ci[1]}
        row |= dict.fromkeys(("step", "step_low", "step_high"), np.nan)
        if i:
            step, _, reach = paired_mean(full[i].pointwise - full[i - 1].pointwise, split)
            row |= {"step": step, "step_low": reach[0], "step_high": reach[1]}
        rows.append(row)
    table = pd.DataFrame(rows)
    chosen, terms = _selected(list(rungs), full, pooled)
    nats, _, ci = paired_mean(terms, split)
    negligible = max(_NEGLIGIBLE, 0.01 * target.entropy)
    saturated = len(rows) > 1 and bool(rows[-1]["step_high"] < negligible)
    return Ladder(
        table=table,
        chosen=chosen,
        saturated=saturated,
        nats=nats,
        ci=ci,
        verdict=_verdict(pooling, chosen, nats, ci, saturated, rows),
    )


def _check_one(pooling: object) -> None:
    if not isinstance(pooling, str):
        raise InputError(
            f"pooling of a ladder must be one name, or names joined by '+'; got {pooling}. "
            "Make a ladder for each, or use dpi_gap for several."
        )


def _selected(
    names: list[str], full: list[Estimate], pooled: list[Estimate]
) -> tuple[str, Float[np.ndarray, " n"]]:
    """The gap of each fold's rows at the rung that is best for Z on the other folds'."""
    fold = full[0].fold
    if fold is None:
        fold = np.arange(len(full[0].pointwise)) % 5
    values = np.stack([one.pointwise for one in full])
    gaps = values - np.stack([one.pointwise for one in pooled])
    terms, picks = np.empty(len(fold)), []
    for k in range(int(fold.max()) + 1):
        best = int(values[:, fold != k].mean(1).argmax())
        picks.append(best)
        terms[fold == k] = gaps[best, fold == k]
    # The lowest of the rungs picked most often.
    counts = Counter(picks)
    most = max(counts.values())
    return names[min(i for i, count in counts.items() if count == most)], terms


def _verdict(
    pooling: str,
    chosen: str,
    nats: float,
    ci: tuple[float, float],
    saturated: bool,
    rows: list[dict[str, Any]],
) -> str:
    found, last = amount(nats, ci), rows[-1]
    shown = "A gap remains" if ci[0] > 0 else "No gap is shown"
    if saturated:
        end = f"The last rung adds at most {amount(last['step_high'])}: saturated."
    elif len(rows) > 1:
        step = amount(last["step"], (last["step_low"], last["step_high"]))
        end = f"The last rung adds {step}: not known to be saturated."
    else:
        end = "One rung says nothing of saturation."
    return (
        f"{shown} between Z and Z_{pooling} at the chosen capacity, {chosen}: {found}. "
        f"{end} Reading: usable information at this capacity; {CAVEAT}."
    )


def noise_ladder(
    z: HiddenStates,
    y: Target,
    *,
    pooling: str = "mean",
    sigmas: Sequence[float] = (0.0, 0.1, 0.3, 1.0, 3.0),
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = DRAWS,
) -> Ladder:
    """I(Y;Z), I(Y;Z_p) and their gap, in nats, with noise added before pooling.

    Args:
        z: the states of all tokens.
        y: classes, or real numbers.
        pooling: a name, or names joined by ``+``.
        sigmas: noise levels in units of the states' root mean square; 0 is no noise.
        estimator: a name of `ESTIMATORS`, or one of your own.
        groups: which rows depend on one another; see `Estimator.estimate`.
        seed: of the folds, the critics and the noise, which is the same draw at every
            sigma, so that rungs differ by its size alone.
        n_draws: of Y' in the conditional randomisation test.

    Returns:
        A `Ladder`. Its table has a row a sigma, as `Gap.table`; ``chosen`` is the least
        sigma above 0 at which a gap is shown, and ``nats`` and ``ci`` are that rung's (the
        least noise's where none is).

    Raises:
        InputError: for no sigma above 0, and what `dpi_gap` refuses.

    Examples:
        >>> from mi_probe.analysis import noise_ladder
        >>> from mi_probe.analysis.ladders import RUNGS
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> quick = RUNGS["linear on views"]
        >>> ladder = noise_ladder(
        ...     known.x, known.y, sigmas=(0.1, 1.0), estimator=quick, n_draws=0
        ... )
        >>> ladder.table.sigma.tolist(), bool(ladder.table.gap[0] > 0.2)
        ([0.1, 1.0], True)
    """
    _check_one(pooling)
    if not any(sigma > 0 for sigma in sigmas):
        raise InputError(
            f"sigmas must hold a value above 0; got {list(sigmas)}. Without noise, "
            "use dpi_gap."
        )
    gaps = [
        dpi_gap(
            z,
            y,
            pooling=pooling,
            estimator=estimator,
            groups=groups,
            seed=seed,
            n_draws=n_draws,
            sigma=float(sigma),
        )
        for sigma in sorted(set(sigmas))
    ]
    noised = [gap for gap in gaps if gap.sigma > 0]
    found = [gap for gap in noised if gap.shown]
    lead = found[0] if found else noised[0]
    return Ladder(
        table=pd.concat([gap.table() for gap in gaps], ignore_index=True),
        chosen=f"sigma = {lead.sigma:g}" if found else "none",
        saturated=None,
        nats=lead.nats,
        ci=lead.ci,
        verdict=_verdict_of_noise(noised, found, lead),
    )


def _verdict_of_noise(noised: list[Gap], found: list[Gap], lead: Gap) -> str:
    if not found:
        return f"No noise level shows a gap. With the least noise: {lead.verdict}"
    levels = ", ".join(f"{gap.sigma:g}" for gap in found)
    return f"A gap is shown at sigma = {levels} of {len(noised)} levels. {lead.verdict}"
