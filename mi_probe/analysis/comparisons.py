"""Every two estimates of a results folder that differ in one thing, row by row.

    between      what differs
    checkpoint   model, adapter, step or system: two networks, so not the DPI
    system       checkpoints of different objectives, at the last step of each run
    layer        site
    view         all states or a pooling of one network: the DPI orders these
    tokens       which positions Z holds
    estimator    estimator or its settings
    seed         seed of the critic

Estimates that differ in the critic's seed alone, or that are of one training with several
seeds, are one side of a comparison, whose interval is then over rows and seeds
(`mi_probe.analysis.paired`).
"""

# pandas ships no types of its own; what pyright infers from its source calls every
# column "Series | DataFrame". Shapes and names are checked at run time instead.
# pyright: reportArgumentType=false, reportGeneralTypeIssues=false
# pyright: reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportReturnType=false, reportOperatorIssue=false

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from mi_probe.analysis.comparison_sides import SAME, WORDS, Side, sides_of
from mi_probe.analysis.control_points import states_of
from mi_probe.analysis.multiplicity import false_discovery, holm
from mi_probe.analysis.paired import PairedDifference, check_level, compare
from mi_probe.analysis.scored import Stored
from mi_probe.errors import InputError, check_known
from mi_probe.results import read_results

BETWEEN = ("checkpoint", "system", "layer", "view", "tokens", "estimator", "seed")
"""What two sides of a comparison may differ in."""
EACH = ("checkpoint", "layer", "view", "tokens", "estimator")
"""Those that are compared where nothing is asked for."""


def compare_results(
    *folders: str | Path,
    between: Sequence[str] = EACH,
    baseline: str | None = None,
    level: float = 0.95,
    say: Callable[[str], object] = lambda _: None,
) -> pd.DataFrame:
    """The paired comparisons that results folders allow, in nats: a row a pair.

    Columns: ``task``, ``split``, ``target``; ``between``, ``a``, ``b`` (what differs) and
    ``same`` (what does not; each in a column too); ``a_value_nats``, ``b_value_nats``,
    ``difference_nats``, ``stderr_nats``,
    ``ci_low``, ``ci_high``, ``level``, ``p_value``, ``p_holm`` (one false difference in the
    table is as rare as it says), ``p_fdr`` (the share of false ones among those shown,
    Benjamini and Hochberg), ``n``, ``units`` (groups, or rows), ``trainings``, ``seeds``
    (numbers that the interval is over), ``over`` (the same in words), ``status``,
    ``H_Y_nats``, ``a_rows``, ``b_rows`` (their row ids).

    Args:
        folders: of results.
        between: of `BETWEEN`; pairs differ in one of them and agree in all others.
        baseline: name of one side, such as a model, site, view or estimator; only pairs
            with it are compared, and it is ``b``.
        level: of the intervals.
        say: is told of each pair that is left out, and why.

    Raises:
        InputError: a folder without estimates, unknown words, or no pair of the same rows.

    Examples:
        Two layers of a small model, on the rows of ``reviews.csv``:

        >>> from mi_probe import compare_results, profile
        >>> _ = profile("my-model", "reviews.csv", sites=[0, 3], views=["mean"],
        ...             estimators=["lda"], controls=("none",), out="results")
        >>> table = compare_results("results", between=["layer"])
        >>> table[["between", "a", "b"]].values.tolist()
        [['layer', '...', 'embed']]
        >>> bool(table.p_holm[0] <= 1)
        True
    """
    check_level(level)
    if not folders or not all(isinstance(folder, str | Path) for folder in folders):
        got = ", ".join(type(folder).__name__ for folder in folders) or "none"
        raise InputError(
            f"folders must be results folders; got {got}. Single rows are compared, which "
            "a table has not: give profile a folder, out=..., and compare that."
        )
    between = (between,) if isinstance(between, str) else tuple(between)
    if not between:
        raise InputError(f"between must be of {', '.join(BETWEEN)}; got none.")
    check_known("between", between, BETWEEN)
    table = states_of(read_results(*folders))
    stored = Stored(folders)
    found: list[dict[str, Any]] = []
    refused: list[str] = []
    for what in dict.fromkeys(between):
        sides = list(sides_of(table, stored, what, refused))
        for one, two in _pairs(sides, what):
            pair = _turned(one, two, what, baseline)
            if pair is None:
                continue
            try:
                compared = compare(pair[0].scored, pair[1].scored, level=level)
            except InputError as error:
                refused.append(str(error))
                continue
            found.append(_row(*pair, what, compared))
    for line in dict.fromkeys(refused):
        say(line)
    if not found:
        raise InputError(refused[0] if refused else _none(table, between, baseline))
    made = pd.DataFrame(found)
    place = list(made.columns).index("p_value") + 1
    made.insert(place, "p_holm", holm(made["p_value"].tolist()))
    made.insert(place + 1, "p_fdr", false_discovery(made["p_value"].tolist()))
    return made


def _none(table: pd.DataFrame, between: Sequence[str], baseline: str | None) -> str:
    with_it = f" with '{baseline}' on one side" if baseline else ""
    return (
        f"results must hold two estimates{with_it} that differ in "
        f"{' or '.join(between)} alone; of {len(table)} none do. Measure more, or choose "
        "another --between."
    )


def _pairs(sides: Sequence[Side], what: str) -> Iterator[tuple[Side, Side]]:
    own = "checkpoint" if what == "system" else what
    others = [name for name in WORDS if name not in (own, *(["seed"] * (what != "seed")))]
    for one, two in combinations(sides, 2):
        if one.words[own] == two.words[own]:
            continue
        if what == "system" and one.row["objective"] == two.row["objective"]:
            continue
        if all(one.words[name] == two.words[name] for name in others) and all(
            str(one.row[name]) == str(two.row[name]) for name in SAME
        ):
            yield one, two


def _turned(
    one: Side, two: Side, what: str, baseline: str | None
) -> tuple[Side, Side] | None:
    """The pair with the baseline second; None where it is of neither."""
    if baseline is None:
        return (
            (two, one) if what in ("checkpoint", "system", "layer", "seed") else (one, two)
        )
    if _is(two, what, baseline):
        return one, two
    return (two, one) if _is(one, what, baseline) else None


def _is(side: Side, what: str, name: str) -> bool:
    own = "checkpoint" if what == "system" else what
    raw = {
        "checkpoint": ("model", "model_label", "run", "adapter", "objective"),
        "layer": ("site", "layer"),
        "view": ("view",),
        "tokens": ("token_set",),
        "estimator": ("estimator", "estimator_label"),
        "seed": ("seed",),
    }[own]
    return name in (side.words[own], *(str(side.row[column]) for column in raw))


def _row(a: Side, b: Side, what: str, found: PairedDifference) -> dict[str, Any]:
    own = "checkpoint" if what == "system" else what
    same = [a.words[name] for name in WORDS if name not in (own, "seed")]
    trainings, seeds = (min(getattr(a, w), getattr(b, w)) for w in ("trainings", "seeds"))
    return {
        **{name: a.row[name] for name in ("task", "split", "target")},
        "between": what,
        "a": a.words[own],
        "b": b.words[own],
        "same": ", ".join(same),
        **{name: "" if name == own else a.words[name] for name in WORDS[:-1]},
        "a_value_nats": found.a,
        "b_value_nats": found.b,
        "difference_nats": found.difference,
        "stderr_nats": found.stderr,
        "ci_low": found.ci[0],
        "ci_high": found.ci[1],
        "level": found.level,
        "p_value": found.p_value,
        "n": found.n,
        "units": found.units,
        "trainings": trainings,
        "seeds": seeds,
        "over": _over(found, trainings, seeds),
        "status": a.flagged or b.flagged or "ok",
        "H_Y_nats": a.row["H_Y_nats"],
        "a_rows": " ".join(a.row_ids),
        "b_rows": " ".join(b.row_ids),
    }


def _over(found: PairedDifference, trainings: int, seeds: int) -> str:
    """What the interval is over, in words."""
    words = "rows" if found.units == found.n else f"{found.units} groups of rows"
    if trainings > 1:
        return f"{words} and {trainings} trainings"
    if seeds > 1:
        words += f" and {seeds} seeds of the critic"
    return f"{words}; one training of each" if trainings == 1 else words
