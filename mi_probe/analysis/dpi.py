r"""Measure the DPI gap: both critics on the same held-out rows, paired, and tested.

A difference of two separate estimates has the noise of both and the bias of either. Here
both critics are scored on the same held-out rows, what Z adds is learned on top of the
critic of Z_p (`mi_probe.analysis.nested_critics`), the interval is of the *paired*
differences, and whether Z tells anything that Z_p does not is tested by conditional
randomisation. That test rests on the critic of Z_p: its level holds where q(y|Z_p) *or* the
regression of Z's features on Z_p is about right. A rough E[Z|Z_p] that neither follows can
be taken for information.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
    features_of,
    pooled_views,
)
from mi_probe.analysis.learned_pooling import LEARNED, check_pooling, is_learned, taught
from mi_probe.analysis.nested_gap import Sides, nested_gap
from mi_probe.analysis.noise import with_noise
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.estimators.core.admission import check_seed
from mi_probe.estimators.core.parameters import without_limit
from mi_probe.estimators.core.split import Groups
from mi_probe.estimators.core.targets import Classes, Scores, Target, TokenSequences
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
    pooling: Sequence[str | View] | Mapping[str, str | View],
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
        pooling: a name (``mean``, ``last``, ``first``, ``max``, or learned: ``attention``,
            a weighted mean, ``attention4``, four of them side by side), names joined by
            ``+`` for their concatenation, or a function from z to vectors (n, d), each of
            z's row alone; or several of these, or either by a name of your own, as two
            functions of one name must be. A third of the rows teaches what is learned, and
            its gap is measured on the other rows alone.
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
        A `Gap` for one pooling; `Gaps` for several, or for those of a mapping.

    Raises:
        InputError: for an unknown pooling or estimator, two functions of one name, one that
            gives no vectors, a seed or number of draws that is none, vectors where a
            function of z is wanted (see `conditional`), a test of answers in tokens that
            are too many to be classes, and what the estimator refuses.

    Example:
        >>> from mi_probe.analysis import dpi_gap
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> gap = dpi_gap(known.x, known.y, estimator="auto", n_draws=99)
        >>> gap.p_value <= 0.05
        True
    """
    chosen = without_limit(ESTIMATORS.chosen(estimator))
    y, target = as_classes(y, chosen)
    check_seed(seed)
    _check(z, pooling, n_draws, sigma)
    check_draws(target, n_draws)
    if sigma:
        z = with_noise(z, sigma, seed=seed)
    named = _named(pooling)
    learned = {n: v for n, v in named.items() if isinstance(v, str) and is_learned(v)}
    told: dict[str, Any] = {"n_draws": n_draws, "seed": seed, "sigma": sigma}
    plain = {name: one for name, one in named.items() if name not in learned}
    found: dict[str, Gap] = {}
    if plain:
        views = {name: _pooled_by(one, z, name) for name, one in plain.items()}
        inside = {
            p: pooled_views(z, p) for p in _parts(plain) if isinstance(z, HiddenStates)
        }
        found |= _gaps(z, y, target, plain, views, chosen, groups, inside, **told)
    if learned:
        assert isinstance(z, HiddenStates)
        part = taught(z, target, [*learned.values()], groups=groups, seed=seed)
        views = {name: part.view(own) for name, own in learned.items()}
        inside = {name: part.view(name) for name in _parts(learned)}
        y, target = as_classes(part.y, chosen)
        gaps = _gaps(part.z, y, target, learned, views, chosen, part.groups, inside, **told)
        found |= {n: replace(gap, learned_on=part.learned_on) for n, gap in gaps.items()}
    in_order = tuple(found[name] for name in named)
    return Gaps(in_order) if _are_several(pooling) else in_order[0]


def _gaps(
    z: HiddenStates | Vectors,
    y: Target,
    target: Classes | Scores | TokenSequences,
    named: Mapping[str, str | View],
    views: Mapping[str, Float[np.ndarray, "n _d"]],
    estimator: Estimator,
    groups: Groups | None,
    parts: Mapping[str, Float[np.ndarray, "n _d"]],
    *,
    n_draws: int,
    seed: int,
    sigma: float,
) -> dict[str, Gap]:
    """The gap to each view of the same rows; ``parts`` of concatenations have own names."""
    full = estimator.estimate(z, y, groups=groups, seed=seed)
    assert full.split is not None
    if groups is None:
        # Copies are told from Z, and so fall into the same folds of every Z_p.
        groups = full.split.group
    alone = {
        n: estimator.estimate(x, y, groups=groups, seed=seed) for n, x in views.items()
    }
    by_part = {
        part: alone[part]
        if named.get(part) == part
        else estimator.estimate(x, y, groups=groups, seed=seed)
        for part, x in parts.items()
    }
    features = features_of(z, seed)
    found = {}
    for name, x in views.items():
        # A concatenation's critic is stacked with its parts'.
        inside = [by_part[part] for part in _parts({name: named[name]})]
        found[name] = nested_gap(
            Sides(pooled=[alone[name], *inside], full=[full], c=x, features=features),
            target,
            name=name,
            given=f"Z_{name}",
            n_draws=n_draws,
            seed=seed,
            sigma=sigma,
        )
    return found


def _parts(named: Mapping[str, str | View]) -> list[str]:
    """The parts of concatenations."""
    joined = [one for one in named.values() if isinstance(one, str) and "+" in one]
    return list(dict.fromkeys(part for one in joined for part in one.split("+")))


def _check(z: HiddenStates | Vectors, pooling: Any, n_draws: int, sigma: float) -> None:
    asked = _listed(pooling)
    unnamed = [
        name
        for name in (pooling if isinstance(pooling, Mapping) else ())
        if not isinstance(name, str) or not name
    ]
    if unnamed:
        raise InputError(f"pooling's names must be words; got {unnamed[0]!r}.")
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
                f"name; got {each!r}. Names: {', '.join((*POOLINGS, *LEARNED))}, and these "
                "joined by '+'."
            )
        if isinstance(each, str) and not isinstance(z, HiddenStates):
            raise InputError(
                "z must be HiddenStates for a pooling by name; got an array. Wrap it in "
                "HiddenStates(values, mask), or pass a function of z."
            )
        if isinstance(each, str):
            check_pooling(each)


def _are_several(pooling: Any) -> bool:
    return isinstance(pooling, Mapping | Sequence) and not isinstance(pooling, str)


def _listed(pooling: Any) -> list[Any]:
    if not _are_several(pooling):
        return [pooling]
    return [*(pooling.values() if isinstance(pooling, Mapping) else pooling)]


def _named(pooling: Any) -> dict[str, str | View]:
    """Poolings by name.

    Raises:
        InputError: where two functions have one name.
    """
    if isinstance(pooling, Mapping):
        return dict(pooling)
    found: dict[str, str | View] = {}
    for one in _listed(pooling):
        name = one if isinstance(one, str) else getattr(one, "__name__", "function")
        if found.setdefault(name, one) is not one and found[name] != one:
            raise InputError(
                f"pooling must have a name of its own for each function; two are named "
                f"'{name}'. Name them by a mapping: {{'a': f, 'b': g}}."
            )
    return found


def _pooled_by(
    view: str | View, z: HiddenStates | Vectors, name: str
) -> Float[np.ndarray, "n d"]:
    if isinstance(view, str):
        assert isinstance(z, HiddenStates)
        return pooled_views(z, view)
    given = view(z)
    numbers = isinstance(given, Tensor) or (
        isinstance(given, np.ndarray) and given.dtype.kind in "biuf"
    )
    if not numbers:
        raise InputError(
            f"pooling '{name}' must give vectors (n, d), an array or a tensor of numbers; "
            f"got {type(given).__name__}."
        )
    x = as_columns(given)
    if x.ndim != 2 or len(x) != len(z):
        raise InputError(
            f"pooling '{name}' must give vectors (n, d) for the {len(z)} rows of z; got "
            f"shape {x.shape}."
        )
    return x
