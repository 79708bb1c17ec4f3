"""Columns that a critic of continuous Y may start from: the same rows, seen differently.

A view is a function of X alone beside a function of Y alone, so that any critic of it
bounds I(Y;X) from below, whatever it leaves out; it looks at all rows of a side, never at
which x met which y. Only the degrees of a Student copula are of pairs: those outside the
held-out fold, each fold's own.

What a map of the plane, or of a few columns, has bent is no monotone function of any
column, so canonical correlations do not see it. Among enough functions of the columns there
are linear combinations that undo it, and canonical correlations find them.

Reference: Rahimi and Recht 2007, Random features for large-scale kernel machines (the
waves).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.models.columns import least_gaussian
from mi_probe.estimators.models.normal_scores import normal_scores
from mi_probe.estimators.scores.elliptical import likeliest_degrees, student_scores

_Speeds = tuple[tuple[float, ...], tuple[float, ...]]

FEW_COLUMNS = 64
"""Up to so many columns on a side a critic reads them all; above, their components."""
COMPONENTS = 32
"""Principal components of a wide side."""
_SCALE_ROWS = 2000
"""Rows that tell the scale of a wide side's columns."""
_FEW_SPEEDS: _Speeds = (0.5, 1.0, 1.5), (2.0, 2.5, 3.0, 3.5)
"""Of turning with the squared radius: slow ones, and fast ones."""
_MANY_SPEEDS: _Speeds = (1.0,), (2.0, 3.0)
"""The same for many columns, whose radius varies little."""
_WAVED_COLUMNS = 6
"""Columns of a side up to which waves can fill their space."""
_LEAST_WAVES, _MOST_WAVES = 16, 120
_SHORT_WAVES, _LONG_WAVES = (1.0, 2.0), (2.0, 4.0)
"""Lengths, in standard deviations over 2 pi."""
_ROWS_A_COLUMN = 20
"""Rows that each column of an expanded view needs."""


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
    most_pairs: int | None = None
    """Of directions that may be related, where there are fewer than columns: the columns
    before they were expanded. More would be functions of these, and count them again."""
    components: bool = False
    """Whether the columns are mixed by weights that were learned from the rows."""
    independent: bool = False
    """Whether these weights make the columns independent, not only uncorrelated."""
    folds: frozenset[int] | None = None
    """Held-out folds that it is for, where pairs of all others chose it; None for all."""

    def is_for(self, k: int) -> bool:
        """Whether it may be used where fold k is held out."""
        return self.folds is None or k in self.folds


def components(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
    """The leading principal components of one side, columns on one scale."""
    middle = np.median(values[:: max(1, len(values) // _SCALE_ROWS)], axis=0)
    centred = (values - middle).astype(np.float32)
    # The middle half of a column is its scale: a heavy tail would hide all others.
    rows = centred[:: max(1, len(centred) // _SCALE_ROWS)]
    low, high = np.quantile(rows, (0.25, 0.75), axis=0)
    spread = np.median(high - low) or 1.0
    # One scale for all columns keeps rotations; 1e6-fold columns are brought in first.
    centred = centred / np.where(high - low > 30 * spread, (high - low) / spread, 1.0)
    centred -= centred.mean(0)
    directions = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    return (centred @ directions[:, :COMPONENTS]).astype(np.float64)


def narrowed(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n e"]]:
    """Both sides, a wide one cut to its principal components."""
    left, right = (components(v) if v.shape[1] > FEW_COLUMNS else v for v in (x, y))
    return left, right


def mixed_view(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], *, independent: bool
) -> ScoreView:
    """Normal scores of narrow sides' columns, or of what the columns are mixed from."""
    if not independent:
        left, right = normal_scores(x), normal_scores(y)
        return ScoreView("principal components", left, right, components=True)
    left, right = (normal_scores(least_gaussian(scaled(side))) for side in (x, y))
    name = "independent components"
    return ScoreView(name, left, right, components=True, independent=True)


def score_views(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"], fold: Int[np.ndarray, " n"]
) -> list[ScoreView]:
    """The views of two sides without constant columns, the plainest first."""
    x_scores, y_scores = normal_scores(x), normal_scores(y)
    plain = ScoreView("normal scores", x_scores, y_scores)
    views = [plain]
    if x.shape[1] > FEW_COLUMNS >= y.shape[1]:
        # Ranks of each of many columns are noisier than the columns.
        views.append(ScoreView("columns", (x - x.mean(0)) / x.std(0), y_scores))
    small, columns = plain, narrowed(x, y)
    if columns[0] is not x or columns[1] is not y:
        small = mixed_view(*columns, independent=False)
        views.append(small)
    if max(side.shape[1] for side in columns) > 1:
        views.append(mixed_view(*columns, independent=True))
    both = np.concatenate([small.x, small.y], axis=1)
    held_out = range(int(fold.max()) + 1)
    chosen = [likeliest_degrees(both[fold != k]) for k in held_out]
    views += [
        ScoreView(
            f"student {small.name}",
            student_scores(small.x, degrees),
            student_scores(small.y, degrees),
            degrees=degrees,
            folds=frozenset(k for k in held_out if chosen[k] == degrees),
        )
        for degrees in sorted(set(chosen) - {math.inf})
    ]
    return views + [
        view
        for view in _expanded(small, *(scaled(side) for side in columns))
        if _ROWS_A_COLUMN * (view.x.shape[1] + view.y.shape[1]) <= len(x)
    ]


def _expanded(
    small: ScoreView, x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
) -> Iterator[ScoreView]:
    """Both sides beside functions of their own columns."""
    least, most = sorted((x.shape[1], y.shape[1]))
    few = most <= _WAVED_COLUMNS
    scores = small.x, small.y
    slow, fast = _FEW_SPEEDS if few else _MANY_SPEEDS
    expanded = [(f"turned {small.name}", scores, slow), ("turned columns", (x, y), slow)]
    if not small.components:
        expanded.append(("fast turned columns", (x, y), fast))
    for name, sides, speeds in expanded:
        left, right = (turned(side, speeds) for side in sides)
        yield ScoreView(name, left, right, normalised=False, most_pairs=least)
    count = min(_MOST_WAVES, len(x) // (4 * _ROWS_A_COLUMN))
    if not few or count < _LEAST_WAVES:
        return
    for name, sides, lengths in (
        (f"waves of {small.name}", scores, _SHORT_WAVES),
        ("waves of columns", (x, y), _LONG_WAVES),
    ):
        left, right = (waved(side, count, lengths) for side in sides)
        yield ScoreView(name, left, right, normalised=False, most_pairs=least)


_FAR = 6.0
"""Scales from the centre beyond which a column is cut: a tail would rule a covariance."""


def scaled(values: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Columns about 0 and of unit scale, otherwise as they are: circles stay circles."""
    low, high = np.quantile(values, (0.25, 0.75), axis=0)
    spread = np.where(high > low, (high - low) / 1.349, np.ptp(values, axis=0))
    return (values - np.median(values, axis=0)) / np.where(spread > 0, spread, 1)


def turned(
    values: Float[np.ndarray, "n d"], speeds: Sequence[float]
) -> Float[np.ndarray, "n e"]:
    r"""The columns, and the columns times waves of the squared radius.

    .. math:: x_j \cos(\omega r^2),\ x_j \sin(\omega r^2),\quad r^2 = \tfrac1d |x|^2

    What was turned by an angle that grows with the squared radius is linear in these if its
    speed is among the speeds, and nearly so between them: they are a Fourier series in
    :math:`r^2`, so any slow function of the radius may turn or stretch a side.
    """
    values = np.clip(values, -_FAR, _FAR)
    square = (values**2).mean(1, keepdims=True)
    waves = [w(speed * square) for speed in speeds for w in (np.cos, np.sin)]
    return np.concatenate([values, *(values * wave for wave in waves)], axis=1)


def waved(
    values: Float[np.ndarray, "n d"], count: int, lengths: Sequence[float]
) -> Float[np.ndarray, "n e"]:
    """The columns, and waves of random directions: for a few columns only.

    Any function of the columns that is smooth at these lengths (of a wave over 2 pi, in
    the columns' unit) is nearly linear in enough of them.
    """
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(values.shape[1], count)) / np.resize(lengths, count)
    waves = np.cos(values @ directions + rng.uniform(0, 2 * np.pi, count))
    return np.concatenate([values, np.sqrt(2) * waves], axis=1)
