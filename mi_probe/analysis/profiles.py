"""A profile: from a model and a task to a tidy table of estimates, in one call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from mi_probe.analysis.cells import Cell, anchor_of, cells
from mi_probe.analysis.control_parts import captured_controls, text_controls
from mi_probe.analysis.control_points import OF_THE_MODEL, states_of
from mi_probe.analysis.controls import CHEAP, chosen_controls
from mi_probe.analysis.made_states import check_rows, chosen_of, subject_of_states
from mi_probe.analysis.many_cells import Simultaneous, simultaneous
from mi_probe.analysis.measurables import How, load_answering, measurable
from mi_probe.analysis.measuring import (
    anchored,
    check_task,
    in_network_order,
    keep,
    measure,
)
from mi_probe.analysis.scored import Scored, Stored, scored
from mi_probe.backbones import Backbone, as_backbone
from mi_probe.capture import Activations, extract, fingerprint_id
from mi_probe.capture.extract import plan
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.hidden import HiddenStates
from mi_probe.results import Results, Row, table_of
from mi_probe.tasks import Task, as_task


class Profile(pd.DataFrame):
    """The table of a profile, which knows the held-out terms of its estimates."""

    _metadata = ["terms"]
    terms: Mapping[str, Scored]
    """By row id."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        # What is selected from it is a plain table.
        return pd.DataFrame

    def simultaneous(
        self,
        *,
        view: str = "full",
        estimator: str | None = None,
        seed: int | None = None,
        level: float = 0.95,
    ) -> Simultaneous:
        """The layers of one view together: see `mi_probe.analysis.simultaneous`.

        Args:
            view: whose layers, in the order of the table's rows.
            estimator: where there are several.
            seed: of the critic, where there are several.
            level: of the band, the set and the interval.

        Raises:
            InputError: if nothing was measured so, or by several estimators or seeds.
        """
        states = states_of(self).to_dict("records")
        rows = [row for row in states if row["view"] == view]
        for name, wanted in (("estimator", estimator), ("seed", seed)):
            rows = [row for row in rows if wanted is None or row[name] == wanted]
            several = list(dict.fromkeys(row[name] for row in rows))
            if len(several) > 1:
                raise InputError(
                    f"{name} must be one of {', '.join(map(str, several))} where there are "
                    "several; got none."
                )
        if not rows:
            views = ", ".join(dict.fromkeys(self["view"]))
            raise InputError(
                f"view must be one of {views}, measured by the estimator and seed; got "
                f"'{view}', estimator {estimator}, seed {seed}."
            )
        return simultaneous([self.terms[row["row_id"]] for row in rows], level=level)


def profile(
    model: Backbone | Activations | str | Path | tuple[Any, Any] | Any,
    task: Task | Any,
    *,
    sites: str | int | Sequence[int | str] = "all",
    views: str | Sequence[str] = ("full", "mean", "last"),
    estimators: str | Estimator | Sequence[str] | Mapping[str, Estimator] = ("auto",),
    seeds: int | Sequence[int] = (0,),
    n_permutations: int = 0,
    batch_size: int = 16,
    max_tokens: int = 512,
    controls: str | Sequence[str] = CHEAP,
    out: str | None = None,
    progress: bool = True,
) -> Profile:
    """Capture a model's states on a task and estimate at every site and view, in nats.

    Args:
        model: a backbone, what `load_backbone` takes, or ``(model, tokenizer)``; or states
            of these rows that are there already, `Activations`, which have no controls.
        task: a task, the name of a declared one, or a table with the columns ``text`` and
            ``label``: a file, a data frame, lists; see `mi_probe.read_table`, which takes
            other columns, templates and groups.
        sites: what ``Backbone.select`` takes.
        views: ``full`` for I(Y;Z), and poolings for I(Y;Z_p).
        estimators: names of `ESTIMATORS`, or estimators of your own by name.
        seeds: one estimate each.
        n_permutations: of Y, for the null.
        batch_size: rows a forward pass.
        max_tokens: longer prompts are cut.
        controls: what is measured beside the states, of `mi_probe.analysis.controls`; their
            rows have a name in the column ``control``. ``("none",)`` measures none.
        out: a results folder to keep rows in and to take finished ones from.
        progress: show bars.

    Returns:
        One tidy row an estimate, those of the states first; columns as in
        `mi_probe.results.Row`. Its `simultaneous` gives bands over the layers, and the
        best layer's value.

    Raises:
        InputError: on wrong names, and labels that cannot carry information.

    Examples:
        A model with its tokenizer in memory, and a data frame:

        >>> import pandas as pd
        >>> from mi_probe import profile
        >>> rows = [(f"a {word} film, number {i}", word) for i in range(60)
        ...         for word in ("good", "bad")]
        >>> frame = pd.DataFrame(rows, columns=["text", "label"])
        >>> table = profile((model, tokenizer), frame, sites=[1, 3], views=["mean"],
        ...                 estimators=["lda"], controls=("none",))
        >>> table[["site", "view", "estimator", "n"]]
                 site  view estimator    n
        0     block.0  mean       lda  120
        1  final_norm  mean       lda  120
        >>> bool(table.value_nats[1] > 0.5), round(float(table.H_Y_nats[1]), 3)
        (True, 0.693)
    """
    if isinstance(model, np.ndarray | Tensor | HiddenStates):
        raise InputError(
            "model must be a name, a folder, a Backbone, (model, tokenizer) or "
            "Activations; got states alone, which mi_probe.mutual_information(x, y) "
            "measures."
        )
    task = as_task(task)
    views, controls = map(_several, (views, controls))
    seeds = [seeds] if isinstance(seeds, int) else seeds
    sites = str(sites) if isinstance(sites, int) else sites
    chosen = choose_estimators(estimators)
    check_task(task, chosen)
    wanted_controls = chosen_controls(controls)
    results = Results(out) if out else None
    if isinstance(model, Activations):
        return _of_states(
            model,
            task,
            sites=sites,
            controls=wanted_controls,
            results=results,
            views=tuple(views),
            estimators=chosen,
            seeds=seeds,
            n_permutations=n_permutations,
        )
    if isinstance(model, str | Path):
        how = How(answers=not {*OF_THE_MODEL}.isdisjoint(wanted_controls))
        model = load_answering(str(model), how, writes=False)
    model = as_backbone(model)
    measured = measurable(model, task, max_tokens=max_tokens, batch_size=batch_size)
    capturing: dict[str, Any] = {
        "batch_size": batch_size,
        "max_tokens": max_tokens,
        "progress": progress,
    }
    taken = _Taken(results)
    states = _Captured(taken, chosen, capturing)
    told: dict[str, Any] = {"sites": sites, "views": tuple(views), "seeds": seeds}
    states.take(
        model, task, subject=measured.subject, n_permutations=n_permutations, **told
    )
    others = captured_controls(
        measured, wanted_controls, sites=sites, views=lambda _: views, seeds=seeds
    )
    # Random labels first, while the states are here.
    for one in sorted(others, key=lambda one: one.subject.control != "random_labels"):
        by = model if one.twin is None else one.twin().backbone
        told = {"sites": one.sites, "views": one.views, "seeds": one.seeds}
        states.take(by, one.task, subject=one.subject, **told)
    for text in text_controls(measured, wanted_controls, chosen):
        told = {"sites": [text.site], "views": [text.view], **text.wanted(seeds)}
        taken.take(task, text.read, text.fingerprint, **told)
    return taken.table()


def _of_states(
    states: Activations,
    task: Task,
    *,
    sites: str | Sequence[int | str],
    controls: Sequence[str],
    results: Results | None,
    **told: Any,
) -> Profile:
    """A profile of states that need no capture.

    Raises:
        InputError: if they are of other rows, or controls are asked for.
    """
    if controls and set(controls) != set(CHEAP):
        raise InputError(
            f"controls must be left out of states without their model; got "
            f"{', '.join(controls)}. Measure them with the model."
        )
    check_rows(states, task)
    wanted = chosen_of(states, sites)
    subject = subject_of_states(states)
    taken = _Taken(results)
    taken.take(
        task,
        lambda: states,
        states.fingerprint,
        sites=wanted,
        subject=subject,
        anchor=anchor_of(wanted, told["estimators"]),
        **told,
    )
    return taken.table()


@dataclass(frozen=True)
class _Taken:
    """The rows of a profile as they are finished, in a results folder or in memory."""

    results: Results | None
    rows: list[Row] = field(default_factory=list)
    parts: list[tuple[list[Cell], list[str]]] = field(default_factory=list)
    """Cells in the order asked for, with their sites in the network's."""
    terms: dict[str, Scored] = field(default_factory=dict)
    """What is compared of each row, by its id."""

    def take(
        self, task: Task, read: Callable[[], Any], fingerprint: Any, **told: Any
    ) -> None:
        """Measure what is not finished.

        Args:
            task: the rows, with the labels that are asked for.
            read: gives what `measure` reads; called only where something is missing.
            fingerprint: of what it gives.
            told: the other arguments of `cells` and `measure`.
        """
        results, done = self.results, self.results or ()
        todo = cells(fingerprint, task, **told)
        self.parts.append((todo, told["sites"]))
        if all(cell.id in done for cell in todo):
            return
        histories = None if results is None else anchored(results.folder, todo)
        for one in measure(read(), task, done=done, histories=histories, **told):
            self.rows.append(one.row)
            name = f"{one.row.view} at {one.row.site}"
            self.terms[one.row.row_id] = scored(one.estimate, name)
            if results is not None:
                keep(results.folder, one, task)

    def table(self) -> Profile:
        """All rows, in the order asked for."""
        if self.results is not None:
            self.results.write_table()
            found = self.results.table()
        else:
            found = table_of(self.rows)
        ordered = [in_network_order(found, *part) for part in self.parts]
        made = Profile(pd.concat(ordered, ignore_index=True))
        made.terms = self.terms
        if self.results is not None:
            stored = Stored([self.results.folder])
            read = {row_id: stored.get(row_id) for row_id in made["row_id"]}
            made.terms = {row_id: one for row_id, one in read.items() if one is not None}
        return made


@dataclass(frozen=True)
class _Captured:
    """States as a profile reads them: those of one network are in memory at a time."""

    taken: _Taken
    estimators: Mapping[str, Estimator]
    capturing: Mapping[str, Any]
    """What `extract` is told beside sites and views."""
    held: dict[str, Activations] = field(default_factory=dict)

    def take(
        self,
        backbone: Backbone,
        task: Task,
        *,
        sites: str | Sequence[int | str],
        views: Sequence[str],
        **told: Any,
    ) -> None:
        """Measure a network's states; the other arguments are those of `cells`."""
        where = {"sites": sites, "views": views}
        limit = self.capturing["max_tokens"]
        planned = plan(backbone, task, max_tokens=limit, sites=sites, views=views)
        names = [site.name for site in planned.sites]
        key = fingerprint_id(planned.fingerprint)

        def read() -> Activations:
            # Random labels are of states that are here already.
            if key not in self.held:
                self.held.clear()
                self.held[key] = extract(backbone, task, **where, **self.capturing)
            return self.held[key]

        told |= {"sites": names, "views": planned.views, "estimators": self.estimators}
        anchor = anchor_of(names, self.estimators)
        self.taken.take(task, read, planned.fingerprint, anchor=anchor, **told)


def _several(names: Any) -> Any:
    """One name or number by itself stands for a list of it."""
    return (names,) if isinstance(names, str | int) else names


def choose_estimators(
    chosen: str | Estimator | Sequence[str] | Mapping[str, Estimator],
) -> dict[str, Estimator]:
    """Estimators by name, of names, of one by itself or of your own by name.

    Raises:
        InputError: on an unknown name, or none.
    """
    if isinstance(chosen, Mapping):
        return dict(chosen)
    if isinstance(chosen, str):
        return {chosen: ESTIMATORS[chosen]}
    if not isinstance(chosen, Sequence):
        return {chosen.name: chosen}
    if not chosen:
        raise InputError(f"estimator must be one of {', '.join(ESTIMATORS)}; got none.")
    return {name: ESTIMATORS[name] for name in chosen}
