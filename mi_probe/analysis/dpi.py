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
from jaxtyping import Float
from torch import Tensor

from mi_probe.analysis.gap import Gap, Gaps
from mi_probe.analysis.gap_inputs import (
    DRAWS,
    Vectors,
    as_classes,
    as_columns,
    check_draws,
    chosen_estimator,
    features_of,
    pooled_views,
)
from mi_probe.analysis.nested_gap import Sides, nested_gap
from mi_probe.analysis.noise import with_noise
from mi_probe.errors import InputError
from mi_probe.estimators import Estimate, Estimator
from mi_probe.estimators.protocol.admission import check_seed
from mi_probe.estimators.protocol.split import Groups
from mi_probe.estimators.protocol.targets import Target
from mi_probe.hidden import HiddenStates
from mi_probe.pooling import POOLINGS

View: TypeAlias = Callable[[Any], Vectors]
# Arrays are let in to be refused in words: they go to `conditional`.
Poolings: TypeAlias = str | View | Sequence[Any] | Mapping[str, Any] | Vectors


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
        several = isinstance(pooling, Sequence) and not isinstance(pooling, str)
        asked: list[Any] = list(pooling) if several else [pooling]  # pyright: ignore[reportArgumentType]
        named = {_name_of(one): one for one in asked}
    found = {}
    for name, one in named.items():
        if isinstance(one, str):
            assert isinstance(z, HiddenStates)
            found[name] = pooled_views(z, one)
        else:
            found[name] = _pooled_by(one, z, name)
    return found


def _name_of(view: Any) -> str:
    return view if isinstance(view, str) else getattr(view, "__name__", "function")


def _pooled_by(view: Any, z: HiddenStates | Vectors, name: str) -> Float[np.ndarray, "n d"]:
    x = as_columns(view(z))
    if x.ndim != 2 or len(x) != len(z):
        raise InputError(
            f"pooling '{name}' must give vectors (n, d) for the {len(z)} rows of z; got "
            f"shape {x.shape}."
        )
    return x
