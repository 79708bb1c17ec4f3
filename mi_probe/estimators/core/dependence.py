r"""Rows that know one another, where nobody said so: what a sample itself can show.

Three kinds, told from vectors and Y alone. Each needs a sign in X *and* one in Y, since
rows that are alike in X only make nothing of nothing.

* *Near copies*: a gap behind the first neighbours. With :math:`r_k` the distance to the
  k-th neighbour in D dimensions, :math:`k D \ln(r_{k+1}/r_k)` is exponential of mean 1 for
  independent rows, for every k (Levina and Bickel 2004); D is told by all k together. A
  gap counts where neighbours before it agree in Y more than those just behind it.
* *Clusters*: the same behind more neighbours. A speaker's ten rows look like one part of a
  mixture, so this is a note and no flag.
* *Order*: successive rows, or those of one tenth or fortieth of the data, are alike in what
  Y leaves of X, and in Y, beyond what a random order gives.

Not to be trusted to find all: rows of one document that differ as much as others do cannot
be told. Name the groups where they are known.

References:
    Levina and Bickel 2004, Maximum Likelihood Estimation of Intrinsic Dimension.
"""

import numpy as np
from jaxtyping import Float, Int

from mi_probe.estimators.core.split import Dependence
from mi_probe.estimators.core.states import mean_vectors, standardised
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences
from mi_probe.hidden import HiddenStates

_COPIES, _NEAR, _FAR = 3, 16, 32
"""Neighbours up to which a gap is a copy's, up to which a cluster's, and looked at."""
_WIDE, _SHARE = 6.0, 0.08
"""Gap that is a copy's or a cluster's, one chance in 400; share of rows with one."""
_TRIMMED, _TRIMMED_MEAN = 0.1, 0.744
"""Share of the widest gaps that the dimension is told without; the mean of the others, 1 -
0.1 (1 + ln 10) over 0.9, of an exponential variable of mean 1."""
_BEHIND = 4
"""Neighbours behind the gap, against which those before it are held."""
_FEWEST = 100
"""Rows below which neither neighbours nor order say much."""
_ASKED = 1000
"""Rows whose neighbours are looked for, at most."""
_DISTANCES = 2**23
"""Distances that are held at a time, about."""
_ERRORS = 4.0
"""Standard errors by which the signs in X and in Y have to show."""
_CUTS = (40, 10)
"""Blocks of successive rows, whose means a slow drift moves."""
_BEST = 2.0
"""Times as far that the clearest of many columns has to stand out."""
_COLUMNS, _BINS = 64, 8
"""Leading directions in which order is looked for; ranges that scores are cut into."""
_REPEATS = 0.5
"""Share of different values from which a coordinate counts as continuous."""


def dependence_of(
    x: Float[np.ndarray, "n d"] | HiddenStates, target: Classes | Scores | TokenSequences
) -> tuple[Dependence, ...]:
    """Signs of dependence between rows, of sequences by the mean of their tokens."""
    if len(target) < _FEWEST or isinstance(target, TokenSequences):
        return ()
    if isinstance(x, HiddenStates):
        x = mean_vectors(x)
    columns = standardised(x, np.float32)
    if not columns.shape[1]:
        return ()
    y = _standard(target)
    found = [_near(columns, y), _in_order(columns, y)]
    return tuple(one for one in found if one is not None)


def _standard(target: Classes | Scores) -> Float[np.ndarray, "n k"]:
    """Y as columns of mean 0 and spread 1: an indicator a class, or the scores' ranks."""
    if isinstance(target, Classes):
        y = (
            np.eye(target.n_classes)[target.index]
            if target.n_classes <= _COLUMNS
            else (
                np.random.default_rng(0).normal(size=(target.n_classes, _COLUMNS))[
                    target.index
                ]
            )
        )
    else:
        y = target.values.argsort(0).argsort(0).astype(float)
    return (y - y.mean(0)) / y.std(0)


def _near(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]) -> Dependence | None:
    n = len(x)
    seen = x[:, np.unique(np.linspace(0, x.shape[1] - 1, _NEAR).astype(int))]
    # Where values recur by nature, as on a grid, distances do too.
    if min(len(np.unique(column)) for column in seen.T) < _REPEATS * n:
        return None
    asked = np.unique(np.linspace(0, n - 1, min(n, _ASKED)).astype(int))
    squares = np.einsum("ij,ij->i", x, x, dtype=np.float64)
    near = np.concatenate([_nearest(x, squares, rows) for rows in _parts(asked, n)])
    # Differences, since float32 squares lose the digits of copies that hardly differ.
    columns = [np.linalg.norm(x[asked] - x[near[:, k]], axis=1) for k in range(_FAR)]
    order = np.argsort(np.stack(columns, axis=1), axis=1)
    near = np.take_along_axis(near, order, 1)
    log_r = np.log(np.maximum(np.take_along_axis(np.stack(columns, 1), order, 1), 1e-12))
    gaps = np.diff(log_r, axis=1) * np.arange(1, _FAR)
    settled = np.sort(gaps[:, _COPIES:].ravel())
    settled = settled[: round((1 - _TRIMMED) * len(settled))].mean() / _TRIMMED_MEAN
    gaps /= max(float(settled), 1e-9)
    wide = gaps > _WIDE
    copied = wide[:, :_COPIES].any(1)
    clustered = wide[:, _COPIES:_NEAR].any(1)
    if max(copied.mean(), clustered.mean()) < _SHARE:
        return None
    kind = "near copies" if copied.mean() >= _SHARE else "clusters"
    rows = np.flatnonzero(copied if kind == "near copies" else clustered)
    most = _COPIES if kind == "near copies" else _NEAR
    place = gaps[rows, :most].argmax(1)
    # The neighbours before the gap against those behind it, of the same rows.
    likeness = (y[asked[rows]][:, None] * y[near[rows]]).mean(2)
    inside = np.arange(_FAR) <= place[:, None]
    behind = ~inside & (np.arange(_FAR) <= place[:, None] + _BEHIND)
    gain = (likeness * inside).sum(1) / inside.sum(1)
    gain = gain - (likeness * behind).sum(1) / behind.sum(1)
    if gain.mean() < _ERRORS * gain.std() / np.sqrt(len(gain)):
        return None
    share = 100 * len(rows) / len(asked)
    if kind == "near copies":
        words = (
            f"{share:.0f} % of the rows have a neighbour nearer than independent rows do, "
            "with like Y: they may be near copies. Name the groups (groups=, "
            "--group-column), or leave copies out."
        )
        return Dependence("near copies", words)
    words = (
        f"{share:.0f} % of the rows lie in small clusters of like Y: if these are one "
        "document's or speaker's rows, name the groups (groups=, --group-column)."
    )
    return Dependence("clusters", words)


def _parts(asked: Int[np.ndarray, " m"], n: int) -> list[Int[np.ndarray, " _"]]:
    """Rows of which so few distances to all n rows are held at a time."""
    return np.array_split(asked, -(-len(asked) * n // _DISTANCES))


def _nearest(
    x: Float[np.ndarray, "n d"],
    squares: Float[np.ndarray, " n"],
    rows: Int[np.ndarray, " k"],
) -> Int[np.ndarray, "k f"]:
    """The nearest other rows of some, the nearest first."""
    apart = squares[rows][:, None] + squares - 2.0 * (x[rows] @ x.T)
    apart[np.arange(len(rows)), rows] = np.inf
    near = np.argpartition(apart, _FAR, axis=1)[:, : _FAR + 1]
    order = np.argsort(np.take_along_axis(apart, near, 1), axis=1)
    return np.take_along_axis(near, order, 1)[:, :_FAR]


def _in_order(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
) -> Dependence | None:
    if _ordered(y) < _ERRORS:
        return None
    rest = _without(x, y)
    rest = rest - rest.mean(0)
    if rest.shape[1] > _COLUMNS:
        rng = np.random.default_rng(0)
        basis = np.linalg.qr(rest.T @ (rest @ rng.normal(size=(x.shape[1], _COLUMNS))))[0]
        rest = rest @ basis
    # As they are, and all directions alike: what drifts need not be what varies most.
    alike, lengths, _ = np.linalg.svd(rest, full_matrices=False)
    alike = alike[:, lengths > 1e-3]
    if not alike.shape[1] or max(_ordered(rest), _ordered(alike)) < _ERRORS:
        return None
    words = (
        "successive rows are alike, in X and in Y: their order may be one of time or of "
        "documents. Name the groups (groups=, --group-column), or cut ordered rows into "
        "blocks (groups=Blocks(N), --blocks N)."
    )
    return Dependence("order", words)


def _without(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n d"]:
    """What Y leaves of X: rows that are sorted by Y are alike in X for that alone."""
    cut = [y, np.ones((len(y), 1))]
    for column in y.T:
        if len(np.unique(column)) > _BINS:
            place = column.argsort().argsort() * _BINS // len(column)
            bins = np.eye(_BINS)[place]
            cut += [bins, bins * column[:, None]]
    design = np.concatenate(cut, axis=1)
    return x - design @ np.linalg.lstsq(design, x.astype(np.float64), rcond=None)[0]


def _ordered(values: Float[np.ndarray, "n k"]) -> float:
    """Likeness of near rows, in standard errors of a random order: the largest of scales.

    Of successive rows, which short dependence makes alike, and of those of one of `_CUTS`
    blocks, which a slow drift does; of all columns, and of the one where it is clearest,
    which many others would drown.
    """
    centred = values - values.mean(0)
    n, gram = len(centred), centred.T @ centred
    own = np.diag(gram)
    pairs, found = [n - 1], [(centred[1:] * centred[:-1]).sum(0)]
    for blocks in _CUTS:
        starts = np.arange(blocks) * n // blocks
        sizes = np.diff(np.append(starts, n))
        pairs.append(int((sizes * (sizes - 1) // 2).sum()))
        found.append((np.square(np.add.reduceat(centred, starts)).sum(0) - own) / 2)
    # Moments over all orders: pairs of rows are drawn without replacement.
    count = np.array(pairs, dtype=float)[:, None]
    away = np.stack(found) + count * own / (n * (n - 1))
    spread = np.sqrt(count) / n * np.maximum(own, 1e-6)
    together = np.sqrt(count[:, 0] * np.square(gram).sum()) / n
    every = away.sum(1) / np.maximum(together, 1e-30)
    return float(max(every.max(), (away / spread).max() / _BEST))
