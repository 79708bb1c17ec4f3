"""The few directions of many that tell most: where density models and trees can work.

A density in 768 dimensions cannot be learned from a few thousand rows. Projecting x is a
deterministic map, and I(Y;PX) <= I(Y;X) whatever P was learned from, so a lower bound made
in the subspace is one of x. It is far below where what tells is spread over more directions
than are kept.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.conditional.gaussian_discriminant import Moments, WithinClass
from mi_probe.estimators.conditional.models import ClassRows

_WHITENING = 0.3
"""Shrinkage of the covariance that whitens; as for the quadratic discriminants."""


@dataclass(frozen=True)
class Subspace:
    """x -> coordinates with about unit covariance within classes."""

    centre: Float[np.ndarray, " d"]
    projection: Float[np.ndarray, "d m"]

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
        """The coordinates."""
        return (x - self.centre) @ self.projection

    @property
    def width(self) -> int:
        """Its dimensions, m."""
        return self.projection.shape[1]


def telling_subspace(rows: ClassRows, width: int) -> Subspace:
    """The directions in which the classes' means or covariances differ most, best first.

    With ``width`` or fewer columns it is only a change of coordinates. Found on these
    rows, so on these rows the classes lie further apart in it than elsewhere: calibrate on
    others.
    """
    moments = Moments.of(rows.vectors, rows.y, rows.n_classes)
    within = WithinClass(moments)
    whitening = within.whitening(_WHITENING)
    [found] = within.quadratics(whitening, rows.vectors, rows.y, [(width, 1.0)])
    return Subspace(found.centre, found.projection)
