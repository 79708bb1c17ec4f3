r"""The critic of Z made to contain those of Z_p: a convex stack of their posteriors.

I(Y;Z) can never be below I(Y;Z_p), but two critics that were trained apart can say so. The
mixture :math:`q = w\,q_Z(y|z) + \sum_p w_p\,q_p(y|g_p(z))` is a posterior given z alone, so
its held-out value is a lower bound on I(Y;Z) too, and no pooled critic beats it but by the
noise of a few weights. The weights of a fold's rows are fitted on the other folds' rows.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mi_probe.estimators import Estimate

_EM_STEPS = 100


def nested(full: Estimate, pooled: Sequence[Estimate]) -> Estimate:
    """The estimate of I(Y;Z), in nats, by its critic stacked with the pooled ones.

    Returned unchanged where a posterior is missing (Y is not classes, or the estimator has
    none) or where the estimates do not share their folds.
    """
    members = [full, *pooled]
    if full.fold is None or any(
        member.log_posterior is None
        or member.fold is None
        or not np.array_equal(member.fold, full.fold)
        for member in members
    ):
        return full
    terms = np.stack([member.pointwise for member in members], axis=1)
    posteriors = [np.asarray(member.log_posterior) for member in members]
    pointwise, log_posterior = np.empty(len(terms)), np.empty_like(posteriors[0])
    for k in range(int(full.fold.max()) + 1):
        rows = full.fold == k
        log_weights = np.log(_weights(terms[~rows]))
        pointwise[rows] = np.logaddexp.reduce(terms[rows] + log_weights, axis=1)
        log_posterior[rows] = np.logaddexp.reduce(
            [q[rows] + w for q, w in zip(posteriors, log_weights, strict=True)], axis=0
        )
    nats, stderr, ci = paired_mean(pointwise, full)
    return replace(
        full,
        nats=nats,
        stderr=stderr,
        ci=ci,
        pointwise=pointwise,
        log_posterior=log_posterior,
    )


def paired_mean(
    terms: Float[np.ndarray, " n"], like: Estimate
) -> tuple[float, float, tuple[float, float]]:
    """Mean, standard error and 95 % interval of terms with the folds of an estimate."""
    assert like.split is not None
    mean, error = float(terms.mean()), like.split.standard_error(terms)
    reach = like.split.reach(error)
    return mean, error, (mean - reach, mean + reach)


def _weights(terms: Float[np.ndarray, "n m"]) -> Float[np.ndarray, " m"]:
    """Weights of the mixture of e^terms with the highest likelihood, by EM, none at 0."""
    ratio = np.exp(terms - terms.max(1, keepdims=True))
    weights = np.full(terms.shape[1], 1 / terms.shape[1])
    for _ in range(_EM_STEPS):
        weights = (weights * ratio / (ratio @ weights)[:, None]).mean(0)
    return np.maximum(weights, 1e-12)
