"""Every figure that a results folder allows: what `figures` draws and pages may show.

    rows/ or results.csv      profiles, bars, systems, training, accuracy,
                              convergence
    comparisons.csv           paired differences, a forest plot
    gaps.csv                  the DPI gap, a forest plot
    capacity.csv, noise.csv   ladders
    known_answers.csv         the benchmark of estimators
    tokens/                   strips, heat maps, positions, spans, types, words, generated

A kind is one function from the folder to figures; what is not there is said, not drawn.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure

from mi_probe import gallery_tokens
from mi_probe.analysis.control_points import states_of, with_controls
from mi_probe.analysis.labels import short_name
from mi_probe.analysis.summaries import at_layer
from mi_probe.analysis.training_runs import last_steps, with_runs
from mi_probe.analysis.units import in_unit
from mi_probe.errors import check_known
from mi_probe.folder_tables import ResultFolders
from mi_probe.gallery_tokens import Chosen
from mi_probe.plots import (
    accuracy_figure,
    bar_figure,
    convergence_figure,
    difference_figure,
    gap_figure,
    ladder_figure,
    layer_profiles,
    system_figure,
    training_figure,
)
from mi_probe.plots.benchmark import benchmark_figure, error_points
from mi_probe.plots.ladders import LADDER
from mi_probe.plots.saving import file_stem
from mi_probe.synthetic import GROUPS


@dataclass(frozen=True)
class Options:
    """What the user may choose of a figure's content."""

    unit: str = "nats"
    layer: str | None = None
    """Of the bars: a hidden_states index or a site; None for the deepest."""
    tokens: Chosen = field(default_factory=Chosen)
    """Of token tables: sentences, the template's words, stop words."""


@dataclass(frozen=True)
class Drawn:
    """One figure, what it draws, and the name of its files."""

    kind: str
    stem: str
    figure: Figure
    table: pd.DataFrame


@dataclass(frozen=True)
class Skipped:
    """A kind that is not drawn, and why."""

    kind: str
    reason: str


Found = Iterator[tuple[str, Figure, pd.DataFrame]]


def gallery(
    folders: ResultFolders,
    kinds: Sequence[str] | None = None,
    options: Options | None = None,
) -> Iterator[Drawn | Skipped]:
    """Draw one figure after the other; call it, and save, inside one `style`.

    Args:
        folders: what the commands wrote.
        kinds: some of `KINDS`; all by default.
        options: unit and layer.

    Raises:
        InputError: an unknown kind, a damaged table, or a layer that was not measured.
    """
    options = options or Options()
    wanted = list(KINDS) if kinds is None else list(kinds)
    check_known("only", tuple(wanted), KINDS)
    if options.layer is not None and not folders.results.empty:
        # A layer that was not measured is said before anything is drawn.
        at_layer(folders.points(options.unit), options.layer)
    taken: set[str] = set()
    for kind in wanted:
        count = 0
        for label, figure, table in KINDS[kind].draw(folders, options):
            stem = file_stem(label)
            # Two names may differ only in characters that file names cannot have.
            while stem.lower() in taken:
                stem += "_"
            taken.add(stem.lower())
            count += 1
            yield Drawn(kind, stem, figure, table)
        if not count:
            yield Skipped(kind, KINDS[kind].needs)


def _profiles(folders: ResultFolders, options: Options) -> Found:
    """One a model and task with several places on the layer axis; bars show one."""
    points = folders.points(options.unit)
    for (model, task), states in _groups(states_of(points), ["model_label", "task_label"]):
        if states["x"].nunique() > 1:
            rows = with_controls(states, points)
            yield f"profile-{task}-{model}", layer_profiles(rows), rows


def _bars(folders: ResultFolders, options: Options) -> Found:
    """Over tasks one a model, and over models one a task that has several."""
    points = folders.points(options.unit)
    chosen = points if points.empty else last_steps(_runs_at_layer(points, options))
    for (model,), states in _groups(chosen, ["model_label"]):
        rows = with_controls(states, points)
        yield f"bars-{model}", bar_figure(rows, x="task"), rows
    for (task,), states in _groups(chosen, ["task_label"]):
        if states["model_label"].nunique() > 1:
            rows = with_controls(states, points)
            yield f"bars-models-{task}", bar_figure(rows, x="model"), rows


def _systems(folders: ResultFolders, options: Options) -> Found:
    """One of all tasks and systems, at the last step of each run."""
    points = folders.points(options.unit)
    if points.empty or not points["objective"].astype(bool).any():
        return
    chosen = last_steps(_runs_at_layer(points, options))
    tasks = chosen.loc[chosen["objective"] != "", "task_label"]
    states = chosen[chosen["task_label"].isin(tasks)]
    rows = with_controls(states, points)
    yield "systems", system_figure(rows), rows


def _training(folders: ResultFolders, options: Options) -> Found:
    """One a task and estimator that has several steps of a run."""
    for label, rows in _trained(folders, options):
        stepped = rows[rows["checkpoint_step"].notna()].reset_index(drop=True)
        if (stepped.groupby(["run", "objective"])["checkpoint_step"].nunique() > 1).any():
            yield f"training-{label}", training_figure(stepped), stepped


def _accuracy(folders: ResultFolders, options: Options) -> Found:
    """One a task and estimator whose systems were asked for answers."""
    for label, rows in _trained(folders, options):
        answered = rows[rows["metric_value"].notna()].reset_index(drop=True)
        if answered["metric_value"].nunique() > 1:
            yield f"accuracy-{label}", accuracy_figure(answered), answered


def _trained(
    folders: ResultFolders, options: Options
) -> Iterator[tuple[str, pd.DataFrame]]:
    points = folders.points(options.unit)
    if points.empty:
        return
    chosen = _runs_at_layer(points, options)
    several = chosen["estimator_label"].nunique() > 1
    for (task, estimator), rows in _groups(chosen, ["task_label", "estimator_label"]):
        yield f"{task}-{estimator}" if several else task, rows


def _runs_at_layer(points: pd.DataFrame, options: Options) -> pd.DataFrame:
    return with_runs(at_layer(points, options.layer))


def _convergence(folders: ResultFolders, options: Options) -> Found:
    """One a model, task and estimator whose critics were trained: at the bars' layer.

    Of several seeds the first, of several steps the last.
    """
    curves = folders.curves(options.unit)
    if curves.empty:
        return
    keys = ["model_label", "task_label", "estimator_label", "site"]
    chosen = last_steps(_runs_at_layer(folders.points(options.unit), options))
    kept = curves.merge(chosen[keys].drop_duplicates(), on=keys)
    for (model, task, estimator), rows in _groups(kept, keys[:3]):
        first = rows[rows["seed"] == rows["seed"].min()].reset_index(drop=True)
        row = first.iloc[0]
        title = f"{model} on {task}, {estimator}, {row['site']}, n = {row['n']:,.0f}"
        figure = convergence_figure(first, title=title)
        yield f"convergence-{task}-{model}-{estimator}", figure, first


def _comparisons(folders: ResultFolders, options: Options) -> Found:
    yield from _forest(folders, options, "comparisons", difference_figure)


def _gaps(folders: ResultFolders, options: Options) -> Found:
    yield from _forest(folders, options, "gaps", gap_figure)


def _forest(
    folders: ResultFolders,
    options: Options,
    name: str,
    draw: Callable[[pd.DataFrame], Figure],
) -> Found:
    """One of all, so that they are compared."""
    table = folders.table(f"{name}.csv")
    if not table.empty:
        points = in_unit(table, options.unit, source=f"{name}.csv")
        yield name, draw(points), points


def _capacity(folders: ResultFolders, options: Options) -> Found:
    yield from _ladders(folders, options, "capacity")


def _noise(folders: ResultFolders, options: Options) -> Found:
    yield from _ladders(folders, options, "noise")


def _ladders(folders: ResultFolders, options: Options, axis: str) -> Found:
    """One a subject, task and site."""
    table = folders.table(f"{axis}.csv")
    if table.empty:
        return
    points = in_unit(
        table, options.unit, needs=("subject", "task", "site"), source=f"{axis}.csv"
    )
    held = [column for column in LADDER if column in points]
    for _, rows in _groups(points, held):
        row = rows.iloc[0]
        label = f"{axis}-{row['task']}-{short_name(row['subject'])}-{row['site']}"
        yield label, ladder_figure(rows, axis=axis), rows  # pyright: ignore[reportArgumentType]


def _benchmark(folders: ResultFolders, options: Options) -> Found:
    """One of all known answers; in nats, as the truths are."""
    table = folders.table("known_answers.csv")
    if not table.empty:
        points = error_points(table)
        yield "benchmark", benchmark_figure(points, GROUPS), points


def _strips(folders: ResultFolders, options: Options) -> Found:
    yield from gallery_tokens.strips(folders.token_sets, options.unit, options.tokens)


def _tokens(folders: ResultFolders, options: Options) -> Found:
    sets = folders.token_sets
    yield from gallery_tokens.sentence_maps(sets, options.unit, options.tokens)


def _positions(folders: ResultFolders, options: Options) -> Found:
    yield from gallery_tokens.positions(folders.token_sets, options.unit)


def _spans(folders: ResultFolders, options: Options) -> Found:
    yield from gallery_tokens.spans(folders.token_sets, options.unit)


def _types(folders: ResultFolders, options: Options) -> Found:
    yield from gallery_tokens.types(folders.token_sets, options.unit, options.tokens)


def _words(folders: ResultFolders, options: Options) -> Found:
    yield from gallery_tokens.words(folders.token_sets, options.unit, options.tokens)


def _generated(folders: ResultFolders, options: Options) -> Found:
    yield from gallery_tokens.generated(folders.token_sets, options.unit)


def _groups(points: pd.DataFrame, by: list[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    if points.empty:
        return
    for key, rows in points.groupby(by, sort=False, dropna=False):
        yield key, rows.reset_index(drop=True)  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class Kind:
    """How one kind is drawn, and what must be there for it."""

    draw: Callable[[ResultFolders, Options], Found]
    needs: str
    """What is missing where nothing is drawn."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "profile": Kind(_profiles, "no estimates at several layers of a model"),
        "bars": Kind(_bars, "no estimates with a place on the layer axis"),
        "systems": Kind(_systems, "no estimates of a trained system"),
        "training": Kind(_training, "no estimates at several steps of a run"),
        "accuracy": Kind(_accuracy, "no metric of systems with several values"),
        "convergence": Kind(_convergence, "no critic that was trained by epochs"),
        "comparisons": Kind(_comparisons, "no comparisons.csv"),
        "gaps": Kind(_gaps, "no gaps.csv"),
        "capacity": Kind(_capacity, "no capacity.csv"),
        "noise": Kind(_noise, "no noise.csv"),
        "strips": Kind(_strips, "no tokens/*.tokens.parquet"),
        "tokens": Kind(_tokens, "no tokens/*.tokens.parquet"),
        "positions": Kind(_positions, "no tokens/*.positions.csv"),
        "spans": Kind(_spans, "no tokens/*.spans.csv: no --spans were asked for"),
        "types": Kind(_types, "no tokens/*.types.csv"),
        "benchmark": Kind(_benchmark, "no known_answers.csv"),
        "words": Kind(_words, "no tokens/*.words.csv"),
        "generated": Kind(_generated, "no tokens/*.generated.csv"),
    }
)
"""Every kind of figure, in the order in which they are drawn."""
