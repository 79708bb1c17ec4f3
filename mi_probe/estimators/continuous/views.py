"""Columns that a critic of continuous Y may start from: the same rows, seen differently.

A view is a function of X alone beside a function of Y alone, so that any critic of it
bounds I(Y;X) from below, whatever it leaves out; it looks at all rows of a side, never at
which x met which y.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.continuous.elliptical import likeliest_degrees, student_scores
from mi_probe.estimators.continuous.independent_components import least_gaussian
from mi_probe.estimators.continuous.normal_scores import normal_scores

FEW_COLUMNS = 64
"""Up to so many columns on a side a critic reads them all; above, their components."""
COMPONENTS = 32
"""Principal components of a wide side."""


@dataclass(frozen=True)
class ScoreView:
    """Both sides, and the elliptical copula that their critic starts from."""

    name: str
    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "n k"]
    degrees: float = math.inf
    """Of freedom of the Student copula; infinity is the Gaussian."""
    normalised: bool = True
    """Whether the closed form is a ratio of densities, so that it needs no samples of Y to
    be normalised."""
    components: bool = False
    """Whether wide sides are cut to some components, which were learned from the rows."""


def components(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
    """The leading principal components of one side, columns on one scale."""
    centred = (values - np.median(values, axis=0)).astype(np.float32)
    # The middle half of a column is its scale: a heavy tail would hide all others.
    low, high = np.quantile(centred, (0.25, 0.75), axis=0)
    spread = np.median(high - low) or 1.0
    # One scale for all columns keeps rotations; 1e6-fold columns are brought in first.
    centred = centred / np.where(high - low > 30 * spread, (high - low) / spread, 1.0)
    centred -= centred.mean(0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    return (centred @ directions[:, :COMPONENTS]).astype(np.float64)


def bent(scores: Float[np.ndarray, "n d"], power: int) -> Float[np.ndarray, "n e"]:
    """The columns, and the columns times powers of the squared radius.

    What is turned by an angle that depends on the distance from the centre is nearly linear
    in these: power 1 for many columns, whose radius varies little, 2 for few.
    """
    radius = (scores**2).mean(1, keepdims=True)
    radius = np.clip((radius - radius.mean()) / radius.std(), -4, 4)
    # Far rows would rule a covariance of such powers.
    inner = np.clip(scores, -3, 3)
    parts = [scores] + [inner * radius**p for p in range(1, power + 1)]
    return np.concatenate(parts, axis=1)


def score_views(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
) -> list[ScoreView]:
    """The views of two sides without constant columns, the plainest first."""
    x_scores, y_scores = normal_scores(x), normal_scores(y)
    plain = ScoreView("normal scores", x_scores, y_scores)
    views = [plain]
    small = plain
    if max(x.shape[1], y.shape[1]) > FEW_COLUMNS:
        sides = [components(v) if v.shape[1] > FEW_COLUMNS else v for v in (x, y)]
        left, right = (normal_scores(side) for side in sides)
        small = ScoreView("principal components", left, right, components=True)
        left, right = (normal_scores(least_gaussian(side)) for side in sides)
        apart = ScoreView("independent components", left, right, components=True)
        views += [small, apart]
    degrees = likeliest_degrees(np.concatenate([small.x, small.y], axis=1))
    if not math.isinf(degrees):
        views.append(
            ScoreView(
                f"student {small.name}",
                student_scores(small.x, degrees),
                student_scores(small.y, degrees),
                degrees=degrees,
            )
        )
    for power in (1, 2):
        views.append(
            ScoreView(
                f"bent {small.name} {power}",
                bent(small.x, power),
                bent(small.y, power),
                normalised=False,
            )
        )
    return views
