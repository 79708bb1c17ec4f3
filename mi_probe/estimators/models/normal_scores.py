"""Columns through their ranks to normal scores: what mutual information cannot tell apart.

I(Y;X) does not change under a strictly monotone map of a column of X or of Y. Normal
scores take the scale, the margins and the heavy tails away, and leave the dependence, the
copula. They look at one side alone, never at which x met which y, so all rows may be used.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri
from scipy.stats import kurtosis, rankdata

BENT = 0.5
"""Excess kurtosis of a direction up to which it counts as Gaussian."""


def varying(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
    """The columns that vary, each different column once; one of zeros if none does."""
    spread = np.ptp(values, axis=0)
    kept = values[:, spread > 0]
    # Equal columns have equal sums with random weights; sums are cheaper than sorting.
    weights = np.random.default_rng(0).normal(size=len(values))
    scale = np.abs(kept).max(0, initial=0) if kept.size else np.ones(0)
    _, first = np.unique(weights @ (kept / scale), return_index=True)
    kept = kept[:, np.sort(first)]
    return kept if kept.shape[1] else np.zeros((len(values), 1))


def normal_scores(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Normal quantiles of each column's ranks; equal values share their middle rank."""
    return ndtri((np.ascontiguousarray(rankdata(values, axis=0)) - 0.5) / len(values))


def scores_among(
    reference: Float[np.ndarray, "n k"], values: Float[np.ndarray, "m k"]
) -> Float[np.ndarray, "m k"]:
    """Normal scores of values among the reference's, between them by interpolation."""
    places = normal_scores(reference)
    columns = []
    for column, place, asked in zip(reference.T, places.T, values.T, strict=True):
        at, first = np.unique(column, return_index=True)
        columns.append(np.interp(asked, at, place[first]))
    return np.stack(columns, axis=1)


def untied_scores(
    values: Float[np.ndarray, "n d"], rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Normal quantiles of ranks with ties broken at random, so that no two are equal.

    A tie broken by a coin is noise that says nothing, and the value can still be read
    from the rank: I(Y;X) is unchanged, and nearest neighbours are defined.
    """
    shuffled = rng.permutation(len(values))
    order = shuffled[np.argsort(values[shuffled], axis=0, kind="stable")]
    place = ndtri((np.arange(len(values)) + 0.5) / len(values))
    scores = np.empty(values.shape)
    np.put_along_axis(scores, order, np.broadcast_to(place[:, None], values.shape), axis=0)
    return scores


def excess_kurtosis(values: Float[np.ndarray, "n d"]) -> float:
    """The largest of a column's, beyond the noise of these rows; 0 of no columns."""
    if not values.size:
        return 0.0
    noise = 4 * math.sqrt(24 / len(values))
    return float(np.abs(kurtosis(values)).max()) - noise


def tied(values: Float[np.ndarray, "n d"]) -> bool:
    """Whether a column repeats its values: more than a tenth of its rows are not new."""
    return any(len(np.unique(column)) < 0.9 * len(values) for column in values.T)
