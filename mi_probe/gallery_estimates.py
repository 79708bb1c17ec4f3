"""The figures of a results folder's estimates.

Each is what one question asks: token sets of one task are panels of one figure, trained
systems are in `systems` alone, and a curve is drawn where a run has `LEAST_STEPS`.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Iterator

import pandas as pd

from mi_probe.analysis.control_points import states_of, with_controls
from mi_probe.analysis.labels import last_steps, subjects, with_runs
from mi_probe.analysis.summaries import at_layer
from mi_probe.folder_tables import ResultFolders
from mi_probe.gallery_tokens import Found, Options
from mi_probe.plots import (
    accuracy_figure,
    bar_figure,
    convergence_figure,
    layer_profiles,
    training_figure,
)

LEAST_STEPS = 3
"""Steps of one run from which a curve is drawn."""


def profiles(folders: ResultFolders, options: Options) -> Found:
    """One a model and task with several places on the layer axis; bars show one."""
    points = folders.points(options.unit)
    states = _named(states_of(points))
    for (model, task), rows in groups(states, ["model_label", "subject"]):
        if rows["x"].nunique() > 1:
            drawn = with_controls(rows.drop(columns="subject"), points)
            yield f"profile-{model}-{task}", layer_profiles(drawn), drawn


def bars(folders: ResultFolders, options: Options) -> Found:
    """One of all models that are shown as they are: `systems` has the trained ones."""
    for points, chosen in _last(folders, options):
        plain = chosen[~_trained_on(chosen)].reset_index(drop=True)
        if len(plain):
            rows = with_controls(plain, points)
            x = "model" if plain["model_label"].nunique() > 1 else "task"
            yield "bars", bar_figure(rows, x=x), rows


def systems(folders: ResultFolders, options: Options) -> Found:
    """One of all tasks and systems, at the last step of each run."""
    for points, chosen in _last(folders, options):
        trained = chosen[_trained_on(chosen)]
        if len(trained):
            rows = with_controls(trained.reset_index(drop=True), points)
            yield "systems", bar_figure(rows, x="task"), rows


def _last(
    folders: ResultFolders, options: Options
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """All points, and those of one layer and of the last step of each run."""
    points = folders.points(options.unit)
    if not points.empty:
        yield points, last_steps(_runs_at_layer(points, options.layer))


def _trained_on(points: pd.DataFrame) -> pd.Series:
    """True on tasks that a system was trained on: there models stand beside it."""
    trained = points.loc[points["objective"] != "", "task_label"]
    return points["task_label"].isin(trained)


def training(folders: ResultFolders, options: Options) -> Found:
    """One a task and estimator, of runs with three steps or more."""
    for label, rows in _curves(folders, options, "checkpoint_step"):
        yield f"training-{label}", training_figure(rows), rows


def accuracy(folders: ResultFolders, options: Options) -> Found:
    """One a task and estimator whose systems were asked for answers at as many steps."""
    for label, rows in _curves(folders, options, "metric_value"):
        yield f"accuracy-{label}", accuracy_figure(rows), rows


def _curves(
    folders: ResultFolders, options: Options, against: str
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows with a value of a column, where a run has `LEAST_STEPS` steps and values."""
    points = folders.points(options.unit)
    if points.empty:
        return
    chosen = _named(_runs_at_layer(points, options.layer))
    chosen = chosen[chosen["checkpoint_step"].notna() & chosen[against].notna()]
    several = chosen["estimator_label"].nunique() > 1
    for (task, estimator), rows in groups(chosen, ["subject", "estimator_label"]):
        steps = rows.groupby(["run", "objective"])[["checkpoint_step", against]].nunique()
        if (steps >= LEAST_STEPS).all(axis=1).any():
            rows = rows.drop(columns="subject")
            yield f"{task}-{estimator}" if several else task, rows


def _named(points: pd.DataFrame) -> pd.DataFrame:
    """Points with what one figure is of: a task with all its token sets."""
    return points if points.empty else points.assign(subject=subjects(points))


def _runs_at_layer(points: pd.DataFrame, layer: str | None) -> pd.DataFrame:
    return with_runs(at_layer(points, layer))


def convergence(folders: ResultFolders, options: Options) -> Found:
    """One a model, task and estimator whose critics were trained: at the bars' layer.

    Of several seeds the first, of several steps the last.
    """
    curves = folders.curves(options.unit)
    if curves.empty:
        return
    keys = ["model_label", "task_label", "estimator_label", "site"]
    chosen = last_steps(_runs_at_layer(folders.points(options.unit), options.layer))
    kept = curves.merge(chosen[keys].drop_duplicates(), on=keys)
    for (model, task, estimator), rows in groups(kept, keys[:3]):
        first = rows[rows["seed"] == rows["seed"].min()].reset_index(drop=True)
        row = first.iloc[0]
        title = f"{model} on {task}, {estimator}, {row['site']}, n = {row['n']:,.0f}"
        figure = convergence_figure(first, title=title)
        yield f"convergence-{model}-{task}-{estimator}", figure, first


def groups(points: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """Groups of rows with their keys, in order of appearance; none of an empty table."""
    if points.empty:
        return
    for key, rows in points.groupby(by, sort=False, dropna=False):
        yield key, rows.reset_index(drop=True)  # pyright: ignore[reportReturnType]
