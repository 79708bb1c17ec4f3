"""Measure: from captured states and a task to one estimate a site, view and seed.

The loop that `mi_probe.analysis.profiles.profile`, the command and its workers share; each
estimate is handed on, and kept, as soon as it is finished.
"""

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from mi_probe.analysis.cells import Cell, Subject, cells, tidy_row
from mi_probe.analysis.dependent_rows import groups_of
from mi_probe.capture import VIEWS, Activations
from mi_probe.errors import InputError, check_known
from mi_probe.estimators import FEWEST_ROWS, Estimate, Estimator, with_null
from mi_probe.hidden import HiddenStates
from mi_probe.provenance import code_version
from mi_probe.row_files import id_numbers, read_history, write_finished
from mi_probe.rows import Row
from mi_probe.tasks import Task

History: TypeAlias = Sequence[Mapping[str, Any]]
"""`Estimate.history`: one record a fold."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """What a control reads of each row: stands where `Activations` do."""

    ids: tuple[str, ...]
    fingerprint: Mapping[str, object]
    site: str
    """What rows call it; no site of a network."""
    view: str
    values: np.ndarray
    """Of each row: vectors, log probabilities, or texts."""

    @property
    def sites(self) -> tuple[str, ...]:
        """The one."""
        return (self.site,)

    @property
    def views(self) -> tuple[str, ...]:
        """The one."""
        return (self.view,)


@dataclass(frozen=True)
class Measured:
    """A finished cell: its tidy row, the whole estimate, and the key of the row."""

    row: Row
    estimate: Estimate
    key: Mapping[str, Any] = field(repr=False)


def measure(
    activations: Activations | InMemory,
    task: Task,
    *,
    subject: Subject,
    estimators: Mapping[str, Estimator],
    sites: Sequence[str] | None = None,
    views: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    n_permutations: int = 0,
    token_set: str = "prompt",
    config_sha: str = "",
    done: Container[str] = (),
    anchor: str | None = None,
    histories: Mapping[str, History] | None = None,
) -> Iterator[Measured]:
    """Estimate I(Y;Z) or I(Y;Z_p) in nats, one cell after another.

    Args:
        activations: states of the task's rows, or what a control reads of them.
        task: the rows and their Y.
        subject: whose states they are.
        estimators: by the name that rows give them.
        sites: some of those captured; None takes all.
        views: ``full`` and poolings; None takes those captured.
        seeds: one estimate each.
        n_permutations: how often the whole procedure is repeated with Y permuted.
        token_set: what the positions hold: ``prompt``, ``generated`` or ``all``.
        config_sha: the hash of the run's settings, for its rows.
        done: row ids that are left out, because they are finished.
        anchor: the site whose choices narrow the search at the others (see `cells`).
        histories: ``Estimate.history`` of finished rows of the anchor, by row id.

    Raises:
        InputError: if the states are of other rows than the task's, a site or view was
            not captured, or the labels cannot carry information (`check_task`).
    """
    check_task(task)
    todo = cells(
        activations.fingerprint,
        task,
        subject=subject,
        estimators=estimators,
        sites=activations.sites if sites is None else sites,
        views=activations.views if views is None else views,
        seeds=seeds,
        n_permutations=n_permutations,
        token_set=token_set,
        anchor=anchor,
    )
    yield from measure_cells(
        activations,
        task,
        [cell for cell in todo if cell.id not in done],
        subject=subject,
        estimators=estimators,
        n_permutations=n_permutations,
        token_set=token_set,
        config_sha=config_sha,
        histories=histories,
    )


def measure_cells(
    activations: Activations | InMemory,
    task: Task,
    todo: Sequence[Cell],
    *,
    subject: Subject,
    estimators: Mapping[str, Estimator],
    n_permutations: int = 0,
    token_set: str = "prompt",
    config_sha: str = "",
    histories: Mapping[str, History] | None = None,
) -> Iterator[Measured]:
    """Make these estimates in order; else as `measure`."""
    if tuple(activations.ids) != tuple(task.ids):
        raise InputError(
            f"activations must be of the task's rows, in their order; they hold "
            f"{len(activations.ids)} rows and task '{task.name}' has {len(task)}. "
            "Capture this task."
        )
    chosen = dict(histories or {})
    version = code_version()
    held: tuple[str, str] | None = None
    states: Tensor | HiddenStates | np.ndarray = torch.empty(0)
    for cell in todo:
        if held != (cell.site, cell.view):
            states = torch.empty(0)  # let go of the last ones before reading the next
            states = _states(activations, cell.site, subject.captured(cell.view))
            held = (cell.site, cell.view)
        began = time.perf_counter()
        estimator = estimators[cell.estimator]
        given: dict[str, Any] = {"groups": groups_of(task), "seed": cell.seed}
        if cell.hints_from is not None:
            if cell.hints_from not in chosen:
                raise InputError(
                    "anchor must be measured before the other sites; "
                    f"'{cell.waits_for}' is not among them. Add it to sites, give its "
                    "histories, or leave it out."
                )
            given["hints"] = chosen[cell.hints_from]
        if n_permutations:
            given["n_permutations"] = n_permutations
            estimate = with_null(estimator, states, task.labels, **given)
        else:
            estimate = estimator.estimate(states, task.labels, **given)
        chosen[cell.id] = estimate.history
        row = tidy_row(cell, estimate, task, subject, n_permutations, token_set)
        row = replace(
            row,
            seconds=round(time.perf_counter() - began, 3),
            code_version=version,
            config_sha=config_sha,
        )
        yield Measured(row, estimate, cell.key)


def check_task(task: Task, estimators: Mapping[str, Estimator] | None = None) -> None:
    """Refuse labels that cannot carry information, before anything long is started.

    Raises:
        InputError: if all rows have one class or one score, a label is not finite, or,
            with estimators, if rows are too few or one takes classes only and the
            labels are scores.
    """
    y = task.labels
    if not np.isfinite(y).all():
        raise InputError(
            f"labels of task '{task.name}' must be finite; "
            f"{int((~np.isfinite(y)).sum())} of {len(y)} are not."
        )
    if len(np.unique(y)) < 2:
        what = "classes" if task.kind == "classes" else "different scores"
        rows = "its one row has" if len(y) == 1 else f"all its {len(y)} rows have"
        names = task.label_names
        raise InputError(
            f"labels of task '{task.name}' must hold at least two {what}, else there "
            f"is nothing to know (H(Y) = 0); {rows} "
            f"'{names[int(y[0])] if names else y[0]}'. Take more rows."
        )
    if estimators and len(y) < FEWEST_ROWS:
        raise InputError(
            f"task '{task.name}' must have at least {FEWEST_ROWS} rows to train and to "
            f"test a critic; got {len(y)}. Take more rows."
        )
    if estimators and task.groups is not None and len(set(task.groups)) < 2:
        raise InputError(
            f"rows of task '{task.name}' must be of several groups, which are held out in "
            f"turn; all {len(y)} are of one context, source or text. Take texts that are "
            "not all alike."
        )
    for name, estimator in (estimators or {}).items():
        if task.kind not in estimator.nature.takes:
            raise InputError(
                f"estimator '{name}' takes {' or '.join(sorted(estimator.nature.takes))}; "
                f"the labels of task '{task.name}' are {task.kind}. Use 'auto' or 'mine', "
                "or change what they are (--label-kind)."
            )


def in_network_order(
    table: pd.DataFrame, todo: Sequence[Cell], sites: Sequence[str]
) -> pd.DataFrame:
    """The rows of these cells, by site as the network has them."""
    shown = sorted(todo, key=lambda cell: sites.index(cell.site))
    by_id = table.set_index("row_id", drop=False)
    return by_id.loc[[cell.id for cell in shown]].reset_index(drop=True)


def anchored(folder: Path, todo: Sequence[Cell]) -> dict[str, History]:
    """The histories of the anchor's rows that are finished in a results folder."""
    wanted = {cell.hints_from for cell in todo if cell.hints_from is not None}
    found = {row_id: read_history(folder, row_id) for row_id in wanted}
    return {row_id: one for row_id, one in found.items() if one is not None}


def keep(folder: Path, measured: Measured, task: Task) -> None:
    """Write a finished cell into a results folder."""
    estimate, labels, ids = measured.estimate, task.labels, id_numbers(task.ids)
    split = estimate.split
    if split is not None and split.kept is not None:
        labels, ids = labels[split.kept], ids[split.kept]
    arrays = {
        "pointwise": np.asarray(estimate.pointwise, dtype=np.float64),
        "labels": labels,
        "ids": ids,
        "null": np.asarray(estimate.null, dtype=np.float64),
    }
    if split is not None:
        arrays["fold"] = split.fold
    if split is not None and split.group is not None:
        arrays["group"] = split.group
    if estimate.influence is not None:
        arrays["influence"] = np.asarray(estimate.influence, dtype=np.float64)
    write_finished(folder, measured.row, measured.key, arrays, estimate.history)


def _states(
    activations: Activations | InMemory, site: str, view: str
) -> Tensor | HiddenStates | np.ndarray:
    if isinstance(activations, InMemory):
        return activations.values
    check_known("view", view, VIEWS)
    return activations.states(site) if view == "full" else activations.vectors(site, view)
