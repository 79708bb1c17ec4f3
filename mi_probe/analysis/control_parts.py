"""The controls of one model on one task: what each reads, and by which estimators.

Two kinds. *Text* controls (words, length, the model's own answer and likelihood) read a
table that is made in memory; *captured* ones (embeddings, random weights, random labels)
are states like the model's own, of another site, another network or other labels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from mi_probe.analysis.answer_control import OwnAnswer
from mi_probe.analysis.cells import Subject
from mi_probe.analysis.control_points import OF_THE_MODEL
from mi_probe.analysis.controls import length_features, random_labels
from mi_probe.analysis.made_states import WITHOUT_MODEL, MadeStates
from mi_probe.analysis.measurables import Measurable
from mi_probe.analysis.measuring import InMemory
from mi_probe.analysis.words_control import words_estimator
from mi_probe.backbones import Backbone, random_twin
from mi_probe.contents import digest
from mi_probe.estimators import Estimator
from mi_probe.predgen.label_probabilities import OwnPosterior, own_posterior
from mi_probe.tasks import Task

TEXT = "text"
"""What rows call the site of a control that reads the prompt's text."""


@dataclass(frozen=True, eq=False)
class TextControl:
    """A control that no capture makes."""

    subject: Subject
    """Whose row it is, with the control's name."""
    site: str
    view: str
    ids: tuple[str, ...]
    fingerprint: Mapping[str, object]
    """What its values depend on beside the task's rows."""
    estimators: Mapping[str, Estimator]
    values: Callable[[], np.ndarray] = field(repr=False)
    """Makes what is read; may take long."""

    def wanted(self, seeds: Sequence[int]) -> dict[str, Any]:
        """What `cells` and `measure` are told, but for sites and views."""
        return {
            "subject": self.subject,
            "estimators": self.estimators,
            "seeds": seeds,
            "token_set": "prompt",
        }

    def read(self) -> InMemory:
        """What `measure` reads."""
        told = self.ids, self.fingerprint, self.site, self.view
        return InMemory(*told, self.values())


@dataclass(frozen=True, eq=False)
class CapturedControl:
    """A control of states: where they are read, and of what."""

    subject: Subject
    token_set: str
    sites: str | Sequence[int | str]
    views: tuple[str, ...]
    seeds: tuple[int, ...]
    task: Task
    """The rows, with the labels that are asked for."""
    twin: Callable[[], Measurable] | None = field(repr=False)
    """Makes the network that is read; None: the model itself."""


def text_controls(
    model: Measurable | MadeStates,
    controls: Sequence[str],
    estimators: Mapping[str, Estimator],
) -> list[TextControl]:
    """The controls of texts that are asked for and can be made."""
    task = model.task
    texts = np.array([*task.prompts, None], dtype=object)[:-1]
    known = {"texts": digest(list(task.prompts))}
    found = []

    def add(name: str, site: str, view: str, more: Any, by: Any, values: Any) -> None:
        told = replace(model.subject, control=name), site, view, task.ids
        found.append(TextControl(*told, {"control": name, **known, **more}, by, values))

    if "words" in controls:
        by = {name: words_estimator(one) for name, one in estimators.items()}
        add("words", TEXT, "words", {}, by, lambda: texts)
    if "length" in controls:
        tokens = model.prompt_lengths()
        lengths = length_features(task.prompts, tokens)
        more = {"tokens": digest(tokens)}
        add("length", TEXT, "length", more, dict(estimators), lambda: lengths)
    for name in OF_THE_MODEL:
        if name in controls and (own := _own(model, name)) is not None:
            once = cache(own.log_probabilities)
            for view, calibrated in (("as_is", False), ("calibrated", True)):
                by = {name: OwnAnswer(name=name, calibrated=calibrated)}
                add(name, name, view, dict(own.key), by, once)
    return found


def _own(model: Measurable | MadeStates, name: str) -> OwnPosterior | None:
    """What a model itself says, asked for the label or for the text."""
    if isinstance(model, MadeStates) or name == "answer":
        return model.own
    told = model.backbone, model.task
    return own_posterior(*told, max_tokens=model.max_tokens, asked="text")


def captured_controls(
    model: Measurable,
    controls: Sequence[str],
    *,
    sites: str | Sequence[int | str],
    views: Callable[[str], Sequence[str]],
    seeds: Sequence[int],
) -> Iterator[CapturedControl]:
    """Those of ``embeddings``, ``random_weights`` and ``random_labels`` that are asked for.

    A seed of an estimate is the seed of its control's weights or labels too.

    Args:
        model: what is measured.
        controls: those asked for.
        sites: where the states are measured.
        views: of a token set.
        seeds: of the estimates.
    """

    def named(name: str) -> Subject:
        return replace(model.subject, control=name)

    embed = next((s.name for s in model.backbone.sites if "embed" in s.name), None)
    if "embeddings" in controls and embed is not None and "prompt" in model.sources:
        told = named("embeddings"), "prompt", [embed], ("mean",), tuple(seeds)
        yield CapturedControl(*told, model.task, None)
    make = random_twin(model.backbone)
    for token_set in model.sources:
        where = token_set, model.sites(token_set, sites), tuple(views(token_set))
        for seed in seeds if "random_weights" in controls else ():
            twin = _twin(model, make, seed)
            told = named("random_weights"), *where, (seed,), model.task
            yield CapturedControl(*told, twin)
        for seed in seeds if "random_labels" in controls else ():
            task = random_labels(model.task, seed=seed)
            # A few large groups may all draw one label, of which there is nothing to know.
            if len(np.unique(task.labels)) > 1:
                told = named("random_labels"), *where, (seed,), task
                yield CapturedControl(*told, None)


def not_made(model: Measurable | MadeStates, controls: Sequence[str]) -> list[str]:
    """A note for each control that is asked for and cannot be made of this model."""
    if isinstance(model, MadeStates):
        left = [name for name in controls if name not in ("words", "length")]
        return [f"no control '{name}': {WITHOUT_MODEL}" for name in left]
    return [
        f"no control '{name}': {why_no_answer(model)}"
        for name in OF_THE_MODEL
        if name in controls and _own(model, name) is None
    ]


def why_no_answer(model: Measurable | MadeStates) -> str:
    """Why a model without `Measurable.own` has none."""
    if isinstance(model, MadeStates):
        return WITHOUT_MODEL
    if model.task.label_names is None:
        return "its labels are scores"
    return "it was given no head that says any (an encoder, or a bare backbone)"


def _twin(
    model: Measurable, make: Callable[[int], Backbone], seed: int
) -> Callable[[], Measurable]:
    # Without the model, which is let go of before its twins are run.
    left = replace(model.subject, control="random_weights")
    task, sources, limit = model.task, dict(model.sources), model.max_tokens
    return lambda: Measurable(make(seed), task, left, sources, limit)
