"""A profile: from a model and a task to a tidy table of estimates, in one call."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mi_probe.analysis.cells import anchor_of, cells, subject_of
from mi_probe.analysis.many_cells import Simultaneous, simultaneous
from mi_probe.analysis.measuring import (
    anchored,
    check_task,
    in_network_order,
    keep,
    measure,
)
from mi_probe.analysis.paired import Scored, scored
from mi_probe.analysis.stored import Stored
from mi_probe.backbones import Backbone, load_backbone
from mi_probe.capture import extract
from mi_probe.capture.extract import plan
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.results import Results, table_of
from mi_probe.tasks import Task, load_task


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
        rows = [row for row in self.to_dict("records") if row["view"] == view]
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
    model: Backbone | str,
    task: Task | str,
    *,
    sites: str | Sequence[int | str] = "all",
    views: Sequence[str] = ("full", "mean", "last"),
    estimators: Sequence[str] | Mapping[str, Estimator] = ("auto",),
    seeds: Sequence[int] = (0,),
    n_permutations: int = 0,
    batch_size: int = 16,
    max_tokens: int = 512,
    out: str | None = None,
    progress: bool = True,
) -> Profile:
    """Capture a model's states on a task and estimate at every site and view, in nats.

    Args:
        model: a backbone, or the name of one.
        task: a task, or the name of an embedded one.
        sites: what ``Backbone.select`` takes.
        views: ``full`` for I(Y;Z), and poolings for I(Y;Z_p).
        estimators: names of `ESTIMATORS`, or estimators of your own by name.
        seeds: one estimate each.
        n_permutations: of Y, for the null.
        batch_size: rows a forward pass.
        max_tokens: longer prompts are cut.
        out: a results folder to keep rows in and to take finished ones from.
        progress: show bars.

    Returns:
        One tidy row an estimate; columns as in `mi_probe.results.Row`. Its `simultaneous`
        gives bands over the layers, and the best layer's value.

    Raises:
        InputError: on wrong names, and labels that cannot carry information.
    """
    task = load_task(task) if isinstance(task, str) else task
    chosen = choose_estimators(estimators)
    check_task(task, chosen)
    results = Results(out) if out else None
    backbone = load_backbone(model) if isinstance(model, str) else model
    subject = subject_of(backbone)
    planned = plan(backbone, task, sites=sites, views=views, max_tokens=max_tokens)
    settings = {
        "seeds": seeds,
        "n_permutations": n_permutations,
        "subject": subject,
        "anchor": anchor_of([site.name for site in planned.sites], chosen),
    }
    todo = cells(
        planned.fingerprint,
        task,
        estimators=chosen,
        sites=[site.name for site in planned.sites],
        views=planned.views,
        **settings,
    )
    finished = results or ()
    rows, terms = [], {}
    if any(cell.row_id not in finished for cell in todo):
        activations = extract(
            backbone,
            task,
            sites=sites,
            views=views,
            batch_size=batch_size,
            max_tokens=max_tokens,
            progress=progress,
        )
        histories = anchored(results, todo) if results is not None else None
        for measured in measure(
            activations,
            task,
            estimators=chosen,
            done=finished,
            histories=histories,
            **settings,
        ):
            rows.append(measured.row)
            name = f"{measured.row.view} at {measured.row.site}"
            terms[measured.row.row_id] = scored(measured.estimate, name)
            if results is not None:
                keep(results, measured, task)
    if results is None:
        table = table_of(rows)
    else:
        results.write_table()
        table = results.table()
    found = Profile(in_network_order(table, todo, [site.name for site in planned.sites]))
    if results is not None:
        stored = Stored([results.folder])
        read = {row_id: stored.get(row_id) for row_id in found["row_id"]}
        terms = {row_id: one for row_id, one in read.items() if one is not None}
    found.terms = terms
    return found


def choose_estimators(
    chosen: Sequence[str] | Mapping[str, Estimator],
) -> dict[str, Estimator]:
    """Estimators by name.

    Raises:
        InputError: on an unknown name, or none.
    """
    if isinstance(chosen, Mapping):
        return dict(chosen)
    unknown = [name for name in chosen if name not in ESTIMATORS]
    if unknown or not chosen:
        raise InputError(
            f"estimator must be one of {', '.join(ESTIMATORS)}; "
            f"got {', '.join(map(repr, unknown)) or 'none'}."
        )
    return {name: ESTIMATORS[name] for name in chosen}
