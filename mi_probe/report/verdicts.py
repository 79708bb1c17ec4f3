"""The page in words: what is shown, on which reading it rests, what it does not prove."""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from dataclasses import dataclass

import pandas as pd

from mi_probe.analysis.control_points import states_of
from mi_probe.analysis.finding import findings, system_readings
from mi_probe.analysis.labels import short_name
from mi_probe.analysis.reading import Reading, readings
from mi_probe.analysis.verdict import CAVEAT
from mi_probe.facts import fixed
from mi_probe.plots.captions import is_true
from mi_probe.report.sources import Sources

_MOST = 6
"""Findings beside the headline, at most; the tables hold all."""
SHOWN = "A gap is shown"
"""How `mi_probe.analysis.verdict` begins where it finds one."""


@dataclass(frozen=True)
class GapVerdict:
    """What is said of one gap, and on which reading it rests."""

    heading: str
    verdict: str
    reading: str
    shown: bool


@dataclass(frozen=True)
class Verdict:
    """All that the page says before it shows anything; systems are read first."""

    headline: str
    """Finding of the estimator that read most, or what the gaps say where there is none."""
    beside: tuple[str, ...]
    """Findings of other token sets, tasks and estimators, and of the gaps."""
    gaps: tuple[GapVerdict, ...]
    readings: tuple[Reading, ...]
    cautions: tuple[str, ...]


def verdict_of(sources: Sources) -> Verdict:
    """Headline, a verdict a gap, a reading a panel, and cautions that apply."""
    gaps = tuple(_gap(row) for _, row in sources.gaps.iterrows())
    points = sources.points
    found = [] if points.empty else findings(points, sources.folders.paired)
    told = [*found[:1], *filter(None, [_of_gaps(gaps, sources.gaps)]), *found[1:_MOST]]
    return Verdict(
        headline=told[0] if told else "",
        beside=tuple(told[1:]),
        gaps=gaps,
        readings=()
        if sources.points.empty
        else (
            *system_readings(sources.points, sources.folders.paired),
            *readings(sources.points, sources.folders.paired),
        ),
        cautions=tuple(_cautions(sources)),
    )


def _gap(row: pd.Series) -> GapVerdict:
    where = [short_name(str(row["subject"]))] if "subject" in row else []
    words = f"{' '.join(where)} on {row['task']}".strip()
    if pd.notna(row.get("step")):
        words += f", step {row['step']:g}"
    for name, before in (("site", ""), ("token_set", "tokens: "), ("pooling", "pooling: ")):
        if name in row and pd.notna(row[name]):
            words += f", {before}{row[name]}"
    if "sigma" in row and row["sigma"] > 0:
        words += f", noise {row['sigma']:g}"
    return GapVerdict(
        heading=words,
        verdict=str(row["verdict"]),
        reading="" if pd.isna(row.get("reading")) else str(row["reading"]),
        shown=str(row["verdict"]).startswith(SHOWN),
    )


def _of_gaps(gaps: tuple[GapVerdict, ...], rows: pd.DataFrame) -> str:
    """What the gaps say, if any was measured as one quantity; the largest, as the least."""
    if not gaps:
        return ""
    shown = [gap for gap in gaps if gap.shown]
    if not shown:
        return f"No gap is shown in any of {len(gaps)} comparisons of Z with a pooled view."
    kinds = ", ".join(dict.fromkeys(gap.reading for gap in shown if gap.reading))
    row = rows[[gap.shown for gap in gaps]].sort_values("gap_nats").iloc[-1]
    ends = f"[{fixed(row['ci_low'])}, {fixed(row['ci_high'])}]"
    text = (
        f"A gap between all token states and a pooled view is shown in {len(shown)} of "
        f"{len(gaps)} comparisons, the largest {fixed(row['gap_nats'])} nats {ends} "
        f"({row['pooling']}). It was chosen as the largest, so it leans high."
    )
    return f"{text} Reading: {kinds}." if kinds else text


def _cautions(sources: Sources) -> list[str]:
    points = states_of(sources.points)
    said = [
        f"What a gap is of: {CAVEAT}. Only a gap of noised states is one of Shannon "
        "information.",
        "Values are held-out bounds: a low one may be a weak critic or few rows, not "
        "missing information.",
        "That Y can be read off a layer does not say that the model reads it.",
    ]
    intervals = [table.about.get("I_YZ_ci") for table in sources.tokens]
    vague = sum(1 for interval in intervals if interval and interval[0] <= 0)
    if vague:
        said.append(
            f"In {vague} of {len(intervals)} token maps the interval of I(Y;Z) holds 0: no "
            "single token's value should be read from them."
        )
    twins = [t.about.get("controls", {}).get("random_labels", {}) for t in sources.tokens]
    loud = sum(1 for twin in twins if twin.get("ci", (0.0,))[0] > 0)
    if loud:
        said.append(
            f"In {loud} of {len(twins)} token maps random labels are told apart: rows "
            "depend on one another there, and the map is not to be read."
        )
    if points.empty:
        return said
    if points["model_label"].nunique() > 1:
        said.append(
            "Several networks are shown. The data processing inequality compares Z with "
            "g(Z) of one network; between networks it says nothing."
        )
    flagged = int((points["status"] != "ok").sum())
    if flagged:
        said.append(
            f"{flagged} of {len(points)} estimates are flagged and are not to be relied on."
        )
    if is_true(points, "gold_leak").any():
        said.append(
            "Some estimates are of states of the gold answer's tokens, which know Y "
            "trivially: there I(Y;Z) = H(Y) says nothing."
        )
    unknown = int(points["p_value"].isna().sum())
    if unknown:
        said.append(
            f"{unknown} of {len(points)} estimates have no permutation null: what the same "
            "procedure gives on unrelated labels is unknown."
        )
    return said
