"""When a value at n -> infinity may be claimed from above too: under a law that was tested.

Rows may depart from the law in ways that add information and that these rows would not
show. So the interval reaches up as far as departures that would have been seen, and where
that is too far, or a departure was found, the value stays *at least*.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student_t

from mi_probe.estimators.protocol.base import Extrapolation
from mi_probe.estimators.protocol.departures import LawTest
from mi_probe.estimators.protocol.gaussian_laws import Law
from mi_probe.estimators.protocol.learning_curve import reach_upwards

_WIDER = (1.0, 1.5, 2.0, 3.0)
"""Times the interval's own reach that it may be widened, to what would have been seen."""
_NOTHING = 0.01
"""Nats: what counts as nothing found."""
_ROWS_A_COLUMN = 4
"""Below so many, residuals are too far from the law's own to say anything."""
_MOST_PRODUCTS = 5e8
"""Rows times squared columns from which a test would cost more than an estimate."""


def two_sided_if_tested(
    limit: Extrapolation,
    law: Law,
    x: Float[np.ndarray, "n d"],
    columns: Float[np.ndarray, "n m"],
    entropy: float | None,
) -> Extrapolation:
    """The value with both ends, where its law passes; else as it came, and why.

    Args:
        limit: the value by the law, from below.
        law: what it assumes.
        x: all rows, as the law reads them.
        columns: of X, to be looked at singly.
        entropy: H(Y), in nats; None for scores.
    """
    n, d = x.shape
    if limit.ci[0] <= 0 or limit.nats < _NOTHING:
        return replace(
            limit, reason="nothing was found, which is not that there is nothing"
        )
    if n < _ROWS_A_COLUMN * d or n * d**2 > _MOST_PRODUCTS:
        how = "few" if n < _ROWS_A_COLUMN * d else "many"
        why = f"{n} rows of {d} columns are too {how} for a test of the law"
        return replace(limit, reason=why)
    try:
        tested = LawTest(law, x.astype(np.float64), columns.astype(np.float64))
    except np.linalg.LinAlgError:
        return replace(limit, reason="X has columns that are sums of others")
    if departure := tested.departure():
        return replace(limit, reason=departure)
    quantile = float(student_t.ppf(0.975, n - 1))
    reach = reach_upwards((limit.nats - limit.ci[0]) / quantile, quantile, n)
    sizes = [wider * reach for wider in _WIDER]
    seen = tested.smallest_seen(sizes, max(limit.nats, 0.0), entropy)
    if seen is None:
        why = f"departures from the law that add {sizes[-1]:.3f} nats might not be seen"
        return replace(limit, reason=why)
    return replace(
        limit,
        ci=(limit.ci[0], limit.nats + seen),
        claim="two_sided",
        assumes=law.assumes,
        reason="",
    )
