"""A profile: from a model and a task to a tidy table of estimates, in one call."""

from collections.abc import Mapping, Sequence

import pandas as pd

from mi_probe.analysis.cells import anchor_of, cells, subject_of
from mi_probe.analysis.measuring import (
    anchored,
    check_task,
    in_network_order,
    keep,
    measure,
)
from mi_probe.backbones import Backbone, load_backbone
from mi_probe.capture import extract
from mi_probe.capture.extract import plan
from mi_probe.errors import InputError, meant
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.results import Results, table_of
from mi_probe.tasks import Task, load_task


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
) -> pd.DataFrame:
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
        One tidy row an estimate; columns as in `mi_probe.results.Row`.

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
    rows = []
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
            if results is not None:
                keep(results, measured, task)
    if results is None:
        table = table_of(rows)
    else:
        results.write_table()
        table = results.table()
    return in_network_order(table, todo, [site.name for site in planned.sites])


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
            f"{meant(unknown[0], ESTIMATORS) if unknown else ''}"
        )
    return {name: ESTIMATORS[name] for name in chosen}
