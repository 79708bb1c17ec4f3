r"""Columns beside functions of themselves, in which a bent side is nearly straight.

What a map of the plane, or of a few columns, has bent is no monotone function of any
column, so canonical correlations do not see it. Among enough functions of the columns there
are linear combinations that undo it, and canonical correlations find them. No Y is looked
at, so any critic of the result is a critic of X.

Reference: Rahimi and Recht 2007, Random features for large-scale kernel machines (the
waves).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

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
