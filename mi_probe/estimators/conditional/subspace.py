"""The few directions of many that tell most: where density models and trees can work.

A density in 768 dimensions cannot be learned from a few thousand rows. Projecting x is a
deterministic map, and I(Y;PX) <= I(Y;X) whatever P was learned from, so a lower bound made
in the subspace is one of x. It is far below where what tells is spread over more directions
than are kept.
"""

import numpy as np

from mi_probe.estimators.classes.telling import second_order
from mi_probe.estimators.conditional.models import ClassRows
from mi_probe.estimators.models.gaussian import Moments, Subspace, WithinClasses

_WHITENING = 0.3
"""Shrinkage of the covariance that whitens."""


def telling_subspace(rows: ClassRows, width: int) -> Subspace:
    """The directions in which the classes' means or covariances differ most, best first.

    With ``width`` or fewer columns it is only a change of coordinates. Found on these
    rows, so on these rows the classes lie further apart in it than elsewhere: calibrate on
    others.
    """
    moments = Moments.of(rows.vectors, rows.y, rows.n_classes)
    white = WithinClasses(moments).whitening(_WHITENING)
    # Half the digits are plenty to find directions by, and half the time.
    u = white(rows.vectors).astype(np.float32)
    directions = second_order(u, rows.y, rows.n_classes)[:, :width]
    return Subspace(white.centre, white.projection @ directions)
