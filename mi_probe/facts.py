"""How a result shows itself in a notebook: a small table of facts, escaped."""

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
        return f"{nats:.3f} nats"
    return f"{nats:.3f} nats [{interval[0]:.3f}, {interval[1]:.3f}]"
