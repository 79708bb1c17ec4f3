"""How many rows it takes to see a value, or a gap, of a given size: by planting it.

A held-out value falls short by what must be learned, and its interval is wide where rows
are few; how much, depends on the estimator, d (or t and d) and the classes. So data that
hold just so much are drawn at rising sizes until the estimator shows it in most draws. Real
states may hide information better than these: the number is what the size allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mi_probe.analysis import planted
from mi_probe.analysis.dpi import dpi_gap
from mi_probe.errors import InputError
from mi_probe.estimators import ESTIMATORS, Estimator
from mi_probe.estimators.core.admission import check_seed
from mi_probe.estimators.core.parameters import without_limit

FEWEST, _LEVEL = 100, 0.05
_DRAWS_OF_Y = 39


@dataclass(frozen=True, kw_only=True)
class RowsNeeded:
    """The least number of rows that was tried at which a planted size is seen."""

    nats: float
    """Planted information, or gap, in nats."""
    rows: int | None
    """Number of rows from which it is seen; None where more than the most tried."""
    tried: tuple[tuple[int, float], ...]
    """Rows and the share of draws in which it was seen, fewest first."""
    gap: bool
    """Whether it is a gap between Z and its mean, not a value."""

    @property
    def sentence(self) -> str:
        """What it comes to."""
        what = "gap" if self.gap else "value"
        most, share = self.tried[-1]
        if self.rows is None:
            return (
                f"a {what} of {self.nats:.3f} nats is not seen with {most:,} rows yet "
                f"(in {share:.0%} of draws)"
            )
        return f"a {what} of {self.nats:.3f} nats is seen from about {self.rows:,} rows on"


def rows_needed(
    nats: float,
    *,
    shape: Sequence[int],
    n_classes: int = 2,
    estimator: str | Estimator = "auto",
    gap: bool = False,
    power: float = 0.8,
    most: int = 3200,
    draws: int = 5,
    seed: int = 0,
) -> RowsNeeded:
    """Rows, doubled from 100 on, at which a planted value or gap is seen.

    A value is seen where its 95 % interval lies above 0; a gap where `dpi_gap` to the mean
    has p <= 0.05. A value is planted in class means, a gap in the order of two tokens (two
    classes) or in one marked token, of which the mean knows nothing or little.

    Args:
        nats: planted information, below ln(n_classes).
        shape: (d,) for vectors, (t, d) for sequences, which a gap needs.
        n_classes: classes of Y, drawn with equal shares.
        estimator: a name of `ESTIMATORS`, or one of your own.
        gap: plant a gap and not a value.
        power: share of draws in which it has to be seen.
        most: rows that are tried, at most; the cost is about twice this size's.
        draws: data sets a size.
        seed: of the data, the estimates and the test.

    Raises:
        InputError: for a size out of range, a shape that is none, or no draw.
    """
    size = tuple(int(one) for one in shape)
    check_seed(seed)
    if len(size) not in (1, 2) or min(size) < 2 or (gap and len(size) < 2):
        wanted = "(t, d) for a gap" if gap else "(d,) or (t, d)"
        raise InputError(f"shape must be {wanted}, each 2 or more; got {size}.")
    if not 0 < nats < np.log(n_classes):
        raise InputError(
            f"nats must lie in (0, {np.log(n_classes):.3f}), below H(Y) of {n_classes} "
            f"classes; got {nats}."
        )
    if draws < 1 or not 0 < power <= 1 or most < FEWEST:
        raise InputError(
            f"draws must be 1 or more, power in (0, 1], most {FEWEST} or more; got "
            f"{draws}, {power}, {most}."
        )
    chosen = without_limit(ESTIMATORS.chosen(estimator))
    hidden = planted.marker_order if n_classes == 2 else planted.needle
    task = hidden if gap else planted.means
    tried: list[tuple[int, float]] = []
    rows = FEWEST
    while rows <= most:
        seen = []
        for stream in np.random.SeedSequence([seed, rows]).spawn(draws):
            known = task(rows, size, n_classes, nats, np.random.default_rng(stream))
            if gap:
                found = dpi_gap(
                    known.x, known.y, estimator=chosen, n_draws=_DRAWS_OF_Y, seed=seed
                )
                seen.append(found.p_value is not None and found.p_value <= _LEVEL)
            else:
                seen.append(chosen.estimate(known.x, known.y, seed=seed).ci[0] > 0)
        tried.append((rows, float(np.mean(seen))))
        if tried[-1][1] >= power:
            break
        rows *= 2
    enough = tried[-1][1] >= power
    return RowsNeeded(
        nats=nats, rows=tried[-1][0] if enough else None, tried=tuple(tried), gap=gap
    )
