"""States in a store as something that can be measured: without the model that made them.

A folder that `python -m mi_probe.ingest` wrote, or a finished capture, stands where a
checkpoint stands. What needs the model itself is not measured, and is named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mi_probe.analysis.cells import Subject
from mi_probe.capture import Activations, load_activations
from mi_probe.contents import digest
from mi_probe.errors import InputError, check_known
from mi_probe.tasks import Task

WITHOUT_MODEL = "the model is not at hand, only its states"
"""Why something cannot be made of a store."""


@dataclass(frozen=True, eq=False)
class MadeStates:
    """A store of states, and the rows that they are of; see `Measurable`."""

    name: str
    """What the user typed."""
    states: Activations = field(repr=False)
    task: Task
    own: None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The store."""
        return Path(self.name)

    @property
    def fingerprint(self) -> dict[str, str]:
        """What identifies the states; JSON-able."""
        return {key: str(value) for key, value in self.states.fingerprint.items()}

    @property
    def sources(self) -> tuple[str]:
        """The one token set that a store holds."""
        return ("prompt",)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        return self.states.notes

    @property
    def subject(self) -> Subject:
        """Whose states they are, as result rows name it."""
        return subject_of_states(self.states)

    @property
    def deepest(self) -> str:
        """The last site of the store."""
        return self.states.sites[-1]

    def chosen(self, token_set: str, wanted: str | Sequence[int | str]) -> list[str]:
        """The names of the sites that are wanted, of those of the store.

        Raises:
            InputError: if one is not there.
        """
        return chosen_of(self.states, wanted)

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Real positions of each row."""
        stack = self.states.stacks[self.deepest]
        found: dict[str, int] = {}
        for shard in self.states.shards:
            counts = shard.get(f"lengths/{stack}").tolist()
            found |= dict(zip(shard.ids, counts, strict=True))
        return tuple(found[name] for name in self.states.ids)

    def prompt_lengths(self) -> list[int]:
        """How many tokens of each prompt the model read."""
        return [*self.lengths]

    def shapes(self, sites: Sequence[str], views: Sequence[str]) -> dict[str, list[int]]:
        """The shape of each view of each site, for a forecast."""
        shard, found = self.states.shards[0], {}
        kept = self.states.views[0]
        for site in sites:
            width = shard.like(f"{kept}/{site}")[0][1]
            for view in views:
                middle = [max(self.lengths)] if view == "full" else []
                found[f"{view}/{site}"] = [len(self.states), *middle, width]
        return found


def is_store(name: str | Path) -> bool:
    """Whether a folder holds states."""
    return (Path(name) / "fingerprint.json").is_file()


def open_made(name: str, task: Task) -> MadeStates:
    """A store, on the rows that it is of.

    Raises:
        InputError: if it is unfinished or damaged, or of other rows or texts.
    """
    states = load_activations(name)
    check_rows(states, task)
    return MadeStates(name, states, task)


def check_rows(states: Activations, task: Task) -> None:
    """Refuse states of other rows than a task's.

    Raises:
        InputError: if ids or texts differ.
    """
    if states.ids != task.ids:
        raise InputError(
            f"states must be of the task's rows, in its order; they are of {len(states)} "
            f"rows, the task has {len(task)}, or other ids. Give the task that they are of."
        )
    texts = states.fingerprint.get("data.texts", digest(list(task.prompts)))
    if texts != digest(list(task.prompts)):
        raise InputError(
            "states must be of the task's texts; they are of others, or of these in "
            "another order. Give the task that they were taken in with."
        )


def chosen_of(states: Activations, wanted: str | Sequence[int | str]) -> list[str]:
    """Sites of a store by name, or all.

    Raises:
        InputError: if one is not there.
    """
    names = wanted.split(",") if isinstance(wanted, str) else [*map(str, wanted)]
    if names == ["all"]:
        return [*states.sites]
    check_known("sites of states that are there already", tuple(names), states.sites)
    return [site for site in states.sites if site in names]


def subject_of_states(states: Activations) -> Subject:
    """The subject of states that need no capture."""
    told, sites = states.fingerprint, states.sites
    layers = told.get("imported.layers")
    parity = told.get("certificate")
    return Subject(
        model=str(told.get("model.name", "states")),
        layers=dict(layers) if isinstance(layers, Mapping) else dict.fromkeys(sites),
        depths=dict.fromkeys(sites, len(sites)),
        notes=tuple(f"{note}." for note in states.notes),
        parity=None if parity is None else str(parity),
    )
