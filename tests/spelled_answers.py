"""Known information of a Y that is written in tokens: ids (n, m), -1 behind the end.

Writing loses nothing, so the truth is that of what was written.
"""

import math
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from mi_probe.synthetic.gaussian_classes import class_gaussians
from mi_probe.synthetic.known import Known

_BASE = 10
_GRID = 4001


def written_numbers(
    n: int, places: int = 3, d: int = 3, *, correlation: float = 0.9, seed: int = 0
) -> Known:
    """Decimal digits of a number whose normal score is correlated with X's first column.

    The number is even in 0 ... 1, cut to its digits; the truth is an integral over x.

    Args:
        n: examples.
        places: digits, a token each.
        d: dimensions of X.
        correlation: of the normal score with the first of them.
        seed: of the sample.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    rest = math.sqrt(1 - correlation**2)
    bins = _BASE**places
    z = correlation * x[:, 0] + rest * rng.normal(size=n)
    number = np.minimum((norm.cdf(z) * bins).astype(np.int64), bins - 1)
    digits = number[:, None] // _BASE ** np.arange(places - 1, -1, -1) % _BASE
    edges = norm.ppf(np.linspace(0, 1, bins + 1))

    def tells(first: np.ndarray) -> np.ndarray:
        inside = np.diff(norm.cdf((edges - correlation * first[:, None]) / rest), axis=1)
        return np.where(inside > 0, inside * np.log(np.maximum(inside, 1e-300) * bins), 0)

    grid = np.linspace(-6, 6, _GRID)
    weight = norm.pdf(grid) / norm.pdf(grid).sum()
    parts = np.array_split(np.arange(_GRID), 20)
    nats = sum(float(weight[part] @ tells(grid[part]).sum(1)) for part in parts)
    low, high = edges[number], edges[number + 1]
    own = [norm.cdf((edge - correlation * x[:, 0]) / rest) for edge in (low, high)]
    pointwise = np.log(np.maximum(own[1] - own[0], 1e-300) * bins)
    return Known(x, digits, nats, pointwise=pointwise)


def spelled_classes(known: Known, *, longest: int = 4, seed: int = 0) -> Known:
    """The same classes, each spelled in one to ``longest`` tokens of its own order.

    Args:
        known: of classes, few enough for each to repeat.
        longest: tokens of the longest answer.
        seed: of the spelling.
    """
    rng = np.random.default_rng(seed)
    classes, own = np.unique(known.y, return_inverse=True)
    spelling = rng.integers(_BASE, size=(len(classes), longest))
    spelling[:, 0] = np.arange(len(classes))  # no two alike
    behind = np.arange(longest) >= rng.integers(1, longest + 1, size=(len(classes), 1))
    return replace(known, y=np.where(behind, -1, spelling)[own.reshape(-1)])


def tokens_of_their_own(
    n: int,
    tokens: int = 4,
    values: int = 6,
    d: int = 4,
    *,
    separation: float = 3.0,
    idle: int = 0,
    seed: int = 0,
) -> Known:
    """Independent tokens, each told by ``d`` columns of X of its own; their nats add up.

    Args:
        n: examples.
        tokens: tokens that X tells of.
        values: of a token; hardly an answer repeats where there are many.
        d: dimensions that tell of one token.
        separation: of a token's values, as `class_gaussians` has it.
        idle: further tokens, up to so many, that X does not tell of.
        seed: of the population and of the sample.
    """
    parts = [
        class_gaussians(n, d, values, separation=separation, seed=seed * tokens + t)
        for t in range(tokens)
    ]
    rng = np.random.default_rng([seed, 1])
    rest = rng.integers(values, size=(n, idle))
    rest[np.arange(idle) >= rng.integers(idle + 1, size=(n, 1))] = -1
    return Known(
        np.concatenate([np.asarray(part.x) for part in parts], axis=1),
        np.concatenate([np.stack([part.y for part in parts], axis=1), rest], axis=1),
        sum(part.nats for part in parts),
        math.hypot(*(part.stderr for part in parts)),
    )
