"""Invertible maps of X and of Y: they change how hard a task is, and no information.

After Beyond Normal (Czyz et al. 2023, arXiv 2306.11078).
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from mi_probe.synthetic.known import Known

Map = Callable[[np.ndarray], np.ndarray]


def half_cube(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """The x |x|^(1/2) of each coordinate: longer tails."""
    return x * np.sqrt(np.abs(x))


def wiggly_x(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """A monotone wave."""
    return x + 0.4 * np.sin(x) + 0.2 * np.sin(1.7 * x + 1) + 0.03 * np.sin(3.3 * x - 2.5)


def wiggly_y(y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Another monotone wave."""
    wave = 0.17 * np.sin(1.3 * y + 3.5) + 0.02 * np.sin(4.3 * y - 2.5)
    return y - 0.4 * np.sin(0.4 * y) + wave


def swiss_roll(u: Float[np.ndarray, "n one"]) -> Float[np.ndarray, "n two"]:
    """A number in (0, 1) becomes a point of a rolled line in the plane."""
    angle = 1.5 * np.pi * (1 + 2 * u[:, 0])
    return np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 21


def spiral(plane: int) -> Map:
    """Turn coordinates ``plane`` and ``plane + 1`` by the squared length over d."""

    def turn(x: np.ndarray) -> np.ndarray:
        angle = (x**2).sum(1) / x.shape[1]
        a, b = x[:, plane], x[:, plane + 1]
        out = x.copy()
        out[:, plane] = np.cos(angle) * a - np.sin(angle) * b
        out[:, plane + 1] = np.sin(angle) * a + np.cos(angle) * b
        return out

    return turn


MAPS: dict[str, tuple[Map, Map]] = {
    "normal cdf": (ndtr, ndtr),
    "half-cube": (half_cube, half_cube),
    "asinh": (np.arcsinh, np.arcsinh),
    "wiggly": (wiggly_x, wiggly_y),
    "spiral": (spiral(0), spiral(1)),
}
"""Maps of X and of Y, by name."""


def mapped(known: Known, *names: str) -> Known:
    """The pair after the named maps, one after another: the information stays."""
    x, y = known.x, known.y
    assert isinstance(x, np.ndarray)
    for name in names:
        of_x, of_y = MAPS[name]
        x, y = of_x(x), of_y(y)
    return replace(known, x=x, y=y)


def rolled(known: Known) -> Known:
    """Both through the normal CDF, X (one dimension) then onto the Swiss roll."""
    plain = mapped(known, "normal cdf")
    assert isinstance(plain.x, np.ndarray)
    return replace(plain, x=swiss_roll(plain.x))
