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


@dataclass(frozen=True)
class Kind:
    """What is said of a kind of figure."""

    title: str
    caption: str
    themed: bool = True
    """Whether its ink and paper follow the page's theme; not where colours are data."""


KINDS = {
    "profile": Kind(
        "Layer profile",
        "Held-out estimates of one network by layer, with 95 % intervals. Dashed: H(Y), "
        "the ceiling. Dotted: a band that holds all layers and "
        "views at once. Grey: the same procedure with Y permuted. Diamonds: "
        "the value at n \N{RIGHTWARDS ARROW} \N{INFINITY}, another number than the "
        "bound; arrows: it is at least that. Thin lines: controls, what simpler things "
        "know on the same rows.",
    ),
    "bars": Kind(
        "Bars",
        "One layer, fixed before any value was seen. Dashed segments: H(Y); thin ones: "
        "controls, what simpler things know on the same rows. Different networks are not "
        "ordered by the data processing inequality.",
    ),
    "systems": Kind(
        "Systems",
        "Predictor, Generator and PredGen on each task. Within a system the data "
        "processing inequality orders all states and their poolings; between systems it "
        "says nothing: they are different networks.",
    ),
    "training": Kind(
        "Over training",
        "Information by optimiser step; the metric has a panel of its own.",
    ),
    "accuracy": Kind(
        "Information against the metric",
        "A point a checkpoint. Both rise with training, so their going together is no "
        "proof that one brings the other.",
    ),
    "comparisons": Kind(
        "Paired comparisons",
        "Differences of two estimates of the same rows, taken row by row, with 95 % "
        "intervals; p is corrected for all of them (Holm). Between networks the data "
        "processing inequality says nothing.",
    ),
    "gaps": Kind(
        "Gaps",
        "I(Y;Z|Z_p) of each pooling with its 95 % interval, from paired held-out values. "
        "Left of 0, the critic of Z is the weaker one.",
    ),
    "capacity": Kind(
        "Capacity ladder",
        "The gap as the critic grows. One that closes was a gap of the weaker critic.",
    ),
    "noise": Kind(
        "Noise ladder",
        "The gap of states with noise added before pooling, where the data processing "
        "inequality is strict and no injectivity argument applies.",
    ),
    "convergence": Kind(
        "Convergence",
        "The bound on training and on held-out rows while the critic is trained: what "
        "lies between them was learned by heart.",
    ),
    "positions": Kind(
        "By position",
        "I(Y;Z_t) by the place of a token. Late places exist in long texts only.",
        themed=False,
    ),
    "types": Kind(
        "By token type",
        "What an occurrence of the token tells of Y on average; rare types are pooled.",
    ),
    "benchmark": Kind(
        "Known answers",
        "Errors of estimators where the truth is known, by group of tasks.",
    ),
    "words": Kind(
        "Words",
        "By predicted word and word of the input. A few sentences make a vivid cell.",
        themed=False,
    ),
    "generated": Kind(
        "Generated \N{MULTIPLICATION SIGN} input",
        "Held-out linear information between the states of a written and of a read token. "
        "Neither bound: for comparing places, not for its size.",
        themed=False,
    ),
}
"""By the names of `mi_probe.gallery.KINDS`; others get their name, on white paper."""


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
    with style("acl", "full", fonts=fonts):
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
    plain = Kind(drawn.kind.replace("_", " ").capitalize(), "", themed=False)
    kind = KINDS.get(drawn.kind, plain)
    # What tables of tokens are of stands over the figure alone.
    where = _where(drawn.table) or " ".join(drawn.figure.get_suptitle().split())
    svg = inline_svg(drawn.figure, name, themed=kind.themed, letters=letters)
    lost = lost_letters(drawn.figure)
    said = " Letters that no font here draws stand as code points; see --fonts."
    return Picture(
        title=f"{kind.title}: {where}" if where else kind.title,
        caption=kind.caption + (said if lost else ""),
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
