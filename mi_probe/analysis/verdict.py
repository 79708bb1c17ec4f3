"""What a gap I(Y;Z|Z_p) says, in words that claim no more than was measured.

Two readings are kept apart. The states of a causal language model almost surely determine
the text, the last token's alone too (arXiv 2510.15511), and so does a generic mean; so
pooling may lose no Shannon information at all, and a gap between critics is one of *usable*
information at their capacity (Xu et al. 2020, arXiv 2002.10689). With noise added before
pooling that argument is gone, and a gap is one of Shannon information of the noised states.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from mi_probe.analysis.multiplicity import holm
from mi_probe.facts import amount as amount_of
from mi_probe.facts import fixed

Reading: TypeAlias = Literal[
    "usable information at this capacity", "noise-smoothed Shannon information"
]

LEVEL = 0.05
"""At or below which a p-value shows a gap."""
POOLED = "Z_"
"""How the symbol of a pooling begins, whatever else is given has a name of its own."""
_FAMILY = (
    *("subject", "revision", "step", "task", "split", "target", "token_set", "n", "seed"),
    *("sigma", "estimator", "n_draws"),
)
"""Columns that gaps have in common which are corrected together."""
CAVEAT = (
    "the states of a causal language model almost surely determine the text, the last "
    "token's and a generic mean too, so this is no proof that pooling loses Shannon "
    "information"
)
"""What a gap of usable information does not say."""


def reading_of(sigma: float) -> Reading:
    """On which reading a gap rests, by the noise that was added before pooling."""
    return (
        "noise-smoothed Shannon information"
        if sigma > 0
        else "usable information at this capacity"
    )


def gap_verdict(
    given: str,
    nats: float,
    ci: tuple[float, float],
    *,
    p_value: float | None,
    n_draws: int,
    entropy_y: float | None,
    sigma: float,
    p_holm: float | None = None,
    smallest_shown: float | None = None,
    flagged: tuple[str, ...] = (),
    learned_on: int = 0,
) -> str:
    """One paragraph: whether a gap is shown, how large, and on which reading it rests.

    The conditional test alone says whether; the amount is *at least* the interval's lower
    end, since critics may miss what they have not learned. Where that end is 0 or below no
    amount is claimed. A gap that the test shows says what the test rests on.

    Args:
        given: symbol of what is given: Z_mean for a pooling, or the name of C.
        nats: the paired gap.
        ci: its 95 % interval.
        p_value: of the conditional randomisation test; None where it was not run.
        n_draws: of Y' in that test.
        entropy_y: H(Y), None for continuous Y.
        sigma: of the noise that was added before pooling; 0 for none.
        p_holm: the same p corrected for all gaps of the family, which then decides.
        smallest_shown: gap that these rows would show in 80 % of draws.
        flagged: statuses of the two estimates that are not ``ok``.
        learned_on: rows that taught a learned pooling; 0 for another.
    """
    held_out = f"held out {amount_of(nats, ci)}{_share(nats, entropy_y)}"
    if flagged:
        words = " and ".join(dict.fromkeys(flagged)).replace("_", " ")
        return (
            f"The gap is not read: an estimate that it compares is flagged ({words}). "
            f"The paired difference is {amount_of(nats, ci)}{_share(nats, entropy_y)}."
        )
    shown = is_shown(ci[0], p_value, p_holm)
    taught = ""
    if learned_on:
        taught = (
            f" {given} was learned from {learned_on:,} other rows: another single vector "
            "may keep more."
        )
    if p_value is None:
        test = "the interval alone, as no conditional test was run"
    else:
        # A p-value never falls below 1 / (1 + draws), however strong the evidence.
        test = f"conditional randomisation p = {p_value:.3g} with {n_draws} draws"
        if p_holm is not None and p_holm > p_value:
            test += f", {p_holm:.3g} corrected for the gaps measured together (Holm)"
    if shown:
        end = _reading_sentence(given, sigma)
        if p_value is not None:
            end = f"{_rests_on(given)} {end}"
        if ci[0] <= 0:
            said = (
                "A gap is shown by the test; its amount is not told from 0 by critics of "
                f"these rows: I(Y;Z|{given}), {held_out}"
            )
        else:
            low = f"{fixed(ci[0])}" if ci[0] >= 0.0005 else f"{ci[0]:.1g}"
            said = f"A gap is shown: I(Y;Z|{given}) is at least {low} nats; {held_out}"
        return f"{said}; {test}. {end}{taught}"
    why = _why_not(ci, p_value, smallest_shown)
    return f"No gap is shown: I(Y;Z|{given}), {held_out}; {test}. {why}{taught}"


def is_shown(low: float, p_value: float | None, p_holm: float | None = None) -> bool:
    """Whether a gap is shown: by the test, or by the interval where there was none.

    Args:
        low: the interval's lower end.
        p_value: of the conditional test.
        p_holm: the same, corrected for the gaps of its family.
    """
    p = p_value if p_holm is None else p_holm
    return low > 0 if p is None else p <= LEVEL


def read_together(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `GapRow`, their p corrected over sites and poolings, and read by it.

    A family is what was measured of one subject's rows with one seed and one noise.
    """
    families: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(rows):
        families.setdefault(tuple(row[name] for name in _FAMILY), []).append(place)
    found = [dict(row) for row in rows]
    for places in families.values():
        corrected = holm([rows[place]["p_value"] for place in places])
        for place, p in zip(places, corrected, strict=True):
            row, p_holm = found[place], None if math.isnan(p) else float(p)
            row["p_holm"] = p_holm
            row["verdict"] = gap_verdict(
                row["given"],
                row["gap_nats"],
                (_end(row["ci_low"], -1), _end(row["ci_high"], 1)),
                p_value=row["p_value"],
                p_holm=p_holm,
                n_draws=row["n_draws"],
                entropy_y=row["H_Y_nats"],
                sigma=row["sigma"],
                smallest_shown=row["smallest_shown"],
                flagged=() if row["status"] == "ok" else (row["status"],),
                learned_on=row["learned_on"],
            )
    return found


def _end(value: float | None, sign: int) -> float:
    return sign * math.inf if value is None else value


def _share(nats: float, entropy_y: float | None) -> str:
    if entropy_y is None:
        return ""
    return f", {fixed(100 * nats / entropy_y, 0)} % of H(Y) = {entropy_y:.3f}"


def _reading_sentence(given: str, sigma: float) -> str:
    if not given.startswith(POOLED):
        return (
            f"Reading: {reading_of(sigma)}; what {given} tells was learned from these rows."
        )
    if sigma > 0:
        return (
            f"Reading: {reading_of(sigma)}, of states with noise of {sigma:g} times their "
            "root mean square added before pooling, where the data processing inequality "
            "is strict. Both sides are held-out values of critics: a pooled critic that "
            "misses something widens the gap."
        )
    return f"Reading: {reading_of(sigma)}; {CAVEAT}."


def _rests_on(given: str) -> str:
    return (
        f"The test's level holds where the critic of {given}, or the regression of Z's "
        f"features on {given}, is about right; a rough E[Z|{given}] that neither follows "
        "can be taken for information."
    )


def _why_not(
    ci: tuple[float, float], p_value: float | None, smallest_shown: float | None
) -> str:
    # What is nothing to three decimals is no sign of a weaker critic.
    if round(ci[1], 3) < 0:
        return (
            "What is given can be added to Z, which cannot hold less, so the critic of Z "
            "is the weaker one: give it more rows or more capacity."
        )
    end = "How large a gap these rows would show is not known."
    if smallest_shown is not None:
        end = (
            f"These rows would show a gap of {amount_of(smallest_shown)}, planted along "
            "the test's own features, in 80 % of draws: smaller ones may be there."
        )
    if p_value is not None and ci[0] > 0:
        return (
            "The interval lies above 0, but Y drawn from the posterior given the rest "
            f"looks the same to the test: the difference may be one of critics. {end}"
        )
    return end
