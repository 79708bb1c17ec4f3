"""What a study found: tables, comparisons and a page of words, made of its results alone.

    OUT/findings.md             the page
    OUT/comparisons.csv         every declared comparison
    OUT/ordering.csv            whether information orders systems as their answers do
    OUT/scores.{md,csv,tex}     how well the systems answer
    OUT/information.{md,csv,tex}   how much their states know
    OUT/critics.csv             what estimators find with few and with many rows
    OUT/figures/                systems over tasks, the declared differences, critics over
                                rows; and of each chain's results training curves, gaps
                                and profiles over layers

No number is typed: a page that is written again from the same results is the same page.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mi_probe.atomic import write_atomically
from mi_probe.folder_tables import ResultFolders
from mi_probe.gallery import Drawn, gallery
from mi_probe.plots import save, style
from mi_probe.plots.curves import critic_rows_figure
from mi_probe.plots.differences import declared_figure, system_dots_figure
from mi_probe.study.declared import Study
from mi_probe.study.evaluated import AVERAGE, evaluate
from mi_probe.study.gathered import gaps, measured
from mi_probe.study.ordering import ordering
from mi_probe.study.progress import RESULTS, status
from mi_probe.study.running import fixed_comparisons
from mi_probe.study.tables import (
    PLACE,
    TABLES,
    critic_lines,
    latex,
    markdown,
    ruled,
    table_lines,
)

_INTERVAL = "95 % interval"
_PLAIN = ("score", "accuracy")
"""Units that a difference stands without."""
_KINDS = ("training", "gaps", "profile")
"""Figures of the chains' own results that a study draws."""
_CELLS = (
    "Mean over trainings ± half of the 95 % interval, over rows and trainings; bold where "
    "paired tests show it better than each other system of its column."
)


@dataclass(frozen=True, eq=False, repr=False)
class Findings:
    """What the finished chains of a study come to, as tables."""

    study: Study
    status: pd.DataFrame
    """A line a chain; see `mi_probe.study.progress.status`."""
    comparisons: pd.DataFrame
    """A line a declared comparison and task; see `mi_probe.study.evaluated.evaluate`."""
    gaps: pd.DataFrame
    """Rows of the chains' gaps, I(Y;Z) - I(Y;Z_p) of one network."""
    ordering: pd.DataFrame
    """Whether information orders the systems as their answers do; see
    `mi_probe.study.ordering`."""
    critics: pd.DataFrame
    """What estimators find as rows grow in number; see `mi_probe.study.tables`."""
    tables: Mapping[str, pd.DataFrame]
    """``scores`` and ``information``: a line a system and task."""

    def __repr__(self) -> str:
        done, compared = len(self.status), len(self.comparisons)
        return f"Findings({done} chains, {compared} comparisons, {len(self.gaps)} gaps)"

    @property
    def page(self) -> str:
        """The findings in words, as Markdown."""
        lines = [*_head(self.study, self.status)]
        for table in TABLES:
            if not (shown := self.tables[table.stem]).empty:
                lines += ["", f"## {table.caption}", "", markdown(shown), _CELLS]
        lines += [*_late(self.study, self.comparisons)]
        lines += [*_compared(self.comparisons), *_ordered(self.ordering)]
        lines += [*_gaps(self.gaps), *_critics(self.critics)]
        return "\n".join(lines).rstrip() + "\n"

    def _repr_markdown_(self) -> str:
        return self.page


def findings(study: Study, folder: str | Path) -> Findings:
    """What is finished in a study's folder, nothing run."""
    out = Path(folder)
    entries = measured(study, out)
    return Findings(
        study=study,
        status=status(study, out),
        comparisons=evaluate(study, entries, fixed_comparisons(out)),
        gaps=gaps(study, out),
        ordering=ordering(entries),
        critics=critic_lines(entries),
        tables={table.stem: table_lines(entries, table) for table in TABLES},
    )


def write_findings(found: Findings, folder: str | Path) -> list[Path]:
    """Write page, tables and figures into a folder; gives the paths."""
    out = Path(folder)
    files = {
        "findings.md": found.page,
        "comparisons.csv": found.comparisons.to_csv(index=False),
        "ordering.csv": found.ordering.to_csv(index=False),
    }
    if not found.critics.empty:
        files["critics.csv"] = found.critics.to_csv(index=False)
    for table in TABLES:
        if not (lines := found.tables[table.stem]).empty:
            files[f"{table.stem}.csv"] = lines.to_csv(index=False)
            files[f"{table.stem}.md"] = markdown(lines)
            files[f"{table.stem}.tex"] = latex(lines, table.caption)
    for name, text in files.items():
        write_atomically(out / name, text.encode())
    paths = [out / name for name in files]
    for figure, table, stem in _figures(found):
        with style("acl", "page"):
            paths += save(figure(table), table, stem, out / "figures")
    results = [out / chain.name / RESULTS for chain in found.study.chains]
    results = [place for place in results if place.is_dir() and any(place.iterdir())]
    with style("acl", "page"):
        for drawn in gallery(ResultFolders(results), _KINDS) if results else ():
            if isinstance(drawn, Drawn):
                paths += save(drawn.figure, drawn.table, drawn.stem, out / "figures")
    return paths


def _figures(
    found: Findings,
) -> Iterator[tuple[Callable[[pd.DataFrame], Figure], pd.DataFrame, str]]:
    shown = pd.concat(found.tables.values(), ignore_index=True)
    systems = shown[shown["task"] != AVERAGE]
    systems = systems.assign(
        measure=systems["measure"].replace("nats", "I(Y;Z) of the prompt (nats)"),
        low=systems["mean"] - systems["half_width"],
        high=systems["mean"] + systems["half_width"],
    )
    if not systems.empty:
        yield system_dots_figure, systems, "study-systems"
    if not found.comparisons.empty:
        yield declared_figure, found.comparisons, "study-differences"
    if not found.critics.empty:
        yield critic_rows_figure, found.critics, "study-critics"


def _head(study: Study, state: pd.DataFrame) -> Iterator[str]:
    yield f"# Findings of the study '{study.name}'"
    yield ""
    if study.about:
        yield study.about
        yield ""
    done = int((state["state"] == "done").sum())
    yield (
        f"{done} of {len(state)} chains of trainings and measurements are finished, in "
        f"{state['seconds'].sum() / 3600:.1f} hours of one process."
    )
    for line in state[state["state"] == "failed"].to_dict("records"):
        yield f"`{line['chain']}` failed at its command `{line['command']}`."


def _late(study: Study, table: pd.DataFrame) -> Iterator[str]:
    """Comparisons that call themselves primary, though results were there before them."""
    counted = set(table.loc[table["primary"], "comparison"])
    found = {one.name for one in study.comparisons if one.primary} - counted
    for name in sorted(found & set(table["comparison"])):
        yield ""
        yield (
            f"'{name}' was declared primary, or changed, after results were there: it is "
            "exploratory here."
        )


def _compared(table: pd.DataFrame) -> Iterator[str]:
    """The declared comparisons, those that count first."""
    for primary, title in ((True, "Primary comparisons"), (False, "Exploratory")):
        part = table[table["primary"] == primary]
        if part.empty:
            continue
        yield ""
        yield f"## {title}"
        yield ""
        units = part["unit"].map(lambda unit: "" if unit in _PLAIN else f" {unit}")
        shown = {
            **{name: part[name] for name in ("question", "comparison", "task")},
            "difference": part["difference"].map("{:+.3f}".format) + units,
            _INTERVAL: _intervals(part["low"], part["high"]),
            "p": part["p_holm"].map(_p),
            "shown": [reading(line) for line in part.to_dict("records")],
        }
        yield ruled(pd.DataFrame(shown))
        yield (
            "Differences are of the same rows, pair by pair; intervals are over rows and "
            "trainings. p is two-sided, of no difference, after Holm's correction over the "
            "comparisons of this table (those of one task and those of averages apart)."
        )
        if (part["trainings"] < 2).any():
            yield (
                "Where a comparison rests on one training a side, its interval says "
                "nothing of another training."
            )


def reading(line: dict) -> str:
    """What a comparison shows, in a few words, and never more than its interval says."""
    if line["p_holm"] < 0.05:
        return "yes" if line["difference"] > 0 else "no: the opposite"
    if line["seen"] == 0:
        return "not shown: both say the same of every row"
    return f"not shown; {line['seen']:.3f} would be in 80 % of runs"


def _ordered(table: pd.DataFrame) -> Iterator[str]:
    if table.empty:
        return
    yield ""
    yield "## Does information order the systems as their answers do?"
    yield ""
    shown = {
        "task": table["task"],
        "Kendall's tau": table["tau"].map("{:+.2f}".format),
        _INTERVAL: _intervals(table["low"], table["high"], digits=2),
        "p": table["p_value"].map(_p),
        "pairs of systems": table["pairs"],
        "seeds": table["seeds"],
    }
    yield ruled(pd.DataFrame(shown))
    yield (
        "Pairs are of one task and seed: 1 where the system that knows more always answers "
        "better, 0 where the one says nothing of the other. p is two-sided, of scores "
        "shuffled among the systems; it is exploratory and not corrected."
    )


def _gaps(table: pd.DataFrame) -> Iterator[str]:
    if table.empty:
        return
    yield ""
    yield "## What pooling leaves out, of one network"
    yield ""
    shown = {
        **{"model": table["subject"], "task": table["task"], "site": table["site"]},
        "pooled by": table["pooling"],
        "I(Y;Z)": table["full_nats"].map("{:.3f}".format),
        "I(Y;Z_p)": table["pooled_nats"].map("{:.3f}".format),
        "gap": table["gap_nats"].map("{:+.3f}".format),
        _INTERVAL: _intervals(table["ci_low"], table["ci_high"]),
        "p": table["p_holm"].map(_p),
    }
    yield ruled(pd.DataFrame(shown))
    yield (
        "p is of the conditional randomisation test, one-sided, of nothing left out, after "
        "Holm's correction over the sites and poolings of a model."
    )


def _critics(table: pd.DataFrame) -> Iterator[str]:
    """A table a place: critics down, numbers of rows across."""
    for place, part in table.groupby([*PLACE], sort=False):
        task, backbone, site, view = place
        yield ""
        yield f"## What critics find with few and with many rows: {backbone} on {task}"
        yield ""
        named = part.rename(columns={"estimator": "critic"}).assign(
            cell=[f"{x.nats:.3f} [{x.low:.3f}, {x.high:.3f}]" for x in part.itertuples()]
        )
        critics = ["critic", "family"]
        cells = named.pivot(index=critics, columns="rows", values="cell").fillna("")
        cells = cells.reindex(named.set_index(critics).index.unique())
        yield ruled(cells.rename(columns="{:,} rows".format).reset_index())
        yield (
            f"Of {site}, {view}, held out, in nats, with the 95 % interval of each alone. "
            f"H(Y) is {part.loc[part['rows'].idxmax(), 'H_Y_nats']:.3f} at the most rows."
            if part["H_Y_nats"].notna().any()
            else f"Of {site}, {view}, held out, in nats, with the interval of each alone."
        )


def _intervals(low: pd.Series, high: pd.Series, digits: int = 3) -> list[str]:
    ends = zip(low, high, strict=True)
    return [f"[{a:+.{digits}f}, {b:+.{digits}f}]" for a, b in ends]


def _p(value: float) -> str:
    if pd.isna(value):
        return "-"
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"
