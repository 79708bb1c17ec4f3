r"""The conditional randomisation test of Y independent of Z given Z_p, by cheap refits.

.. math:: H_0: I(Y; Z \mid Z_p) = 0, \qquad Y' \sim q(y \mid Z_p), \qquad
   p = \frac{1 + \#\{b: T(Y'_b, Z, Z_p) \ge T(Y, Z, Z_p)\}}{1 + B}

Under H_0 the real Y is one more draw from the posterior given Z_p, so its statistic is as
likely to have any rank as a drawn one's, whatever the statistic is. Here it is how much of
the residual :math:`Y - E_q[Y|Z_p]` a ridge regression on label-free features of Z fits: the
features are made and factorised once, so a refit costs one matrix product. Blocks of
features and ridges are standardised over all B + 1 label sets and their largest counts,
which treats all label sets alike.

q is an estimate. Its error would be taken for information in Z wherever features of Z also
tell Z_p; so features and residuals are first regressed on Z_p and on random features of it,
and an error of q matters only where both that regression and q fail (Shah and Peters
2020, Li and Liu 2022). The trained critic of Z is no part of the statistic: its own errors
and those of q come from the same rows, and would be taken for information.

References:
    Panning for Gold (Candes et al., 2018), https://arxiv.org/abs/1610.02351
    The Hardness of Conditional Independence Testing and the Generalised Covariance Measure
    (Shah and Peters, 2020), https://arxiv.org/abs/1804.07203
    Maxway CRT (Li and Liu, 2022), https://arxiv.org/abs/2203.06496
    Bootstrap-based improvements for inference with clustered errors (Cameron et al., 2008)
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import ndtri

from mi_probe.analysis.sequence_features import random_features

_RIDGES = (0.03, 0.3, 3.0)
"""Of the refits, in units of the features' mean eigenvalue."""
_NUISANCE_RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_WIDEST = 512
"""Leading directions of Z_p that are regressed out."""
_CODES = 8
"""Columns that code Y: classes beyond that many share random codes."""


@dataclass(frozen=True)
class Randomisation:
    """What the test found."""

    p_value: float
    """At least 1 / (1 + number of draws)."""
    n_draws: int
    statistic: float
    """Of the real Y: standard deviations above the mean of all label sets."""
    strongest: str
    """The block of features where it was largest."""


def class_codes(n_classes: int, rng: np.random.Generator) -> Float[np.ndarray, "c k"]:
    """A column a class, or a few random ones where classes are many."""
    if n_classes <= _CODES:
        return np.eye(n_classes)
    return rng.normal(size=(n_classes, _CODES)) / np.sqrt(_CODES)


def class_residuals(
    index: Int[np.ndarray, " n"],
    log_posterior: Float[np.ndarray, "n c"],
    codes: Float[np.ndarray, "c k"],
    n_draws: int,
    rng: np.random.Generator,
    group: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "b n k"]:
    """Y - E_q[Y|Z_p] of the real classes and of each draw Y' ~ q(y|Z_p), coded.

    Draws are of independent rows; where rows come in groups, the signs of whole groups'
    residuals are drawn instead.
    """
    n, c = log_posterior.shape
    expected = np.exp(log_posterior) @ codes
    if group is not None:
        return _signed(codes[index] - expected, n_draws, rng, group)
    residuals = np.empty((n_draws + 1, n, codes.shape[1]), dtype=np.float32)
    residuals[0] = codes[index] - expected
    cumulative = np.exp(log_posterior).cumsum(1)
    cumulative /= cumulative[:, -1:]
    for b in range(1, n_draws + 1):
        drawn = (rng.random((n, 1)) >= cumulative).sum(1)
        residuals[b] = codes[np.minimum(drawn, c - 1)] - expected
    return residuals


def score_residuals(
    values: Float[np.ndarray, "n k"],
    pooled: Float[np.ndarray, "n d"],
    n_draws: int,
    rng: np.random.Generator,
    group: Int[np.ndarray, " n"] | None = None,
) -> Float[np.ndarray, "b n k"]:
    """The same of real numbers: rank-normal scores less their regression on Z_p.

    A draw turns the sign of whole rows or groups at random (the wild bootstrap), so that
    it keeps each one's spread; what is tested is the conditional *mean* of the scores.
    """
    n = len(values)
    ranks = values.argsort(0).argsort(0)
    scores = ndtri((ranks + 0.5) / n)
    nuisance = _Nuisance(pooled, rng)
    groups = np.arange(n) if group is None else group
    return _signed(nuisance.removed(scores), n_draws, rng, groups)


def _signed(
    residual: Float[np.ndarray, "n k"],
    n_draws: int,
    rng: np.random.Generator,
    group: Int[np.ndarray, " n"],
) -> Float[np.ndarray, "b n k"]:
    """The residual as it is, then with the signs of whole groups drawn at random."""
    signs = rng.choice([-1.0, 1.0], size=(n_draws + 1, int(group.max()) + 1, 1))
    signs[0] = 1.0
    return (signs[:, group] * residual[None]).astype(np.float32)


def randomisation_test(
    features: Mapping[str, Float[np.ndarray, "n _f"]],
    pooled: Float[np.ndarray, "n d"],
    residuals: Float[np.ndarray, "b n k"],
    rng: np.random.Generator,
) -> Randomisation:
    """Compare the real Y's residual, the first of ``residuals``, with the drawn ones.

    Args:
        features: label-free blocks of features of Z.
        pooled: Z_p.
        residuals: of the real Y and of each draw.
        rng: of random features of Z_p and of ties.
    """
    nuisance = _Nuisance(pooled, rng)
    n_sets, n, k = residuals.shape
    flat = residuals.transpose(1, 0, 2).reshape(n, n_sets * k)
    flat = nuisance.removed(flat)
    found: dict[str, np.ndarray] = {}
    for name, block in features.items():
        for ridge, value in _fitted(nuisance.removed(_scaled(block)), flat).items():
            found[f"{name}, ridge {ridge:g}"] = value.reshape(n_sets, k).sum(1)
    table = np.stack(list(found.values()))
    spread = table.std(1, keepdims=True)
    level = np.abs(table).max(1, keepdims=True)
    # What does not vary (features that are constant) says nothing.
    ok = spread > 1e-9 * np.maximum(level, 1e-30)
    standard = np.where(
        ok, (table - table.mean(1, keepdims=True)) / np.where(ok, spread, 1), 0
    )
    statistic = standard.max(0)
    ties = rng.random(n_sets)
    real = (statistic[0], ties[0])
    as_large = sum(bool(pair >= real) for pair in zip(statistic[1:], ties[1:], strict=True))
    return Randomisation(
        p_value=float(1 + as_large) / n_sets,
        n_draws=n_sets - 1,
        statistic=float(statistic[0]),
        strongest=list(found)[int(standard[:, 0].argmax())].split(",")[0],
    )


class _Nuisance:
    """A ridge regression on Z_p and random features of it, to be taken out."""

    def __init__(self, pooled: Float[np.ndarray, "n d"], rng: np.random.Generator) -> None:
        n = len(pooled)
        leading = _principal(_scaled(pooled), min(_WIDEST, max(1, n // 3)))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        random = random_features(
            torch.as_tensor(pooled, dtype=torch.float32),
            max(8, min(128, n // 8)),
            generator,
        )
        columns = np.concatenate([leading, _scaled(random.double().numpy())], axis=1)
        self._basis, self._values = _spectrum(columns)

    def removed(self, columns: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
        """The columns less their fit, the ridge chosen by generalised cross-validation."""
        centred = columns - columns.mean(0)
        n = len(centred)
        shares = self._basis.T @ centred
        energy = (centred**2).sum()
        best, chosen = np.inf, np.zeros(len(self._values))
        for ridge in _NUISANCE_RIDGES:
            kept = self._values / (self._values + ridge * n)
            fit = (kept * (2 - kept)) @ (shares**2).sum(1)
            score = (energy - fit) / max(1 - (1 + kept.sum()) / n, 1e-3) ** 2
            if score < best:
                best, chosen = score, kept
        return centred - self._basis @ (chosen[:, None] * shares)


def _fitted(
    features: Float[np.ndarray, "n f"], residuals: Float[np.ndarray, "n m"]
) -> dict[float, Float[np.ndarray, " m"]]:
    """How much of each residual a ridge regression fits, r'K(K + ridge)^-1 r, by ridge."""
    basis, values = _spectrum(features)
    energy = (basis.T @ residuals) ** 2
    mean = values.mean() if len(values) else 1.0
    return {ridge: (values / (values + ridge * mean)) @ energy for ridge in _RIDGES}


def _spectrum(
    columns: Float[np.ndarray, "n f"],
) -> tuple[Float[np.ndarray, "n r"], Float[np.ndarray, " r"]]:
    """Left singular vectors and squared singular values, by the smaller Gram matrix."""
    n, f = columns.shape
    tall = n >= f
    values, vectors = np.linalg.eigh(columns.T @ columns if tall else columns @ columns.T)
    kept = values > 1e-9 * max(values[-1], 1e-30)
    values, vectors = values[kept], vectors[:, kept]
    return (columns @ (vectors / np.sqrt(values)) if tall else vectors), values


def _principal(columns: Float[np.ndarray, "n f"], most: int) -> Float[np.ndarray, "n r"]:
    if columns.shape[1] <= most:
        return columns
    basis, values = _spectrum(columns)
    return basis[:, -most:] * np.sqrt(values[-most:])


def _scaled(columns: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n f"]:
    centre, spread = columns.mean(0), columns.std(0)
    varies = spread > 1e-6 * np.maximum(np.abs(centre), 1e-30)
    return np.where(varies, (columns - centre) / np.where(varies, spread, 1), 0)
