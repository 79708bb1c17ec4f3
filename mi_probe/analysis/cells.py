"""Cells: which estimates a run makes, what defines each, and its tidy row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from mi_probe.analysis.dependent_rows import dependence_key
from mi_probe.analysis.posterior_scores import SCORES, posterior_scores
from mi_probe.backbones import Backbone
from mi_probe.backbones.inside import KINDS
from mi_probe.contents import canonical, digest, settings_of
from mi_probe.estimators import Estimate, Estimator
from mi_probe.provenance import now
from mi_probe.results import SCHEMA_VERSION, Row
from mi_probe.tasks import Task

# What says how states are kept or which others were captured in the same pass, not
# what a state is.
_NOT_OF_A_STATE = ("schema", "settings.sites", "settings.views")


@dataclass(frozen=True)
class Subject:
    """Whose states they are, as result rows name it; `subject_of` makes one."""

    model: str
    layers: Mapping[str, int | None]
    """The hidden_states index of each site."""
    depths: Mapping[str, int]
    """The number of blocks of each site's stack."""
    revision: str | None = None
    adapter: str | None = None
    adapter_sha: str | None = None
    step: int | None = None
    objective: str = ""
    """How it was trained, where a checkpoint says so."""
    trainable: int | None = None
    """Numbers that the training could change."""
    training: str | None = None
    """Hash of all that the training was told but its seed."""
    training_seed: int | None = None
    head: str | None = None
    """The pooling whose vector its own classifier reads; None: as the architecture's."""
    control: str = ""
    """Which control they are of; empty for the states that are measured."""
    metric: str | None = None
    """Of its own answers on the measured rows, where it gave some."""
    metric_value: float | None = None
    parse_failure_rate: float | None = None
    notes: tuple[str, ...] = ()
    """Sentences for each row: how states that were made elsewhere were checked."""
    parity: str | None = None
    """What the parity certificate of states that were made elsewhere says in a word."""

    def captured(self, view: str) -> str:
        """The view that is captured for a row's view: they differ for its own head."""
        return self.head if view == "head" and self.head is not None else view

    def named(self, task: Task) -> dict[str, Any]:
        """What rows of gaps, and token tables, say of the model and its task."""
        return {
            "subject": self.model,
            "objective": self.objective,
            "step": self.step,
            "revision": self.revision,
            "adapter": self.adapter,
            "parity": self.parity,
            "task": task.name,
            "split": task.split,
            "target": task.target,
        }


def subject_of(backbone: Backbone) -> Subject:
    """The subject that a backbone's states are of."""
    inside = {
        f"{site.name}.{kind}": backbone.depth(site.stack)
        for site in backbone.sites
        for kind in KINDS
        if "block." in site.name
    }
    return Subject(
        model=backbone.name,
        layers={site.name: site.index for site in backbone.sites} | dict.fromkeys(inside),
        depths={site.name: backbone.depth(site.stack) for site in backbone.sites} | inside,
        revision=backbone.revision,
        adapter=backbone.adapter,
        adapter_sha=backbone.fingerprint.get("adapter"),
        step=backbone.step,
    )


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is made, and kept, in one go."""

    site: str
    words: str
    """What it is, for a progress bar."""
    key: Mapping[str, Any] = field(repr=False)
    """What defines it."""
    waits_for: str | None = None
    """The site whose jobs must be finished before."""

    @cached_property
    def id(self) -> str:
        """The digest of its key, under which it is kept."""
        return digest(self.key)


@dataclass(frozen=True, kw_only=True)
class Cell(Job):
    """One estimate to be made, and what defines it."""

    view: str
    estimator: str
    seed: int
    hints_from: str | None
    """The row whose choices narrow this one's search; None where all is searched."""


def of_states(fingerprint: Mapping[str, object]) -> str:
    """What stands for the states themselves, however they were captured and kept."""
    return digest({k: v for k, v in fingerprint.items() if k not in _NOT_OF_A_STATE})


def states_key(
    fingerprint: Mapping[str, object], task: Task, subject: Subject, token_set: str
) -> dict[str, Any]:
    """What of a job's key says which states, of which rows, it reads."""
    return {
        "step": subject.step,
        "states": of_states(fingerprint),
        "task": task.name,
        "rows": task.sha256(),
        **dependence_key(task),
        "token_set": token_set,
    }


def anchor_of(sites: Sequence[str], estimators: Mapping[str, Estimator]) -> str | None:
    """The deepest site, where an estimator takes hints; it stays when others are added."""
    takes = any(estimator.nature.hints for estimator in estimators.values())
    return sites[-1] if takes and len(sites) > 1 else None


def cells(
    fingerprint: Mapping[str, object],
    task: Task,
    *,
    subject: Subject,
    estimators: Mapping[str, Estimator],
    sites: Sequence[str],
    views: Sequence[str],
    seeds: Sequence[int] = (0,),
    n_permutations: int = 0,
    token_set: str = "prompt",
    anchor: str | None = None,
) -> list[Cell]:
    """The estimates that `measure` would make, known before anything is captured.

    With an anchor, what its estimates chose (penalties, widths, members) narrows the
    search at all other sites, which saves most of the work of a profile. It is one site
    for all, so that numbers depend neither on the order nor on the processes.

    Args:
        fingerprint: of the states: ``plan(...).fingerprint`` before a capture,
            ``Activations.fingerprint`` after it.
        task: the rows and their Y.
        subject: whose states they are.
        estimators: by the name that rows give them.
        sites: where.
        views: ``full`` for all token states, and poolings.
        seeds: one estimate each.
        n_permutations: of Y, for the null.
        token_set: what the positions hold: ``prompt``, ``generated`` or ``all``.
        anchor: the site whose choices narrow the search at the others; its cells come
            first. None searches everywhere.
    """
    common = {
        **states_key(fingerprint, task, subject, token_set),
        "schema_version": SCHEMA_VERSION,
        "model": subject.model,
        "control": subject.control,
        "n_permutations": n_permutations,
    }
    found: list[Cell] = []
    # Sites outermost: one site's states are in memory at a time.
    for site in sorted(sites, key=lambda site: site != anchor):
        for view in views:
            for name, estimator in estimators.items():
                for seed in seeds:
                    key = {
                        **common,
                        "site": site,
                        "view": view,
                        "estimator": name,
                        "settings": settings_of(estimator),
                        "seed": seed,
                    }
                    if subject.captured(view) != view:
                        key["head"] = subject.captured(view)
                    hints_from = waits_for = None
                    if anchor not in (None, site) and estimator.nature.hints:
                        hints_from = digest({**key, "site": anchor})
                        key["hints_from"], waits_for = hints_from, anchor
                    found.append(
                        Cell(
                            site=site,
                            words=f"{site} {view}",
                            key=key,
                            waits_for=waits_for,
                            view=view,
                            estimator=name,
                            seed=seed,
                            hints_from=hints_from,
                        )
                    )
    return found


def tidy_row(
    cell: Cell,
    estimate: Estimate,
    task: Task,
    subject: Subject,
    n_permutations: int,
    token_set: str,
) -> Row:
    """The row of a finished cell, but for the time it took and the program's state."""
    low, high = estimate.ci
    beyond = estimate.extrapolated
    scores: dict[str, Any] = dict.fromkeys(SCORES)
    if task.label_names is not None:
        scores = posterior_scores(estimate, task.labels)
    return Row(
        row_id=cell.id,
        quantity=_quantity(cell, subject),
        control=subject.control or None,
        site=cell.site,
        # A control may be of no site of the network.
        layer=subject.layers.get(cell.site),
        n_layers=subject.depths.get(cell.site, 0),
        view=cell.view,
        token_set=token_set,
        y_kind=task.kind,
        target=task.target,
        task=task.name,
        split=task.split,
        n=len(estimate.pointwise),
        n_classes=len(np.unique(task.labels)) if task.label_names else None,
        model=subject.model,
        revision=subject.revision,
        adapter=subject.adapter,
        adapter_sha=subject.adapter_sha,
        checkpoint_step=subject.step,
        objective=subject.objective,
        trainable=subject.trainable,
        training=subject.training,
        training_seed=subject.training_seed,
        estimator=cell.estimator,
        settings=canonical(cell.key["settings"]),
        critic=estimate.critic,
        seed=cell.seed,
        value_nats=estimate.nats,
        stderr=estimate.stderr,
        ci_low=low,
        ci_high=high,
        ci_method="t interval over held-out examples and folds, 95 %",
        bound=estimate.bound,
        **scores,
        extrapolated_nats=beyond and beyond.nats,
        extrapolated_low=beyond and beyond.ci[0],
        extrapolated_high=beyond.ci[1] if beyond and np.isfinite(beyond.ci[1]) else None,
        extrapolated_claim=beyond and beyond.claim,
        extrapolated_assumes=(beyond and beyond.assumes) or None,
        extrapolated_reason=(beyond and beyond.reason) or None,
        extrapolated_method=beyond and beyond.method,
        null_mean=estimate.null_mean,
        null_high=estimate.null_high,
        n_permutations=n_permutations,
        p_value=estimate.p_value,
        p_statistic=estimate.p_statistic if estimate.null else None,
        H_Y_nats=estimate.entropy_y,
        metric=subject.metric,
        metric_value=subject.metric_value,
        parse_failure_rate=subject.parse_failure_rate,
        status=estimate.status,
        parity=subject.parity,
        notes=" ".join((*subject.notes, *estimate.notes)) or None,
        gold_leak=estimate.gold_leak,
        seconds=0.0,
        code_version="",
        config_sha="",
        created=now(),
    )


def _quantity(cell: Cell, subject: Subject) -> str:
    if cell.site not in subject.layers:
        return "I_YC"
    return "I_YZ" if cell.view == "full" else "I_YZp"
