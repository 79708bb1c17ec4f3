"""What a gap I(Y;Z|Z_p) says, in words that claim no more than was measured.

Two readings are kept apart. The states of a causal language model almost surely determine
the text, the last token's alone too (arXiv 2510.15511), and so does a generic mean; so
pooling may lose no Shannon information at all, and a gap between critics is one of *usable*
information at their capacity (Xu et al. 2020, arXiv 2002.10689). With noise added before
pooling that argument is gone, and a gap is one of Shannon information of the noised states.
"""

import math
from typing import Literal, TypeAlias

from mi_probe.facts import amount as amount_of
from mi_probe.facts import fixed

Reading: TypeAlias = Literal[
    "usable information at this capacity", "noise-smoothed Shannon information"
]

LEVEL = 0.05
"""At or below which a p-value shows a gap."""
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
    pooling: str,
    nats: float,
    ci: tuple[float, float],
    *,
    p_value: float | None,
    n_draws: int,
    entropy_y: float | None,
    sigma: float,
    flagged: tuple[str, ...] = (),
) -> str:
    """One paragraph: whether a gap is shown, how large, and on which reading it rests.

    Args:
        pooling: the name of g in Z_p = g(Z).
        nats: the paired gap.
        ci: its 95 % interval.
        p_value: of the conditional randomisation test; None where it was not run.
        n_draws: of Y' in that test.
        entropy_y: H(Y), None for continuous Y.
        sigma: of the noise that was added before pooling; 0 for none.
        flagged: statuses of the two estimates that are not ``ok``.
    """
    amount = f"I(Y;Z|Z_{pooling}) = {amount_of(nats, ci)}"
    amount += _share(nats, entropy_y)
    if flagged:
        words = " and ".join(dict.fromkeys(flagged)).replace("_", " ")
        return (
            f"The gap is not read: an estimate that it compares is flagged ({words}). "
            f"The paired difference is {amount}."
        )
    if p_value is None:
        shown, test = ci[0] > 0, "the interval alone, as no conditional test was run"
    else:
        shown = p_value <= LEVEL and ci[0] > 0
        # A p-value never falls below 1 / (1 + draws), however strong the evidence.
        test = f"conditional randomisation p = {p_value:.3g} with {n_draws} draws"
    if shown:
        return f"A gap is shown: {amount}; {test}. {_reading_sentence(sigma)}"
    return f"No gap is shown: {amount}; {test}. {_why_not(ci, p_value)}"


def _share(nats: float, entropy_y: float | None) -> str:
    if entropy_y is None:
        return ""
    return f", {fixed(100 * nats / entropy_y, 0)} % of H(Y) = {entropy_y:.3f}"


def _reading_sentence(sigma: float) -> str:
    if sigma > 0:
        return (
            f"Reading: {reading_of(sigma)}, of states with noise of {sigma:g} times their "
            "root mean square added before pooling, where the data processing inequality "
            "is strict. Both sides are held-out values of critics: a pooled critic that "
            "misses something widens the gap."
        )
    return f"Reading: {reading_of(sigma)}; {CAVEAT}."


def _why_not(ci: tuple[float, float], p_value: float | None) -> str:
    # What is nothing to three decimals is no sign of a weaker critic.
    if round(ci[1], 3) < 0:
        return (
            "Z_p is a function of Z and cannot hold more, so the critic of Z is the "
            "weaker one: give it more rows or more capacity."
        )
    if p_value is not None and p_value <= LEVEL:
        return (
            "The test finds that Z tells something beyond Z_p, but its amount is not "
            "told from 0: more rows would."
        )
    if ci[0] > 0:
        return (
            "The interval lies above 0, but Y drawn from the pooled posterior looks the "
            "same to the test: the difference may be one of critics."
        )
    bound = fixed(ci[1]) if math.isfinite(ci[1]) else "any amount of"
    return f"Up to {bound} nats at this capacity are compatible with these rows."
