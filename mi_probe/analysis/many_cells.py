r"""Many estimates of the same rows at once: bands that hold all of them, and the best.

Of 155 cells with 95 % intervals of their own, eight miss; and the largest of many estimates
leans high, because it was chosen for being large.

*Bands.* Pieces of evidence (groups, or rows) are drawn anew, and of each draw every cell's
:math:`t^*_k = (m^*_k - m_k)/\mathrm{se}^*_k` is taken, with its own error, since held-out
terms are skewed. Upper and lower sides are apart, and cells are put on one scale by their
own quantiles of :math:`t^*` before the largest over cells is taken, so that the band of one
is as sure as that of another.

*The best.* On one half of the folds the largest is chosen, and on the other half it is
estimated; then the other way round. Beside it a confidence set: the cells k for which no
other is larger by more than :math:`\max_j t^*_{jk}` of the paired differences allows.

References:
    Beran 1988, Balanced Simultaneous Confidence Sets. Hall 1988, Theoretical Comparison of
    Bootstrap Confidence Intervals. Hsu 1981, Simultaneous Confidence Intervals for All
    Distances from the "Best". Mogstad, Romano, Shaikh and Wilhelm 2024, Inference for
    Ranks.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import t as student_t

from mi_probe.analysis.multiplicity import false_discovery
from mi_probe.analysis.paired import Scored, check_level, placed, shared_split
from mi_probe.errors import InputError
from mi_probe.estimators import Estimate
from mi_probe.estimators.core.split import Split

_DRAWS = 2000
_CHUNK = 250
"""Draws at a time, which bounds the memory."""
_SCALE = 0.95
"""Quantile of its own t* that puts a cell on the common scale."""
_SURE = 2.0
"""Bonferroni's limits beyond which a cell is left out without drawing."""
_BAND_PIECES, _SET_PIECES = 1000, 500
"""Sums of several groups or rows that are drawn where there are more: of a mean's t* they
keep size and skewness."""
_SET_DRAWS = 1000
"""Of a set, whose work grows with the square of the cells."""


@dataclass(frozen=True, kw_only=True)
class BestEstimate:
    """The value of the best cell, on other rows than it was chosen on, in nats.

    Where the two halves choose differently it is the mean of what they chose, weighted by
    rows: still no larger on average than the truly best.
    """

    nats: float
    stderr: float
    ci: tuple[float, float]
    chosen: tuple[int, ...]
    """Index of the cell that is estimated on each part, chosen without that part."""

    def __float__(self) -> float:
        return self.nats


@dataclass(frozen=True, kw_only=True, eq=False)
class Simultaneous:
    """Bands that hold all cells at once, and which cell may be the best."""

    low: Float[np.ndarray, " k"]
    """Lower ends of the band, in nats."""
    high: Float[np.ndarray, " k"]
    best: Int[np.ndarray, " m"]
    """Indices of the cells that may be the best, a set that holds it at ``level``."""
    best_estimate: BestEstimate
    p_family: Float[np.ndarray, " k"]
    """Of a bound of 0 or less, so that one false among all is as rare as each p says."""
    p_fdr: Float[np.ndarray, " k"]
    """The same, so that of those at or below it the share of false ones is (Benjamini and
    Hochberg's, on average)."""
    level: float


def simultaneous(
    estimates: Sequence[Estimate | Scored], *, level: float = 0.95, seed: int = 0
) -> Simultaneous:
    """Bands over estimates of the same rows, such as the layers of a network.

    They held all of 155 cells as ``benchmarks/comparisons.md`` says. Not to be trusted
    below some 30 groups, or where an estimate's terms hold no rare large values yet.

    Args:
        estimates: one a cell, of the same rows and Y.
        level: of the band, of the set and of the best one's interval.
        seed: of the draws.

    Raises:
        InputError: fewer than one estimate, what is none, other rows or Y, or a level
            outside (0, 1).

    Example:
        >>> import numpy as np
        >>> from mi_probe.estimators import ESTIMATORS
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 400)
        >>> layers = [a * y[:, None] + rng.standard_normal((400, 2)) for a in (0, 1, 3)]
        >>> found = simultaneous([ESTIMATORS["linear"].estimate(x, y) for x in layers])
        >>> found.best.tolist(), found.best_estimate.chosen
        ([2], (2, 2))
    """
    check_level(level)
    if not estimates:
        raise InputError("estimates must number at least 1; got none.")
    cells = [placed(one, f"estimate {place}") for place, one in enumerate(estimates)]
    return Simultaneous(
        **vars(band_of(cells, level, seed)),
        best=may_be_best(cells, level, seed),
        best_estimate=best_estimate(cells, level, seed),
        level=level,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """What `Simultaneous` says of each cell."""

    low: Float[np.ndarray, " k"]
    high: Float[np.ndarray, " k"]
    p_family: Float[np.ndarray, " k"]
    p_fdr: Float[np.ndarray, " k"]


def band_of(cells: Sequence[Scored], level: float = 0.95, seed: int = 0) -> Band:
    """The band alone; see `simultaneous`."""
    units = _units(cells, shared_split(cells))
    nats, errors = (np.array([getattr(c, a) for c in cells]) for a in ("nats", "stderr"))
    drawn = _drawn_t(units, np.random.default_rng([seed, 7]))
    above, below = _scaled(drawn), _scaled(-drawn)
    up, down = (np.quantile(s.largest, (1 + level) / 2) * s.scale for s in (above, below))
    ci = np.array([cell.ci for cell in cells])
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.nan_to_num(nats / errors, nan=0.0)
    alone = (1 + (drawn >= observed).sum(0)) / (1 + len(drawn))
    together = np.sort(above.largest)
    reached = len(together) - np.searchsorted(together, observed / above.scale)
    return Band(
        # Never narrower than the cell's own: near H(Y) that allows for rows not seen.
        low=np.minimum(nats - up * errors, ci[:, 0]),
        high=np.maximum(nats + down * errors, ci[:, 1]),
        p_family=(1 + reached) / (1 + len(together)),
        p_fdr=false_discovery(alone),
    )


def may_be_best(
    cells: Sequence[Scored], level: float = 0.95, seed: int = 0
) -> Int[np.ndarray, " m"]:
    """The set of cells that may be the best; see `simultaneous`."""
    units = _units(cells, shared_split(cells))
    nats = np.array([cell.nats for cell in cells])
    return _not_exceeded(units, nats, level, np.random.default_rng([seed, 8]))


def best_estimate(
    cells: Sequence[Scored], level: float = 0.95, seed: int = 0
) -> BestEstimate:
    """The best cell's value on other rows than chose it; see `simultaneous`."""
    rng = np.random.default_rng([seed, 9])
    return _best(cells, shared_split(cells), level, rng)


def _units(cells: Sequence[Scored], split: Split) -> Float[np.ndarray, "g k"]:
    return np.stack([split.one_each(cell.influence) for cell in cells], axis=1)


@dataclass(frozen=True)
class _Side:
    """One side of all cells' t*, on one scale."""

    scale: Float[np.ndarray, " k"]
    largest: Float[np.ndarray, " b"]


def _scaled(drawn: Float[np.ndarray, "b k"]) -> _Side:
    scale = np.quantile(drawn, _SCALE, axis=0)
    # A cell whose terms are all alike has no t*; its own interval is its band.
    scale = np.where(scale > 0, scale, 1.0)
    return _Side(scale, (drawn / scale).max(1))


def _drawn_t(
    units: Float[np.ndarray, "g k"], rng: np.random.Generator
) -> Float[np.ndarray, "b k"]:
    """t* of each column's mean, of pieces of evidence drawn with replacement."""
    units = _pieces(units, _BAND_PIECES, rng)
    draws = _draws(len(units), _DRAWS, rng)
    return np.concatenate([_studentised(units, some) for some in draws])


def _pieces(
    units: Float[np.ndarray, "g k"], most: int, rng: np.random.Generator
) -> Float[np.ndarray, "p k"]:
    """At most so many pieces of evidence of the same mean, each of several units."""
    if len(units) <= most:
        return units
    mean = units.mean(0)
    sums = np.zeros((most, units.shape[1]))
    np.add.at(sums, rng.permutation(len(units)) % most, units - mean)
    return mean + sums * most / len(units)


def _draws(
    g: int, count: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "b g"]]:
    """How often each of g pieces is drawn, some draws at a time."""
    for _ in range(count // _CHUNK):
        counts = rng.multinomial(g, np.full(g, 1 / g), size=_CHUNK)
        yield counts.astype(np.float32)


def _studentised(
    units: Float[np.ndarray, "g k"], draws: Float[np.ndarray, "b g"]
) -> Float[np.ndarray, "b k"]:
    g = len(units)
    centred = units - units.mean(0)
    spread = centred.std(0)
    centred = (centred / np.where(spread > 0, spread, 1.0)).astype(np.float32)
    mean = draws @ centred / g
    variance = draws @ centred**2 / g - mean**2
    # Draws of one piece alone, where there are few, have no spread.
    return mean / np.sqrt(np.maximum(variance, 1e-6) / max(g - 1, 1))


def _not_exceeded(
    units: Float[np.ndarray, "g k"],
    nats: Float[np.ndarray, " k"],
    level: float,
    rng: np.random.Generator,
) -> Int[np.ndarray, " m"]:
    """The cells that no other exceeds by more than chance allows."""
    units = _pieces(units, _SET_PIECES, rng)
    g, k = units.shape
    draws = None
    single = student_t.ppf(level, max(g - 1, 1))
    surely = _SURE * student_t.ppf(1 - (1 - level) / max(k, 2), max(g - 1, 1))
    kept = []
    for own in range(k):
        differences = units - units[:, [own]]
        errors = differences.std(0, ddof=1) / math.sqrt(g)
        told = errors > 0
        if not told.any() or not np.isfinite(nats[own]):
            kept += [own] * bool(np.isfinite(nats[own]))
            continue
        largest = float(((nats - nats[own])[told] / errors[told]).max())
        if largest > surely:
            continue
        if largest > single:
            if draws is None:  # the same for all cells
                draws = np.concatenate(list(_draws(g, _SET_DRAWS, rng)))
            drawn = _studentised(differences[:, told], draws).max(1)
            if largest > np.quantile(drawn, level):
                continue
        kept.append(own)
    return np.array(kept, dtype=np.int64)


def _best(
    cells: Sequence[Scored],
    split: Split,
    level: float,
    rng: np.random.Generator,
) -> BestEstimate:
    """Chosen on one half and estimated on the other, both ways round."""
    terms = np.stack([cell.terms for cell in cells], axis=1)
    influence = np.empty(len(terms))
    value, chosen = 0.0, []
    for part in _halves(split, rng):
        # Of all rows, a half that is empty (one unit) would choose nothing.
        others = ~part if (~part).any() else part
        own = int(np.nanargmax(terms[others].mean(0)))
        chosen.append(own)
        value += terms[part, own].sum() / len(terms)
        mine = cells[own].influence[part]
        influence[part] = mine - mine.mean()
    stderr = split.standard_error(influence)
    ceiling = cells[0].entropy_y
    missing = 0.0 if ceiling is None else (value + ceiling) / split.units
    stderr = math.hypot(stderr, missing)
    reach = split.reach(stderr, level)
    return BestEstimate(
        nats=float(value),
        stderr=stderr,
        ci=(float(value - max(missing, 0.0) - reach), float(value + reach)),
        chosen=tuple(chosen),
    )


def _halves(split: Split, rng: np.random.Generator) -> list[Bool[np.ndarray, " n"]]:
    """Two parts of the rows in whole folds and groups, about equally large."""
    unit = split.fold
    if split.n_folds < 2:
        unit = np.arange(len(split)) if split.group is None else split.group
        unit = rng.permutation(int(unit.max()) + 1)[unit]
    sizes = np.bincount(unit)
    first = np.cumsum(sizes) <= len(split) / 2
    first[0] = True
    part = first[unit]
    return [part, ~part] if not part.all() else [part]
