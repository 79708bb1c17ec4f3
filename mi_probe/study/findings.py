"""What a study found: tables, comparisons and a page of words, made of its results alone.

    OUT/findings.md             the page
    OUT/comparisons.csv         every declared comparison
    OUT/scores.{md,csv,tex}     how well the systems answer
    OUT/information.{md,csv,tex}   how much their states know
    OUT/figures/                systems over tasks, and the declared differences

No number is typed: a page that is written again from the same results is the same page.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportReturnType=false
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportGeneralTypeIssues=false

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mi_probe.atomic import write_atomically
from mi_probe.plots import save, style
from mi_probe.plots.differences import declared_figure
from mi_probe.plots.system_dots import system_dots_figure
from mi_probe.study.declared import Study
from mi_probe.study.evaluated import AVERAGE, evaluate
from mi_probe.study.gathered import gaps, measured
from mi_probe.study.progress import status
from mi_probe.study.running import fixed_comparisons
from mi_probe.study.tables import TABLES, latex, markdown, table_lines

_CELLS = (
    "Mean over trainings ± half of the 95 % interval, over rows and trainings; bold where "
    "paired tests show it better than each other system of its column."
)


@dataclass(frozen=True, eq=False)
class Findings:
    """What the finished chains of a study come to, as tables."""

    study: Study = field(repr=False)
    status: pd.DataFrame = field(repr=False)
    """A line a chain; see `mi_probe.study.progress.status`."""
    comparisons: pd.DataFrame = field(repr=False)
    """A line a declared comparison and task; see `mi_probe.study.evaluated.evaluate`."""
    gaps: pd.DataFrame = field(repr=False)
    """Rows of the chains' gaps, I(Y;Z) - I(Y;Z_p) of one network."""
    tables: Mapping[str, pd.DataFrame] = field(repr=False)
    """``scores`` and ``information``: a line a system and task."""

    @property
    def page(self) -> str:
        """The findings in words, as Markdown."""
        lines = [*_head(self.study, self.status)]
        for table in TABLES:
            if not (shown := self.tables[table.stem]).empty:
                lines += ["", f"## {table.caption}", "", markdown(shown), _CELLS]
        lines += [*_late(self.study, self.comparisons)]
        lines += [*_compared(self.comparisons), *_gaps(self.gaps)]
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
        tables={table.stem: table_lines(entries, table) for table in TABLES},
    )


def write_findings(found: Findings, folder: str | Path) -> list[Path]:
    """Write page, tables and figures into a folder; gives the paths."""
    out = Path(folder)
    files = {
        "findings.md": found.page,
        "comparisons.csv": found.comparisons.to_csv(index=False),
    }
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
        yield "| question | comparison | task | difference | 95 % interval | p | shown |"
        yield "|---|---|---|---|---|---|---|"
        for line in part.to_dict("records"):
            unit = "" if line["unit"] in ("score", "accuracy") else f" {line['unit']}"
            yield (
                f"| {line['question']} | {line['comparison']} | {line['task']} | "
                f"{line['difference']:+.3f}{unit} | [{line['low']:+.3f}, "
                f"{line['high']:+.3f}] | {_p(line['p_holm'])} | {reading(line)} |"
            )
        yield ""
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


def _gaps(table: pd.DataFrame) -> Iterator[str]:
    if table.empty:
        return
    yield ""
    yield "## What pooling leaves out, of one network"
    yield ""
    yield (
        "| model | task | site | pooled by | I(Y;Z) | I(Y;Z_p) | gap | 95 % interval | p |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for line in table.to_dict("records"):
        yield (
            f"| {line['subject']} | {line['task']} | {line['site']} | "
            f"{line['pooling']} | {line['full_nats']:.3f} | {line['pooled_nats']:.3f} | "
            f"{line['gap_nats']:+.3f} | "
            f"[{line['ci_low']:+.3f}, {line['ci_high']:+.3f}] | {_p(line['p_holm'])} |"
        )
    yield ""
    yield (
        "p is of the conditional randomisation test, one-sided, of nothing left out, after "
        "Holm's correction over the sites and poolings of a model."
    )


def _p(value: float) -> str:
    if pd.isna(value):
        return "-"
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"
