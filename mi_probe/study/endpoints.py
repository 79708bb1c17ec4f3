"""The comparisons of a study: declared before it is run, evaluated on paired rows.

A comparison is of two sides, which differ in a factor (two systems) or in what is read of
one network (all tokens, a pooled vector). Trainings that are alike in everything else are
paired, row by row and seed by seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mi_probe.capture import VIEWS
from mi_probe.errors import InputError

Quantity: TypeAlias = Literal["information", "score"]
QUANTITIES = ("information", "score")
_READ = ("site", "view", "token_set", "estimator", "control")
"""What a side may say of the results rows, beside the factors of its trainings."""
_KEYS = ("name", "question", "primary", "of", "a", "b", "where")


@dataclass(frozen=True)
class Comparison:
    """One comparison: what is called *a* less what is called *b*."""

    name: str
    """Sentence that holds if the difference is above 0."""
    question: str
    """Letter of the question that it answers."""
    primary: bool
    """Whether it counts; what does not is exploratory, and corrected apart."""
    of: Quantity
    """``information``: nats, and shares of H(Y) where tasks are averaged; ``score``: the
    task's own, accuracy or explained variance."""
    a: Mapping[str, Any] = field(repr=False)
    """Values of factors and of columns of the results that side a has."""
    b: Mapping[str, Any] = field(repr=False)
    where: Mapping[str, Any] = field(repr=False)
    """Values that both sides have, each one or a list."""


def comparisons_of(
    declared: Any, factors: Sequence[Mapping[str, Any]]
) -> tuple[Comparison, ...]:
    """The comparisons of a study's file, checked against what it trains.

    Raises:
        InputError: on an unknown key, a side that no chain has, or two of one name.
    """
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        raise InputError(f"comparisons must be a list; got {declared!r}."[:300])
    found = tuple(_comparison(one, factors) for one in declared)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"comparisons must have a name each; '{name}' comes twice.")
    return found


def _comparison(one: Any, factors: Sequence[Mapping[str, Any]]) -> Comparison:
    if not isinstance(one, Mapping) or not {"name", "a", "b"} <= set(one):
        raise InputError(
            f"a comparison must have at least the keys name, a and b; got {one!r}."[:300]
        )
    name = str(one["name"])
    if unknown := sorted(set(map(str, one)) - set(_KEYS)):
        raise InputError(
            f"comparison '{name}' must have keys of {', '.join(_KEYS)}; got '{unknown[0]}'."
        )
    quantity = one.get("of", "information")
    if quantity not in QUANTITIES:
        raise InputError(
            f"of, in comparison '{name}', must be one of {', '.join(QUANTITIES)}; got "
            f"{quantity!r}."
        )
    known = [*factors[0], *_READ]
    sides: dict[str, dict[str, Any]] = {}
    for side in ("a", "b", "where"):
        given = one.get(side, {})
        if not isinstance(given, Mapping) or not set(given) <= set(known):
            raise InputError(
                f"{side}, in comparison '{name}', must have keys of {', '.join(known)}; "
                f"got {given!r}."[:300]
            )
        sides[side] = dict(given)
    for side in ("a", "b"):
        both = {**sides["where"], **sides[side]}
        view = both.get("view", "full")
        if view not in VIEWS:
            raise InputError(
                f"view, in comparison '{name}', must be one of {', '.join(VIEWS)}; got "
                f"{view!r}."
            )
        if not any(matches(chain, both) for chain in factors):
            raise InputError(
                f"{side}, in comparison '{name}', must be of something that the study "
                f"trains or measures; nothing has {both}."
            )
    return Comparison(
        name=name,
        question=str(one.get("question", "")),
        primary=bool(one.get("primary", False)),
        of=quantity,
        **sides,
    )


def matches(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a chain or a row has what is wanted of it; what it does not know, it has."""
    return all(
        values[name] in _among(some) for name, some in wanted.items() if name in values
    )


def _among(some: Any) -> Iterable[Any]:
    return some if isinstance(some, list | tuple) else (some,)
