"""A figure in three plain sentences, claiming no more than its intervals carry.

Two habits keep the sentences honest. A layer that was chosen because its estimate is
the largest has an estimate that leans high, so it is chosen on one half of the rows and
estimated on the other, and the layers that may be the best are named; where no pointwise
values are kept, the sentence says that it was chosen, and gives the final layer too, which
was not. And a difference between views is called a gap only where the paired test of the
pointwise values shows it, and then a gap of *usable* information at the critic's capacity:
pooling may lose no Shannon information at all, and each estimate has a critic of its own.
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import pandas as pd

from mi_probe.analysis.control_points import states_of
from mi_probe.analysis.labels import view_words
from mi_probe.analysis.summaries import PANEL, lead
from mi_probe.analysis.units import unit_factor
from mi_probe.facts import fixed

LEVEL = 0.05
STATUS_WORDS = {
    "above_ceiling": "above H(Y)",
    "diverged": "diverged",
    "not_converged": "not converged",
    "too_few_rows": "too few rows",
    "saturated": "the most that so many rows can show",
}


@dataclass(frozen=True)
class Reading:
    """What one panel says: whose it is, and three sentences."""

    heading: str
    lines: tuple[str, str, str]

    def __str__(self) -> str:
        return "\n".join([f"{self.heading}:", *(f"  {line}" for line in self.lines)])


class Told(Protocol):
    """What `mi_probe.analysis.paired.PairedDifference` says, in nats."""

    @property
    def difference(self) -> float: ...  # noqa: D102
    @property
    def ci(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def p_value(self) -> float: ...  # noqa: D102


Paired: TypeAlias = Callable[[str, str], Told | None]
"""The paired difference of two points by their ``row_ids``; None where it is unknown."""


def untold(a: str, b: str) -> None:
    """What is paired where no pointwise values are kept: nothing."""


def readings(points: pd.DataFrame, paired: Paired = untold) -> list[Reading]:
    """One reading a panel (model, task, stack, estimator) of `over_seeds`' table.

    Args:
        points: the table, `with_bands` where pointwise values are kept.
        paired: compares two of its points, such as `ResultFolders.paired`.
    """
    panels = states_of(points).groupby(list(PANEL), sort=False)
    return [read_panel(panel, paired) for _, panel in panels]


def read_panel(panel: pd.DataFrame, paired: Paired = untold) -> Reading:
    """Peak, gap to the pooled views, and null level of one panel."""
    first = panel.iloc[0]
    stack = {"enc": ", encoder", "dec": ", decoder"}.get(first["stack"], "")
    heading = (
        f"{first['model_label']}{stack} on {first['task_label']}, "
        f"{first['estimator_label']}, {_sample(first)}"
    )
    drawn = panel[panel["x"].notna() & panel["value"].notna()]
    if drawn.empty:
        none = "No estimate has both a value and a place on the layer axis."
        return Reading(heading, (none, "No gap can be read.", _null_line(panel, None)))
    full = drawn["view"] == "full"
    lines = drawn[full] if full.any() else drawn
    peak = lead(panel).sort_values("value").iloc[-1]
    told = (_peak_line(lines, peak), _gap_line(drawn, peak, paired))
    return Reading(heading, (*told, _null_line(panel, peak)))


def _sample(row: pd.Series) -> str:
    seeds = "1 seed" if row["n_seeds"] == 1 else f"{row['n_seeds']} seeds"
    leak = ", Z holds gold answer tokens" if str(row["gold_leak"]) == "True" else ""
    return f"n = {int(row['n']):,}, {seeds}{leak}"


def _layer(row: pd.Series) -> str:
    return f"layer {row['x']:g}"


def _amount(row: pd.Series) -> str:
    """Value, unit, interval."""
    text = f"{fixed(row['value'])} {row['unit']}"
    if pd.notna(row["low"]) and pd.notna(row["high"]):
        text += f" [{fixed(row['low'])}, {fixed(row['high'])}]"
    if row["status"] != "ok":
        text += f" (flagged: {STATUS_WORDS.get(row['status'], row['status'])})"
    return text


def _peak_line(lines: pd.DataFrame, peak: pd.Series) -> str:
    sites = lines["x"].nunique()
    what = view_words(peak["view"])
    share = _share(peak)
    if sites == 1:
        text = f"{what} at {_layer(peak)}, the only one measured: {_amount(peak)}{share}"
        return f"{text}.{_beyond(peak)}"
    among = "layers" if lines["view"].nunique() == 1 else "layers, and over views"
    if pd.notna(peak.get("best_value")):
        text = f"{_best_words(lines, peak, what)}, of {sites} {among}"
        if (lines["value"] > peak["value"]).any():
            text += ", flagged estimates left aside"
        largest = f"{_layer(peak)}, the largest on all rows,"
        return f"{text}.{_beyond(peak, largest)}"
    text = (
        f"{what} is largest at {_layer(peak)}: {_amount(peak)}{share}; chosen as the "
        f"largest of {sites} {among}, so it leans high"
    )
    if (lines["value"] > peak["value"]).any():
        text += ", flagged estimates left aside"
    final = lines[lines["x"] == lines["x"].max()].sort_values("value").iloc[-1]
    if final["x"] != peak["x"]:
        text += f" ({_layer(final)}, the deepest and not so chosen: {_amount(final)})"
    return f"{text}.{_beyond(peak)}"


def _best_words(lines: pd.DataFrame, peak: pd.Series, what: str) -> str:
    """The best layer's value on rows that did not choose it, and which may be the best."""
    value, unit = fixed(peak["best_value"]), peak["unit"]
    text = (
        f"{what} of the best layer, chosen and estimated on different halves of the rows, "
        f"is {value} {unit} [{fixed(peak['best_low'])}, {fixed(peak['best_high'])}]"
    )
    share = _share(pd.Series({"ceiling": peak["ceiling"], "value": peak["best_value"]}))
    text += f"{share} (chosen: {peak['best_layers']})"
    kept = lines[lines["may_be_best"].astype(bool)]
    places = list(dict.fromkeys(f"{x:g}" for x in sorted(kept["x"])))
    if len(places) == 1:
        return f"{text}; only layer {places[0]} may be the best at 95 %"
    shown = ", ".join(places) if len(places) <= 8 else f"{len(places)} layers"
    return f"{text}; at 95 % any of {shown} may be the best"


def _beyond(row: pd.Series, who: str = "it") -> str:
    """What endless rows would give; empty where it is unknown."""
    if pd.isna(row["extrapolated"]):
        return ""
    low, high = fixed(row["extrapolated_low"]), fixed(row["extrapolated_high"])
    if row["claim"] == "at_least":
        return f" With endless rows {who} is at least {low} {row['unit']}."
    return (
        f" With endless rows {who} is {fixed(row['extrapolated'])} {row['unit']} "
        f"[{low}, {high}], if the law holds that was assumed and tested."
    )


def _share(row: pd.Series) -> str:
    if pd.isna(row["ceiling"]) or row["ceiling"] <= 0:
        return ""
    percent = 100 * row["value"] / row["ceiling"]
    return f", {fixed(percent, 0)} % of H(Y) = {row['ceiling']:.3f}"


def _gap_line(drawn: pd.DataFrame, peak: pd.Series, paired: Paired) -> str:
    if peak["view"] != "full":
        return "I(Y;Z) of the full states was not measured, so no gap can be read."
    pooled = drawn[(drawn["x"] == peak["x"]) & (drawn["view"] != "full")]
    if pooled.empty:
        return f"No pooled view was measured at {_layer(peak)}, so no gap can be read."
    pooled = pooled.sort_values("value")
    best, worst = pooled.iloc[-1], pooled.iloc[0]
    several = len(pooled) > 1
    one = _verdict(peak, best, paired, 1 + several)
    amount = f"{peak['value'] - best['value']:+.3f}"
    if not several:
        return f"There, I(Y;Z) minus {view_words(best['view'])} is {amount}: {one}."
    text = (
        f"There, I(Y;Z) minus the best pooled view, {view_words(best['view'])}, is {amount}"
    )
    other = (
        f"minus the worst, {view_words(worst['view'])}, "
        f"{peak['value'] - worst['value']:+.3f}"
    )
    two = _verdict(peak, worst, paired, 2)
    if one == two:
        return f"{text}, and {other}; for both, {one}."
    return f"{text}: {one}; {other}: {two}."


def _verdict(full: pd.Series, pooled: pd.Series, paired: Paired, tests: int) -> str:
    """What the paired test says, its p corrected for the number of tests (Bonferroni)."""
    if full["status"] != "ok" or pooled["status"] != "ok":
        return "one of the two estimates is flagged, so the difference is not read"
    found = paired(str(full["row_ids"]), str(pooled["row_ids"]))
    if found is None:
        return "no pointwise values are kept here, so the difference is not tested"
    p = min(tests * found.p_value, 1.0)
    words = f"paired over rows {paired_words(found.ci, p, full['unit'])}"
    if p > LEVEL:
        return f"{words}: no gap is shown"
    if found.difference > 0:
        return (
            f"{words}: a gap in the information usable at this critic's capacity, not "
            "proof that pooling loses Shannon information"
        )
    return (
        f"{words}, the wrong way round: g(Z) cannot hold more than Z, so the critic of Z "
        "is the weaker one"
    )


def paired_words(ci: tuple[float, float], p: float, unit: str) -> str:
    """An interval of nats in the unit that is read, and p."""
    low, high = (fixed(end * unit_factor(unit)) for end in ci)
    return f"[{low}, {high}], " + ("p < 0.001" if p < 0.0005 else f"p = {p:.3f}")


def _null_line(panel: pd.DataFrame, peak: pd.Series | None) -> str:
    """The null's level, what lies above it, and how many estimates are flagged."""
    text = _null_words(panel, peak)
    flagged = panel[panel["status"] != "ok"]
    if len(flagged):
        words = [STATUS_WORDS.get(s, s) for s in dict.fromkeys(flagged["status"])]
        text += (
            f" {len(flagged)} of {len(panel)} estimates are flagged "
            f"({', '.join(words)}) and are not to be relied on."
        )
    return text


def _null_words(panel: pd.DataFrame, peak: pd.Series | None) -> str:
    known = panel[panel["null_high"].notna()]
    tested = panel[panel["p_value"].notna()]
    if known.empty and len(tested):
        above = int((tested["p_value"] > LEVEL).sum())
        return (
            "Y was permuted for a cheaper statistic of dependence, which is no null of "
            f"these values; by it {above} of {len(tested)} estimates have p > {LEVEL}."
        )
    if known.empty:
        return (
            "No permutation null was run: what this procedure returns on unrelated "
            "labels is unknown."
        )
    highest = known["null_high"].max()
    few = known["n_permutations"].max()
    high = "95th percentile" if few >= 20 else f"maximum of {few:g}"
    text = (
        f"With Y permuted the same procedure gives {fixed(known['null_mean'].mean())} on "
        f"average, and up to {fixed(highest)} {known['unit'].iloc[0]} "
        f"({high}, highest of all layers and views)"
    )
    if peak is None:
        return f"{text}."
    below = int((known["value"] <= known["null_high"]).sum())
    above = "above" if peak["value"] > highest else "not above"
    return (
        f"{text}; the largest estimate is {above} that, and {below} of {len(known)} "
        "estimates are not above their own null."
    )
