"""One gap, I(Y;Z|C): nested critics, their paired held-out difference, and its test."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from mi_probe.analysis.gap import Gap
from mi_probe.analysis.nested_critics import CrossFit, posteriors
from mi_probe.analysis.nested_scores import score_terms
from mi_probe.analysis.randomisation import randomisation_test, residual_features
from mi_probe.analysis.redrawn_labels import (
    ClassLabels,
    Labels,
    ScoreLabels,
    class_codes,
)
from mi_probe.analysis.regressions import WIDEST_BLOCK, GivenC, principal
from mi_probe.analysis.sequence_features import merged
from mi_probe.analysis.verdict import LEVEL
from mi_probe.estimators import ESTIMATORS, Estimate
from mi_probe.estimators.core.parameters import without_limit
from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """What a gap compares: critics of C, critics of Z, and what is known of both."""

    pooled: Sequence[Estimate]
    """I(Y;C), then I(Y; parts of C)."""
    full: Sequence[Estimate]
    """I(Y;Z) or I(Y;Z,C), the first of which is also named."""
    c: Float[np.ndarray, "n d"]
    """Columns of C, of all rows that came."""
    features: Mapping[str, Float[np.ndarray, "n _f"]] = field(default_factory=dict)
    """Label-free features of Z; none where critics alone are compared."""


def nested_gap(
    sides: Sides,
    target: Classes | Scores | TokenSequences,
    *,
    name: str,
    given: str,
    n_draws: int,
    seed: int,
    sigma: float = 0.0,
) -> Gap:
    """I(Y;Z|C) of two sides that share their folds, in nats.

    Args:
        sides: what is compared.
        target: Y, of all rows that came.
        name: of C.
        given: its symbol, as Z_mean.
        n_draws: of Y' in the conditional randomisation test; 0 leaves it out.
        seed: of the random features of C and of the draws.
        sigma: of noise that was added to Z.
    """
    first, pooled = sides.full[0], sides.pooled[0]
    split = pooled.split
    assert split is not None
    c, features = sides.c, dict(sides.features)
    if split.kept is not None:
        target, c = target[split.kept], c[split.kept]
        features = {block: values[split.kept] for block, values in features.items()}
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    regression = GivenC(c, rng)
    beyond = residual_features(features, regression)
    if isinstance(target, Classes) and _nestable([*sides.full, *sides.pooled]):
        full, pooled = _nested_classes(sides, target, regression, beyond, split)
    elif isinstance(target, Scores) and beyond:
        terms = score_terms(target, regression, merged(beyond), first, pooled, split)
        full = _with_terms(first, pooled.pointwise + terms, None)
    else:
        full = first
    nats, stderr, ci = paired_mean(full.pointwise - pooled.pointwise, split)
    test = None
    if n_draws and not isinstance(target, TokenSequences):
        labels = _labels(target, pooled, c, regression, split, rng)
        test = randomisation_test(beyond, labels, regression, n_draws, rng)
        # What so many rows would not show may still be there: where no planted gap was
        # shown often enough, all that there can be.
        unseen = test.smallest_shown
        most = math.inf if target.entropy is None else target.entropy
        high = max(ci[1], most if unseen is None else nats + unseen)
        # Whether there is a gap is the test's to say: no interval lies above 0 without it.
        ci = (ci[0] if test.p_value <= LEVEL else min(ci[0], 0.0), high)
    return Gap(
        pooling=name,
        given=given,
        nats=nats,
        stderr=stderr,
        ci=ci,
        full=full,
        pooled=pooled,
        test=test,
        sigma=sigma,
    )


def paired_mean(
    terms: Float[np.ndarray, " n"], split: Split
) -> tuple[float, float, tuple[float, float]]:
    """Mean, standard error and 95 % interval of held-out terms, in nats."""
    mean, error = float(terms.mean()), split.standard_error(terms)
    reach = split.reach(error)
    return mean, error, (mean - reach, mean + reach)


def _nested_classes(
    sides: Sides,
    target: Classes,
    given: GivenC,
    beyond: Mapping[str, Float[np.ndarray, "n _f"]],
    split: Split,
) -> tuple[Estimate, Estimate]:
    fits = CrossFit(split, target.index)
    critics = [posteriors(one) for one in sides.full]
    offset = fits.stacked([posteriors(one) for one in sides.pooled])
    offset = fits.averaged(offset, critics, given)
    evidence = {
        f"critic {number}": [fits.centred(offset, critic, given)]
        for number, critic in enumerate(critics)
    }
    for name, block in merged(beyond).items():
        evidence[name] = fits.linear(offset, principal(block, WIDEST_BLOCK), few=False)
    if beyond:
        every = np.concatenate(list(beyond.values()), axis=1)
        evidence["few features"] = fits.linear(offset, every, few=True)
    whole, records = fits.on_top(offset, evidence)
    full = _reported(sides.full[0], fits.held_out(whole), target)
    history = tuple(
        {**record, "nested": used}
        for record, used in zip(full.history or ({},) * len(records), records, strict=True)
    )
    return (
        replace(full, history=history),
        _reported(sides.pooled[0], fits.held_out(offset), target),
    )


def _nestable(estimates: Sequence[Estimate]) -> bool:
    first = estimates[0].fold
    return first is not None and all(
        one.log_posterior is not None
        and one.fold is not None
        and np.array_equal(one.fold, first)
        for one in estimates
    )


def _reported(
    like: Estimate, log_posterior: Float[np.ndarray, "n c"], target: Classes
) -> Estimate:
    rows = np.arange(len(log_posterior))
    log_prior = target.log_prior[target.index]
    terms = log_posterior[rows, target.index] - log_prior
    return _with_terms(like, terms, log_posterior)


def _with_terms(
    like: Estimate,
    terms: Float[np.ndarray, " n"],
    log_posterior: Float[np.ndarray, "n c"] | None,
) -> Estimate:
    assert like.split is not None
    nats, stderr, ci = paired_mean(terms, like.split)
    return replace(
        like,
        nats=nats,
        stderr=stderr,
        ci=ci,
        pointwise=terms,
        log_posterior=log_posterior,
        inner=None,
        extrapolated=None,
    )


def _labels(
    target: Classes | Scores,
    pooled: Estimate,
    c: Float[np.ndarray, "n d"],
    regression: GivenC,
    split: Split,
    rng: np.random.Generator,
) -> Labels:
    if isinstance(target, Scores):
        return ScoreLabels(target.values, regression, split.group)
    posterior = pooled.log_posterior
    if posterior is None:  # the estimator has none: the recommended one's instead
        auto = without_limit(ESTIMATORS["auto"]).estimate(
            c, target.index, groups=split.group, seed=split.seed
        )
        posterior = auto.log_posterior
    assert posterior is not None
    codes = class_codes(target.n_classes, rng)
    return ClassLabels(target.index, np.asarray(posterior), codes, split.group)
