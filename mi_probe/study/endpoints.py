"""The comparisons of a study: declared before it is run, evaluated on paired rows.

A comparison is of two sides, which differ in a factor (two systems) or in what is read of
one network (all tokens, a pooled vector). Trainings that are alike in everything else are
paired, row by row and seed by seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from mi_probe.analysis.controls import CHEAP, chosen_controls
from mi_probe.contents import digest
from mi_probe.errors import InputError, check_known
from mi_probe.predgen.inference import TOKEN_SETS
from mi_probe.study.chains import FACTORS, LAST, Chain

Quantity: TypeAlias = Literal["information", "score"]
QUANTITIES = ("information", "score")
_READ = ("site", "view", "token_set", "estimator", "control", "step", "rows")
"""What a side may say of the results rows, beside the factors of its trainings."""
_OF_STATES = MappingProxyType({"view": "full", "token_set": "prompt", "control": ""})
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

    @property
    def digest(self) -> str:
        """Hash of what is compared, which tells whether it was changed."""
        return digest([self.name, self.of, self.a, self.b, self.where])


def wanted_of(of: Quantity, *told: Mapping[str, Any]) -> dict[str, Any]:
    """What a side is of: what it is told, and where it does not say, what is usual.

    Of information that is all tokens of the prompt in the final model's states. A side that
    names a ``control`` (`mi_probe.analysis.controls`) is of that control's own features.

    Args:
        of: what is compared.
        told: mappings, of which a later one goes over an earlier.
    """
    given = {name: value for one in told for name, value in one.items()}
    if of == "score":
        return given
    usual = {} if given.get("control") else dict(_OF_STATES)
    return {**usual, "step": LAST, **given}


def comparisons_of(declared: Any, chains: Sequence[Chain]) -> tuple[Comparison, ...]:
    """The comparisons of a study's file, checked against what it trains.

    Raises:
        InputError: on an unknown key, a side that no chain has, or two of one name.
    """
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        raise InputError(f"comparisons must be a list; got {declared!r}."[:300])
    found = tuple(_comparison(one, chains) for one in declared)
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"comparisons must have a name each; '{name}' comes twice.")
    return found


def _comparison(one: Any, chains: Sequence[Chain]) -> Comparison:
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
    check_known(f"of, in comparison '{name}',", quantity, QUANTITIES)
    known = [*FACTORS, *_READ]
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
        both = wanted_of(quantity, sides["where"], sides[side])
        if not any(_is_measured(chain, both, quantity) for chain in chains):
            raise InputError(
                f"{side}, in comparison '{name}', must be of something that the study "
                f"trains and measures; nothing has {both}."
            )
    primary = one.get("primary", False)
    if not isinstance(primary, bool):
        raise InputError(
            f"primary, in comparison '{name}', must be true or false; got {primary!r}."
        )
    return Comparison(
        name=name,
        question=str(one.get("question", "")),
        primary=primary,
        of=quantity,
        **sides,
    )


def matches(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether each value that is wanted is there, or one of those that are."""
    return all(values.get(name) in _among(some) for name, some in wanted.items())


def _is_measured(chain: Chain, wanted: Mapping[str, Any], of: str) -> bool:
    """Whether a chain's training, and an estimate of it, have what a side names."""
    factors = {name: some for name, some in wanted.items() if name in FACTORS}
    if not matches(chain.factors, factors):
        return False
    estimates = [step.settings for step in chain.steps if step.command == "estimate"]
    if of == "score":
        # Answers are kept by what measures a trained system.
        return bool(estimates) and chain.steps[0].command == "train"
    return any(_has(settings, wanted) for settings in estimates)


_ASKED: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "view": ("pooling", "full,mean,last"),
        "site": ("sites", "all"),
        "estimator": ("estimator", "auto"),
        "rows": ("rows", None),
        "token_set": ("token_sets", ",".join(TOKEN_SETS)),
    }
)
"""The option of `estimate` that asks for each of `_READ`, and what it is where unsaid."""


def _has(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an estimate's settings have the sites, views, ... that are wanted."""
    if control := wanted.get("control"):
        there = chosen_controls(_texts(settings.get("controls", CHEAP)))
        return any(one in there for one in _among(control))
    if settings.get("series") is False and LAST not in _among(wanted.get("step", LAST)):
        return False
    for name in _ASKED.keys() & wanted.keys():
        option, usual = _ASKED[name]
        asked = settings.get(option, usual)
        # "all", layers by their number and all rows are known once a model is there.
        open_ended = (
            asked is None
            or option == "sites"
            and any(one == "all" or one.lstrip("-").isdigit() for one in _texts(asked))
        )
        if not open_ended and not {*_texts(asked)} & {*map(str, _among(wanted[name]))}:
            return False
    return True


def _texts(listed: Any) -> list[str]:
    """Values of an option, which may be one, a list, or a list in one text."""
    return [
        str(one) for one in _among(listed.split(",") if isinstance(listed, str) else listed)
    ]


def _among(some: Any) -> tuple[Any, ...]:
    return tuple(some) if isinstance(some, list | tuple) else (some,)
