"""How a result shows itself: numbers as text, and in a notebook a table of facts."""

from collections.abc import Sequence
from html import escape

Fact = tuple[str, str]
"""What is said, and its value with its unit."""


def facts_html(title: str, facts: Sequence[Fact], warning: str = "") -> str:
    """A two-column table for ``_repr_html_``; all text is escaped.

    Args:
        title: what the facts are of.
        facts: in the order shown.
        warning: shown below, in bold; none where it is empty.
    """
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts
    )
    heading = f'<caption style="text-align:left"><b>{escape(title)}</b></caption>'
    below = f"<p><b>{escape(warning)}</b></p>" if warning else ""
    return f"<table>{heading}<tbody>{rows}</tbody></table>{below}"


def amount(nats: float, interval: tuple[float, float] | None = None) -> str:
    """A value in nats, with its 95 % interval where there is one."""
    if interval is None:
        return f"{fixed(nats)} nats"
    return f"{fixed(nats)} nats [{fixed(interval[0])}, {fixed(interval[1])}]"


def reach(nats: float, low: float, claim: object) -> str:
    """A value at n -> infinity in a table: its lower end, where it is claimed from below.

    Args:
        nats: the value.
        low: the lower end of its interval.
        claim: see `Extrapolation.claim`.
    """
    return (
        fixed(nats)
        if claim == "two_sided"
        else f"\N{GREATER-THAN OR EQUAL TO} {fixed(low)}"
    )


def fixed(value: float, digits: int = 3) -> str:
    """A number with so many decimals; what rounds to nothing has no sign."""
    # Minus zero and zero are zero.
    return f"{round(float(value), digits) + 0.0:.{digits}f}"
