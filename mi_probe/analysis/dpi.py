r"""Measure the DPI gap: both critics on the same held-out rows, paired, and tested.

A difference of two separate estimates has the noise of both and the bias of either. Here
both critics are scored on the same held-out rows, the critic of Z contains those of Z_p
(`nested`), the interval is of the *paired* differences, and whether Z tells anything that
Z_p does not is tested by conditional randomisation, which rests on neither critic's
capacity.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.analysis.gap import Gap, Gaps
from mi_probe.analysis.nested_gap import Sides, nested_gap
from mi_probe.analysis.noise import with_noise
from mi_probe.analysis.sequence_features import sequence_features, vector_features
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimate, Estimator
from mi_probe.estimators.auto import Auto
from mi_probe.estimators.continuous.auto import as_codes
from mi_probe.estimators.protocol.admission import check_seed
from mi_probe.estimators.protocol.split import Groups
from mi_probe.estimators.protocol.targets import Classes, Scores, Target, as_target
from mi_probe.estimators.protocol.tokens import TokenSequences
from mi_probe.estimators.variational.token_start import distinct_answers
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS, pool

Vectors: TypeAlias = np.ndarray | Tensor
View: TypeAlias = Callable[[Any], Vectors]
Poolings: TypeAlias = str | View | Sequence[str | View] | Mapping[str, View]

_CHUNK = 512
DRAWS = 499
"""Of Y' by default; the least p-value is 1 / (1 + draws)."""


@overload
def dpi_gap(
    z: HiddenStates | Vectors,
    y: Target,
    *,
    pooling: str | View = "mean",
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = DRAWS,
    sigma: float = 0.0,
) -> Gap: ...


@overload
def dpi_gap(
    z: HiddenStates | Vectors,
    y: Target,
    *,
    pooling: Sequence[str | View] | Mapping[str, View],
    estimator: str | Estimator = "auto",
    groups: Groups | None = None,
    seed: int = 0,
    n_draws: int = DRAWS,
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
    n_draws: int = DRAWS,
    sigma: float = 0.0,
) -> Gap | Gaps:
    r"""Measure and test :math:`I(Y;Z) - I(Y;Z_p) = I(Y;Z \mid Z_p) \ge 0`, in nats.

    Args:
        z: the states of all tokens.
        y: classes, real numbers, or token sequences.
        pooling: a name (``mean``, ``last``, ``first``, ``max``), names joined by ``+`` for
            their concatenation, or a function from z to vectors (n, d), each of z's row
            alone; or several of these, or functions by name.
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
        A `Gap` for one pooling; `Gaps` for several, or for functions by name.

    Raises:
        InputError: for an unknown pooling or estimator, a seed that is none, vectors where
            a function of z is wanted (see `conditional`), a test of answers in tokens that
            are too many to be classes, and what the estimator refuses.

    Example:
        >>> from mi_probe.analysis import dpi_gap
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> gap = dpi_gap(known.x, known.y, estimator="auto", n_draws=99)
        >>> gap.p_value <= 0.05
        True
    """
    chosen = chosen_estimator(estimator)
    y, target = as_classes(y, chosen)
    check_seed(seed)
    _check(z, pooling, n_draws, sigma)
    check_draws(target, n_draws)
    if sigma:
        z = with_noise(z, sigma, seed=seed)
    views = _views(z, pooling)
    full = chosen.estimate(z, y, groups=groups, seed=seed)
    assert full.split is not None
    if groups is None:
        # Copies are told from Z, and so fall into the same folds of every Z_p.
        groups = full.split.group
    pooled = _pooled_estimates(z, y, views, chosen, groups, seed)
    features = features_of(z, seed)
    gaps = [
        nested_gap(
            Sides(pooled=pooled[name], full=[full], c=x, features=features),
            target,
            name=name,
            given=f"Z_{name}",
            n_draws=n_draws,
            seed=seed,
            sigma=sigma,
        )
        for name, x in views.items()
    ]
    several = isinstance(pooling, Mapping | Sequence) and not isinstance(pooling, str)
    return Gaps(tuple(gaps)) if several else gaps[0]


def _pooled_estimates(
    z: HiddenStates | Vectors,
    y: Target,
    views: Mapping[str, Float[np.ndarray, "n d"]],
    estimator: Estimator,
    groups: Groups | None,
    seed: int,
) -> dict[str, list[Estimate]]:
    """I(Y;Z_p) of each view; a concatenation's critic is stacked with its parts'."""
    given: dict[str, Any] = {"groups": groups, "seed": seed}
    alone = {name: estimator.estimate(x, y, **given) for name, x in views.items()}
    pooled = {}
    for name, estimate in alone.items():
        parts = name.split("+")
        inside: list[Estimate] = []
        if isinstance(z, HiddenStates) and len(parts) > 1 and set(parts) <= set(POOLINGS):
            inside = [
                alone[part]
                if part in alone
                else estimator.estimate(pooled_views(z, part), y, **given)
                for part in parts
            ]
        pooled[name] = [estimate, *inside]
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
                f"concatenation; got '{pooling}'. Pass a function of z for another."
            )
        chunks = [pool(z[i : i + _CHUNK], name) for i in range(0, len(z), _CHUNK)]
        parts.append(torch.cat(chunks))
    return torch.cat(parts, dim=1).double().cpu().numpy()


def chosen_estimator(estimator: str | Estimator) -> Estimator:
    """The estimator of a name, or the one given.

    Raises:
        InputError: for an unknown name.
    """
    if isinstance(estimator, Estimator):
        return estimator
    if not isinstance(estimator, str) or estimator not in ESTIMATORS:
        raise InputError(
            f"estimator must be one of {', '.join(ESTIMATORS)}; got '{estimator}'."
        )
    return ESTIMATORS[estimator]


def as_classes(
    y: Target, estimator: Estimator
) -> tuple[Target, Classes | Scores | TokenSequences]:
    """Y as the estimator is told it, and as the critics and the test see it.

    `auto` takes few distinct answers, and few different numbers, for classes: then both
    are these classes.
    """
    target = as_target(y)
    codes = None
    if isinstance(estimator, Auto) and isinstance(target, TokenSequences):
        if answers := distinct_answers(target):
            codes = answers.index
    elif isinstance(estimator, Auto) and isinstance(target, Scores):
        codes = as_codes(target)
    return (y, target) if codes is None else (codes, as_target(codes))


def check_draws(target: Classes | Scores | TokenSequences, n_draws: int) -> None:
    """Whether the test can be made.

    Raises:
        InputError: for fewer than 0 draws, or draws of what has no posterior.
    """
    if n_draws < 0:
        raise InputError(
            f"n_draws must be 0 or more; got {n_draws}. {DRAWS} is the default."
        )
    if n_draws and isinstance(target, TokenSequences):
        raise InputError(
            "the conditional randomisation test takes classes, floats, or answers in "
            "tokens of which few are distinct; these are too many. Pass n_draws=0 for the "
            "gap and its interval alone."
        )


def features_of(z: HiddenStates | Vectors, seed: int) -> dict[str, np.ndarray]:
    """Label-free features of states or vectors, for linear evidence and for the test."""
    if isinstance(z, HiddenStates):
        return sequence_features(z, seed=seed)
    return vector_features(as_columns(z), seed=seed)


def as_columns(x: Vectors) -> Float[np.ndarray, "n d"]:
    """Vectors as float64 columns; one column where they are single numbers."""
    columns = torch.as_tensor(x).detach().cpu().double().numpy()
    return columns[:, None] if columns.ndim == 1 else columns


def _check(z: HiddenStates | Vectors, pooling: Any, n_draws: int, sigma: float) -> None:
    if isinstance(pooling, Mapping):
        asked = list(pooling.values())
    elif isinstance(pooling, Sequence) and not isinstance(pooling, str):
        asked = list(pooling)
    else:
        asked = [pooling]
    if not asked:
        raise InputError("pooling must name at least one Z_p; got none.")
    for each in asked:
        if isinstance(each, np.ndarray | Tensor):
            raise InputError(
                "pooling must be names or functions of Z, which is pooled by them; got "
                f"an array of shape {tuple(each.shape)}. For what Z tells beyond vectors "
                "of your own, use mi_probe.analysis.conditional(z, y, c)."
            )
        if not (callable(each) or isinstance(each, str)):
            raise InputError(
                "pooling must be a name, a function of Z, a list of these, or functions by "
                f"name; got {each!r}. Names: {', '.join(POOLINGS)}, and these joined by "
                "'+'."
            )
        if isinstance(each, str) and not isinstance(z, HiddenStates):
            raise InputError(
                "z must be HiddenStates for a pooling by name; got an array. Wrap it in "
                "HiddenStates(values, mask), or pass a function of z."
            )


def _views(
    z: HiddenStates | Vectors, pooling: Poolings
) -> dict[str, Float[np.ndarray, "n d"]]:
    if isinstance(pooling, Mapping):
        named = dict(pooling)
    else:
        alone = isinstance(pooling, str) or callable(pooling)
        listed = [pooling] if alone else list(pooling)
        named = {
            one if isinstance(one, str) else getattr(one, "__name__", "function"): one
            for one in listed
        }
    return {
        name: pooled_views(z, one) if isinstance(one, str) else _pooled_by(one, z, name)
        for name, one in named.items()
    }


def _pooled_by(
    view: View, z: HiddenStates | Vectors, name: str
) -> Float[np.ndarray, "n d"]:
    x = as_columns(view(z))
    if x.ndim != 2 or len(x) != len(z):
        raise InputError(
            f"pooling '{name}' must give vectors (n, d) for the {len(z)} rows of z; got "
            f"shape {x.shape}."
        )
    return x
