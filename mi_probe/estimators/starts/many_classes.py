r"""Where a critic of many classes starts: class means that are themselves uncertain.

With hundreds or thousands of classes most have a few rows, some none, and a fit with a
mean of its own for each would believe noise. So the means are drawn from a Gaussian too
(probabilistic linear discriminant analysis): in coordinates where the within-class
covariance is I and the between-class one diagonal, :math:`b`,

.. math:: m_c \sim N(0, b), \quad x | c \sim N(m_c, 1), \quad
    x | c, \text{rows} \sim N\Big(\frac{n_c b}{n_c b + 1} \bar x_c,\;
    1 + \frac{b}{n_c b + 1}\Big),

n_c the class's training rows. A class without rows is as wide as all classes together.
Folds are nested as in `engine.stack`: a training row is scored by a fit that saw neither
it nor the held-out fold, and such scores choose the power of each view's evidence.

It knows means alone: what only a class's spread or shape tells is left to networks.

References:
    Ioffe 2006, Probabilistic Linear Discriminant Analysis.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import log_softmax

from mi_probe.estimators.core.split import TOP, Split
from mi_probe.estimators.core.targets import Classes
from mi_probe.estimators.engine.mixing import log_linear_weights

_RIDGE = 0.05
"""Of the covariance, relative to its mean variance."""
_DIRECTIONS = 128
_CELLS = 2_000_000
"""Rows times classes on which the powers are found, at most."""


@dataclass(frozen=True)
class ClassEvidence:
    """T_0 for one held-out fold, as log q_0(y|x) - log p(y)."""

    values: Float[np.ndarray, "n c"]
    """T_0 of every row, by fits without it and the fold; 0 of rows that are not used."""
    chosen: dict[str, float]
    """The power of each view's means."""


@dataclass(frozen=True)
class UncertainMeans:
    """One fit: directions that tell classes apart, and what is known of each mean."""

    centre: Float[np.ndarray, " d"]
    directions: Float[np.ndarray, "d r"]
    means: Float[np.ndarray, "c r"]
    precisions: Float[np.ndarray, "c r"]

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """The log p(x | c) up to a term of x alone, in nats."""
        z = (x - self.centre) @ self.directions
        pulls = self.means * self.precisions
        constant = 0.5 * (np.log(self.precisions) - self.means * pulls).sum(1)
        values = z @ pulls.T - 0.5 * (z**2) @ self.precisions.T + constant
        return values.astype(np.float32)


class NestedMeans:
    """Fits to one view for sets of left-out folds, whatever the classes.

    The coordinates are whitened by the covariance of all rows, which no class enters: so
    several targets (the parts of an answer) share them.
    """

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        fold: Int[np.ndarray, " n"],
        used: Bool[np.ndarray, " n"] | None = None,
    ) -> None:
        """Hold the view; only the rows that are ``used`` are learned from."""
        spread = x.std(0)
        self.x = (x - x.mean(0)) / np.where(spread > 0, spread, 1)
        self.fold = fold
        self.used = np.ones(len(x), dtype=bool) if used is None else used
        self._whitenings: dict[tuple[int, ...], tuple[np.ndarray, np.ndarray]] = {}

    def fit(
        self, y: Int[np.ndarray, " n"], n_classes: int, left_out: tuple[int, ...]
    ) -> UncertainMeans:
        """The fit without these folds; directions that stand out from noise are kept."""
        rows = ~np.isin(self.fold, left_out) & self.used
        centre, whiten = self._whitening(left_out, rows)
        x, y = self.x[rows], y[rows]
        counts = np.bincount(y, minlength=n_classes)
        sums = np.zeros((n_classes, x.shape[1]))
        np.add.at(sums, y, x - centre)
        means = sums / np.maximum(counts, 1)[:, None] @ whiten
        d, share = means.shape[1], (counts > 0).sum() / len(x)
        # Their scatter is B + share (I - B) in expectation, B that of the true means.
        weighted = means * np.sqrt(counts / len(x))[:, None]
        _, values, axes = np.linalg.svd(weighted, full_matrices=False)
        # The largest that noise alone would give (Marchenko and Pastur 1967).
        edge = share * (1 + np.sqrt(d / max(share * len(x), 1))) ** 2
        kept = np.flatnonzero(values**2 > edge)[:_DIRECTIONS]
        between = np.minimum((values[kept] ** 2 - share) / (1 - share), 1 - 1e-6)
        axes = axes[kept].T / np.sqrt(1 - between)
        spread = between / (1 - between)
        gain = counts[:, None] * spread
        return UncertainMeans(
            centre,
            whiten @ axes,
            gain / (gain + 1) * (means @ axes),
            1 / (1 + spread / (gain + 1)),
        )

    def _whitening(
        self, left_out: tuple[int, ...], rows: Bool[np.ndarray, " n"]
    ) -> tuple[Float[np.ndarray, " d"], Float[np.ndarray, "d d"]]:
        if left_out not in self._whitenings:
            x = self.x[rows]
            centre = x.mean(0)
            covariance = (x - centre).T @ (x - centre) / len(x)
            ridge = _RIDGE * max(float(np.trace(covariance)) / len(covariance), 1e-12)
            values, vectors = np.linalg.eigh(covariance + ridge * np.eye(len(covariance)))
            self._whitenings[left_out] = centre, vectors / np.sqrt(values)
        return self._whitenings[left_out]


def many_class_starts(
    fits: Mapping[str, NestedMeans],
    target: Classes,
    split: Split,
    level: int = TOP,
) -> Iterator[ClassEvidence]:
    """T_0 for each fold in turn, from the rows outside it that are learned from."""
    y, c, fold = target.index, target.n_classes, split.fold
    made = {
        (name, *without): fit.fit(y, c, without)
        for name, fit in fits.items()
        for without in [*split.pairs, *((k,) for k in range(split.n_folds))]
    }
    for k in range(split.n_folds):
        train = split.learns(k, level=level)
        log_prior = target.log_prior_among(np.flatnonzero(train))
        members = [np.zeros((len(y), c), dtype=np.float32) for _ in fits]
        for j in range(split.n_folds):
            rows = (train | (fold == k)) & (fold == j)
            for member, (name, fit) in zip(members, fits.items(), strict=True):
                without = (k,) if j == k else (min(j, k), max(j, k))
                member[rows] = made[(name, *without)](fit.x[rows])
        powers = np.zeros(len(members))
        if members:
            learned = np.flatnonzero(train)
            chosen = learned[:: max(1, len(learned) * c // _CELLS)]
            powers = log_linear_weights(
                [log_softmax(q[chosen] + log_prior, axis=1) for q in members],
                log_prior,
                y[chosen],
            )
        yield ClassEvidence(
            _evidence(members, powers, log_prior, (len(y), c)),
            {f"{name}:means": float(p) for name, p in zip(fits, powers, strict=True)},
        )


def _evidence(
    members: list[Float[np.ndarray, "n c"]],
    powers: Float[np.ndarray, " v"],
    log_prior: Float[np.ndarray, " c"],
    shape: tuple[int, int],
) -> Float[np.ndarray, "n c"]:
    """The product's log q(y|x) - log q(y), in single precision: n x c is large."""
    total = np.zeros(shape, dtype=np.float32)
    for power, member in zip(powers, members, strict=True):
        total += np.float32(power) * (member - member.max(1, keepdims=True))
    for part in np.array_split(np.arange(len(total)), max(1, total.size // _CELLS)):
        log_partition = np.logaddexp.reduce(total[part] + log_prior, axis=1)
        total[part] -= log_partition[:, None].astype(np.float32)
    return total
