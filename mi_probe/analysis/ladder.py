"""A ladder: the DPI gap along one axis, as a tidy table with one sentence about it."""

from dataclasses import dataclass, field
from html import escape

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Rungs of a gap, in nats, what they come to, and what may be read from them."""

    table: pd.DataFrame = field(repr=False)
    """One row a rung."""
    chosen: str
    """The rung whose critic of Z did best on rows that are not the reported ones; for
    noise, the least noise at which a gap is shown, or ``none``."""
    saturated: bool | None
    """Whether more capacity is known to add nothing; None where capacity is not varied."""
    nats: float
    """The gap with the rung chosen apart from the rows that it is reported on."""
    ci: tuple[float, float]
    """Its 95 % interval."""
    verdict: str
    """What may be read from it, and on which reading."""

    def _repr_html_(self) -> str:
        table = self.table.to_html(
            index=False, float_format=lambda v: f"{v:.3f}", na_rep="-"
        )
        return f"{table}<p>All values in nats.</p><p>{escape(self.verdict)}</p>"
