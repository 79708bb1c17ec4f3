"""The DPI gap as one quantity: I(Y;Z) - I(Y;Z_p) = I(Y;Z|Z_p)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from jaxtyping import Float

from mi_probe.analysis.multiplicity import holm
from mi_probe.analysis.randomisation import Randomisation
from mi_probe.analysis.verdict import Reading, gap_verdict, is_shown, reading_of
from mi_probe.errors import check_known
from mi_probe.estimators import Estimate
from mi_probe.facts import amount, fixed


@dataclass(frozen=True, kw_only=True, repr=False)
class Gap:
    """I(Y;Z|Z_p) or I(Y;Z|C), in nats; ``float(gap)`` is ``nats``.

    *At least*: critics find what they have learned from these rows. It is 0 or below on
    average where Y is independent of Z given C and what C says of Z can be regressed out
    (see `mi_probe.analysis.nested_critics`). The test's level holds where q(y|c) *or* the
    regression of Z's features on C is about right. Not to be trusted where neither is: a
    rough E[Z|C], as a step or a fast wave, that neither follows can be taken for
    information, and so can C with about as many columns as there are rows.

    Examples:
        >>> from mi_probe import dpi_gap
        >>> from mi_probe.synthetic import order
        >>> known = order(300, t=4, d=3, vary=False, seed=0)
        >>> gap = dpi_gap(known.x, known.y, n_draws=0)
        >>> gap
        Gap(given Z_mean: 0.6... nats [0.6..., 0.6...], H(Y) 0.689, not tested)
        >>> gap.full.nats > gap.pooled.nats, gap.pooled.nats < 0.05
        (True, True)
    """

    pooling: str
    """The name of g in Z_p = g(Z), or of C."""
    given: str
    """Symbol of what is given: Z_mean, or the name of C."""
    nats: float
    """Mean paired difference of held-out pointwise information."""
    stderr: float
    ci: tuple[float, float]
    """95 % interval of the paired difference. Where the test was run it lies above 0 only
    if that shows a gap (p of this gap alone at most .05), and its upper end reaches as far
    up as what these rows would show in 80 % of draws, and to H(Y) (to infinity where there
    is none) if no planted gap was shown so often."""
    full: Estimate
    """I(Y;Z) or I(Y;Z,C), by evidence of Z on top of the critic of what is given."""
    pooled: Estimate
    """I(Y;Z_p) or I(Y;C), with what Z's critic says given C alone."""
    test: Randomisation | None
    """The conditional randomisation test; None where it was not run."""
    sigma: float = 0.0
    """Of the noise added before pooling, in units of the states' root mean square."""
    learned_on: int = 0
    """Rows that taught a learned pooling, none of which are measured; 0 for another."""
    p_holm: float | None = None
    """The p-value corrected for the gaps that were measured with it; None for one alone."""

    def __float__(self) -> float:
        return self.nats

    def __repr__(self) -> str:
        p = "not tested" if self.p_value is None else f"p = {self.p_value:.3g}"
        most = "" if self.full.entropy_y is None else f", H(Y) {fixed(self.full.entropy_y)}"
        return f"Gap(given {self.given}: {amount(self.nats, self.ci)}{most}, {p})"

    @property
    def pointwise(self) -> Float[np.ndarray, " n"]:
        """The paired difference of each example, in nats."""
        return self.full.pointwise - self.pooled.pointwise

    @property
    def p_value(self) -> float | None:
        """Of Y independent of Z given Z_p; None where the test was not run."""
        return None if self.test is None else self.test.p_value

    @property
    def smallest_shown(self) -> float | None:
        """Nats that these rows would show in 80 % of draws; None where not known."""
        return None if self.test is None else self.test.smallest_shown

    @property
    def shown(self) -> bool:
        """Whether the test shows it, or the interval where there was none; unflagged."""
        told = is_shown(self.ci[0], self.p_value, self.p_holm)
        return told and {self.full.status, self.pooled.status} == {"ok"}

    @property
    def reading(self) -> Reading:
        """What a gap is of, by whether noise was added."""
        return reading_of(self.sigma)

    @property
    def verdict(self) -> str:
        """Whether a gap is shown, how large, and on which reading it rests."""
        flagged = {self.full.status, self.pooled.status} - {"ok"}
        return gap_verdict(
            self.given,
            self.nats,
            self.ci,
            p_value=self.p_value,
            p_holm=self.p_holm,
            smallest_shown=self.smallest_shown,
            n_draws=0 if self.test is None else self.test.n_draws,
            entropy_y=self.full.entropy_y,
            sigma=self.sigma,
            flagged=tuple(sorted(flagged)),
            learned_on=self.learned_on,
        )

    def table(self) -> pd.DataFrame:
        """One tidy row, in nats."""
        return pd.DataFrame([_row(self)])

    def _repr_html_(self) -> str:
        return _html(self.table(), (self.verdict,))


@dataclass(frozen=True, repr=False)
class Gaps:
    """The gaps of several poolings, each with its `Gap.p_holm`."""

    gaps: tuple[Gap, ...]

    def __post_init__(self) -> None:
        corrected = holm([gap.p_value for gap in self.gaps])
        known = [None if np.isnan(p) else float(p) for p in corrected]
        pairs = zip(self.gaps, known, strict=True)
        object.__setattr__(self, "gaps", tuple(replace(g, p_holm=p) for g, p in pairs))

    def __getitem__(self, pooling: str) -> Gap:
        check_known("pooling", pooling, [gap.pooling for gap in self.gaps])
        return next(gap for gap in self.gaps if gap.pooling == pooling)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self.gaps)

    def __len__(self) -> int:
        return len(self.gaps)

    def __repr__(self) -> str:
        return f"Gaps({', '.join(map(repr, self.gaps))})"

    @property
    def verdict(self) -> str:
        """One paragraph a pooling."""
        return "\n".join(gap.verdict for gap in self.gaps)

    def table(self) -> pd.DataFrame:
        """One tidy row a pooling, in nats; ``p_holm`` is corrected for their number."""
        return pd.DataFrame([_row(gap) for gap in self.gaps])

    def _repr_html_(self) -> str:
        return _html(self.table(), tuple(gap.verdict for gap in self.gaps))


def _row(gap: Gap) -> dict[str, object]:
    return {
        "pooling": gap.pooling,
        "sigma": gap.sigma,
        "full": gap.full.nats,
        "pooled": gap.pooled.nats,
        "gap": gap.nats,
        "stderr": gap.stderr,
        "low": gap.ci[0],
        "high": gap.ci[1],
        "p_value": _number(gap.p_value),
        "p_holm": _number(gap.p_value if gap.p_holm is None else gap.p_holm),
        "smallest_shown": _number(gap.smallest_shown),
        "learned_on": gap.learned_on,
        "H_Y": np.nan if gap.full.entropy_y is None else gap.full.entropy_y,
        "status": gap.full.status if gap.full.status != "ok" else gap.pooled.status,
        "reading": gap.reading,
    }


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _html(table: pd.DataFrame, verdicts: tuple[str, ...]) -> str:
    interval = [
        f"[{low:.3f}, {high:.3f}]" for low, high in table[["low", "high"]].to_numpy()
    ]
    hidden = ["sigma", "reading", "stderr", "low", "high", "learned_on"]
    shown = table.drop(columns=[name for name in hidden if name in table])
    shown.insert(list(shown.columns).index("gap") + 1, "95 % interval", interval)
    units = {c: f"{c} (nats)" for c in ("full", "pooled", "gap")}
    shown = shown.rename(columns={**units, "H_Y": "H(Y) (nats)"})
    drawn = shown.to_html(index=False, float_format=lambda v: f"{v:.3f}", na_rep="-")
    words = "".join(f"<p>{escape(verdict)}</p>" for verdict in verdicts)
    return f"{drawn}{words}"
