r"""Many shifts of one symmetric matrix solved together, by conjugate gradients.

.. math:: (A + \sigma_s I)\, x_s = b

for every shift :math:`\sigma_s` from the products A v of the smallest alone: what is left
to solve at another shift is a multiple :math:`\zeta_s` of it. A Cholesky factor a shift
costs :math:`d^3/3` each; a round here, one product for all shifts and right sides.

References:
    Frommer 2003, BiCGStab(l) for families of shifted linear systems,
    doi 10.1007/s00607-003-1472-6 (section 2: conjugate gradients).
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

_ENOUGH = 1e-4
"""Of a right side's length, what may be left of it."""
_ROUNDS = 200
_LAST = 1e-200
"""What is as good as 0."""


def solved_shifts(
    product: Callable[[Float[np.ndarray, "d m"]], Float[np.ndarray, "d m"]],
    right: Float[np.ndarray, "d m"],
    shifts: Sequence[float],
) -> list[Float[np.ndarray, "d m"]] | None:
    """Solutions at every shift; None where rounds did not suffice.

    Args:
        product: A v of every column, A without negative eigenvalues.
        right: a column a system.
        shifts: positive.
    """
    base = min(shifts)
    more = np.array([shift - base for shift in shifts])[:, None]
    rest, search = right.copy(), right.copy()
    # float64 for what is one number a column; the columns stay what they were.
    length = np.square(rest).sum(0, dtype=np.float64)
    least = np.maximum(_ENOUGH**2 * length, 1e-30)
    found = [np.zeros_like(right) for _ in shifts]
    searches = [right.copy() for _ in shifts]
    before, scale = np.ones((2, len(shifts), right.shape[1]))
    step_before, turn = np.ones_like(length), np.zeros_like(length)
    for _ in range(_ROUNDS):
        ahead = product(search) + base * search
        step = length / np.maximum((search * ahead).sum(0, dtype=np.float64), 1e-300)
        after = scale * before * step_before
        under = step * turn * (before - scale) + before * step_before * (1 + more * step)
        # What is solved to the last bit stays as it is.
        after = np.divide(after, under, out=np.zeros_like(after), where=under > _LAST)
        ratio = np.divide(after, scale, out=np.zeros_like(after), where=scale > _LAST)
        rest = rest - (step * ahead).astype(right.dtype)
        now = np.square(rest).sum(0, dtype=np.float64)
        turn = now / np.maximum(length, 1e-300)
        for number, one in enumerate(searches):
            found[number] += (step * ratio[number]).astype(right.dtype) * one
            one *= (turn * ratio[number] ** 2).astype(right.dtype)
            one += after[number].astype(right.dtype) * rest
        search = rest + turn.astype(right.dtype) * search
        before, scale, step_before, length = scale, after, step, now
        if (length <= least).all():
            return found
    return None
