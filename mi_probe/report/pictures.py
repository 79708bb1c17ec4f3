"""The figures of a page, each with its caption and what it says in words."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mi_probe import gallery
from mi_probe.analysis.labels import short_name
from mi_probe.analysis.reading import readings
from mi_probe.facts import fixed
from mi_probe.plots import style
from mi_probe.plots.glyphs import lost_letters
from mi_probe.report.sources import Sources
from mi_probe.report.svg import Outlines, Svg, inline_svg

MOST = 24
"""Figures that a page shows at most."""
MOST_OF_A_KIND = 6
"""And of one kind, so that profiles of many checkpoints leave room for the others."""
INTERACTIVE = ("strips", "tokens")
"""Kinds that the page's own token map shows: there, of every sentence and definition."""


QUESTIONS = {
    "profile": "In which layer can Y be read",
    "bars": "How much is known at one layer",
    "systems": "Which system's states know how much",
    "training": "When in training does it become known",
    "accuracy": "Do states that know more answer better",
    "convergence": "Has the critic converged",
    "comparisons": "Which differences are shown",
    "gaps": "Does pooling lose anything",
    "capacity": "Does the gap close as the critic grows",
    "noise": "Does the gap survive noise",
    "positions": "Where in the text does it become known",
    "spans": "Which spans make it known",
    "types": "Which tokens tell of it",
    "words": "Which words speak for which answer",
    "generated": "Which tokens read are in which tokens written",
}
"""By the names of `mi_probe.gallery.KINDS`: what each figure answers."""
ON_WHITE = ("positions", "words", "generated")
"""Kinds whose colours are data, so that they do not follow the page's theme."""


@dataclass(frozen=True)
class Picture:
    """One figure of the page."""

    title: str
    caption: str
    alt: str
    """What it shows, for who cannot see it."""
    svg: Svg


def pictures(sources: Sources, fonts: Sequence[str] = ()) -> tuple[list[Picture], bool]:
    """The page's figures by kind, and whether there are more than it shows."""
    made: list[Picture] = []
    more = False
    letters: Outlines = {}
    with style("acl", "page", fonts=fonts):
        for kind in gallery.KINDS:
            count = 0
            if kind in INTERACTIVE:
                continue
            for drawn in gallery.gallery(sources.folders, [kind]):
                if not isinstance(drawn, gallery.Drawn):
                    continue
                if count == MOST_OF_A_KIND or len(made) == MOST:
                    more = True
                    break
                count += 1
                made.append(_picture(drawn, f"f{len(made)}", letters, sources))
    return made, more


def _picture(
    drawn: gallery.Drawn, name: str, letters: Outlines, sources: Sources
) -> Picture:
    asked = QUESTIONS.get(drawn.kind, drawn.kind.capitalize())
    # What tables of tokens are of stands over the figure alone.
    where = _where(drawn.table) or " ".join(drawn.figure.get_suptitle().split())
    themed = drawn.kind in QUESTIONS and drawn.kind not in ON_WHITE
    svg = inline_svg(drawn.figure, name, themed=themed, letters=letters)
    lost = lost_letters(drawn.figure)
    said = " Letters that no font here draws stand as code points; see --fonts."
    return Picture(
        title=f"{asked}? {where}" if where else f"{asked}?",
        caption=drawn.caption + (said if lost else ""),
        alt=_alt(drawn.table, sources),
        svg=svg,
    )


def _where(table: pd.DataFrame) -> str:
    """The model, task and site that the whole figure is of."""
    names = ("model_label", "subject", "task_label", "task", "site")
    same = [n for n in names if n in table and table[n].nunique() == 1]
    if {"task", "task_label"} <= set(same):
        same.remove("task")
    words = (str(table[name].dropna().iloc[0]) for name in same)
    return ", ".join(
        short_name(word) if name == "subject" else word
        for name, word in zip(same, words, strict=True)
    )


def _alt(table: pd.DataFrame, sources: Sources) -> str:
    if "model_label" in table and "estimator_label" in table and "x" in table:
        return " ".join(str(reading) for reading in readings(table, sources.folders.paired))
    if {"a", "b", "difference"} <= set(table):
        return "; ".join(
            f"{row['a']} minus {row['b']}: {fixed(row['difference'])} "
            f"[{fixed(row['low'])}, {fixed(row['high'])}]"
            for _, row in table.iterrows()
        )
    if "verdict" in table:
        return " ".join(str(verdict) for verdict in table["verdict"].dropna())
    if {"gap_nats", "pooling"} <= set(table):
        rung = next((name for name in ("rung", "sigma") if name in table), "pooling")
        return "; ".join(
            f"{row['pooling']}, {rung} {row[rung]}: {fixed(row['gap_nats'])}"
            for _, row in table.iterrows()
        )
    for names in (("predicted_word", "word"), ("generated_position", "input_from_end")):
        if {*names, "value", "low", "high"} <= set(table):
            return "; ".join(
                f"{row[names[0]]}, {row[names[1]]}: {fixed(row['value'])} "
                f"[{fixed(row['low'])}, {fixed(row['high'])}]"
                for _, row in table.iterrows()
            )
    return ""
