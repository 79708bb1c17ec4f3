r"""Measure the DPI gap: both critics on the same held-out rows, paired, and tested.

A difference of two separate estimates has the noise of both and the bias of either. Here
both critics are scored on the same held-out rows, the critic of Z contains those of Z_p
(`nested`), the interval is of the *paired* differences, and whether Z tells anything that
Z_p does not is tested by conditional randomisation, which rests on neither critic's
capacity.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.analysis.gap import Gap, Gaps
from mi_probe.analysis.nested import nested, paired_mean
from mi_probe.analysis.noise import with_noise
from mi_probe.analysis.randomisation import (
    Randomisation,
    class_codes,
    class_residuals,
    randomisation_test,
    score_residuals,
)
from mi_probe.analysis.sequence_features import sequence_features, vector_features
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimate, Estimator
from mi_probe.estimators.protocol.admission import check_seed
from mi_probe.estimators.protocol.split import Groups
from mi_probe.estimators.protocol.targets import Classes, Scores, Target, as_target
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS, pool

Vectors: TypeAlias = np.ndarray | Tensor
Poolings: TypeAlias = str | Sequence[str] | Mapping[str, Vectors]

_CHUNK = 512


@overload
def dpi_gap(
    z: HiddenStates | Vectors,
    y: Target,
    *,
    pooling: str = "mean",
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = 199,
    sigma: float = 0.0,
) -> Gap: ...


@overload
def dpi_gap(
    z: HiddenStates | Vectors,
    y: Target,
    *,
    pooling: Sequence[str] | Mapping[str, Vectors],
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = 199,
    sigma: float = 0.0,
) -> Gaps: ...


def dpi_gap(
    z: HiddenStates | Vectors,
    y: Target,
    *,
    pooling: Poolings = "mean",
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = 199,
    sigma: float = 0.0,
) -> Gap | Gaps:
    r"""Measure and test :math:`I(Y;Z) - I(Y;Z_p) = I(Y;Z \mid Z_p) \ge 0`, in nats.

    Args:
        z: the states of all tokens.
        y: classes, real numbers, or token sequences.
        pooling: a name (``mean``, ``last``, ``first``, ``max``), names joined by ``+`` for
            their concatenation, or several of these; or vectors of your own by name, each
            a function of z's row alone.
        estimator: a name of `ESTIMATORS`, or one of your own.
        groups: which rows depend on one another; see `Estimator.estimate`. The folds, the
            errors and the test are then of whole groups.
        seed: of the folds, the critics, the draws and the noise.
        n_draws: of Y' in the conditional randomisation test, whose least p-value is
            1 / (1 + n_draws); 0 leaves it out. For real numbers it tests the conditional
            mean only.
        sigma: noise added to z before pooling, in units of its root mean square; above 0
            the gap is one of noise-smoothed Shannon information.

    Returns:
        A `Gap` for one name; `Gaps` for several, or for vectors by name.

    Raises:
        InputError: for an unknown pooling or estimator, a seed that is none, vectors with
            noise (which must be pooled after it), a test of token sequences, and what the
            estimator refuses.
    """
    chosen = _chosen(estimator)
    target = as_target(y)
    check_seed(seed)
    _check(z, target, pooling, n_draws, sigma)
    if sigma:
        z = with_noise(z, sigma, seed=seed)
    views = _views(z, pooling)
    full = chosen.estimate(z, y, groups=groups, seed=seed)
    assert full.split is not None
    if groups is None:
        # Copies are told from Z, and so fall into the same folds of every Z_p.
        groups = full.split.group
    pooled = _pooled_estimates(z, y, views, chosen, groups, seed)
    full = nested(full, list(pooled.values()))
    blocks = _features(z, seed) if n_draws else {}
    gaps = []
    for name, x in views.items():
        nats, stderr, ci = paired_mean(full.pointwise - pooled[name].pointwise, full)
        gaps.append(
            Gap(
                pooling=name,
                nats=nats,
                stderr=stderr,
                ci=ci,
                full=full,
                pooled=pooled[name],
                test=_tested(blocks, x, y, pooled[name], n_draws, seed)
                if n_draws
                else None,
                sigma=sigma,
            )
        )
    return gaps[0] if isinstance(pooling, str) else Gaps(tuple(gaps))


def _pooled_estimates(
    z: HiddenStates | Vectors,
    y: Target,
    views: Mapping[str, Float[np.ndarray, "n d"]],
    estimator: Estimator,
    groups: Groups | None,
    seed: int,
) -> dict[str, Estimate]:
    """I(Y;Z_p) of each view; a concatenation's critic contains those of its parts."""
    given: dict[str, Any] = {"groups": groups, "seed": seed}
    alone = {name: estimator.estimate(x, y, **given) for name, x in views.items()}
    pooled = {}
    for name, estimate in alone.items():
        parts = name.split("+")
        if isinstance(z, HiddenStates) and len(parts) > 1 and set(parts) <= set(POOLINGS):
            inside = [
                alone[part]
                if part in alone
                else estimator.estimate(pooled_views(z, part), y, **given)
                for part in parts
            ]
            estimate = nested(estimate, inside)
        pooled[name] = estimate
    return pooled


def pooled_views(z: HiddenStates, pooling: str) -> Float[np.ndarray, "n d"]:
    """Z_p of one name, or of several joined by ``+`` side by side, in float64.

    Raises:
        InputError: for an unknown name.
    """
    parts = []
    for name in pooling.split("+"):
        if name not in POOLINGS:
            raise InputError(
                f"pooling must be made of {', '.join(POOLINGS)}, joined by '+' for a "
                f"concatenation; got '{pooling}'. Pass other vectors by name."
            )
        chunks = [pool(z[i : i + _CHUNK], name) for i in range(0, len(z), _CHUNK)]
        parts.append(torch.cat(chunks))
    return torch.cat(parts, dim=1).double().cpu().numpy()


def _chosen(estimator: str | Estimator) -> Estimator:
    if isinstance(estimator, Estimator):
        return estimator
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise InputError(
            f"estimator must be one of {', '.join(ESTIMATORS)}; got '{estimator}'."
        )
    return ESTIMATORS[estimator]


def _check(
    z: HiddenStates | Vectors, target: object, pooling: Poolings, n_draws: int, sigma: float
) -> None:
    if not isinstance(z, HiddenStates) and not isinstance(pooling, Mapping):
        raise InputError(
            "z must be HiddenStates for a pooling by name; got an array. Wrap it in "
            "HiddenStates(values, mask), or pass Z_p as pooling={'name': vectors}."
        )
    if not pooling:
        raise InputError("pooling must name at least one Z_p; got none.")
    if not isinstance(pooling, str | Mapping) and not (
        isinstance(pooling, Sequence) and all(isinstance(name, str) for name in pooling)
    ):
        raise InputError(
            "pooling must be a name, a list of names, or vectors by name; got "
            f"{pooling!r}. Names: {', '.join(POOLINGS)}, and these joined by '+'."
        )
    if sigma and isinstance(pooling, Mapping):
        raise InputError(
            f"sigma must be 0 for vectors of your own, which know nothing of the noise; "
            f"got {sigma}. Add it with mi_probe.analysis.with_noise and pool after it."
        )
    if n_draws < 0:
        raise InputError(f"n_draws must be 0 or more; got {n_draws}. 199 is the default.")
    if n_draws and not isinstance(target, Classes | Scores):
        raise InputError(
            "the conditional randomisation test takes classes or floats; got token "
            "sequences. Pass n_draws=0 for the gap and its interval alone."
        )


def _views(
    z: HiddenStates | Vectors, pooling: Poolings
) -> dict[str, Float[np.ndarray, "n d"]]:
    if isinstance(pooling, Mapping):
        return {
            name: torch.as_tensor(x).detach().cpu().double().numpy()
            for name, x in pooling.items()
        }
    assert isinstance(z, HiddenStates)
    names = (pooling,) if isinstance(pooling, str) else pooling
    return {name: pooled_views(z, name) for name in names}


def _features(z: HiddenStates | Vectors, seed: int) -> dict[str, np.ndarray]:
    if isinstance(z, HiddenStates):
        return sequence_features(z, seed=seed)
    vectors = torch.as_tensor(z).detach().cpu().double().numpy()
    return vector_features(vectors, seed=seed)


def _tested(
    blocks: Mapping[str, np.ndarray],
    x: Float[np.ndarray, "n d"],
    y: Target,
    pooled: Estimate,
    n_draws: int,
    seed: int,
) -> Randomisation:
    target = as_target(y)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    if isinstance(target, Scores):
        residuals = score_residuals(target.values, x, n_draws, rng)
        return randomisation_test(blocks, x, residuals, rng)
    assert isinstance(target, Classes)
    codes = class_codes(target.n_classes, rng)
    posterior = pooled.log_posterior
    if posterior is None:  # the estimator has none: the recommended one's instead
        posterior = ESTIMATORS["auto"].estimate(x, y, seed=seed).log_posterior
    assert posterior is not None
    residuals = class_residuals(target.index, posterior, codes, n_draws, rng)
    return randomisation_test(blocks, x, residuals, rng)
