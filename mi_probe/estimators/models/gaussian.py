r"""Gaussian classes in closed form: log posteriors that are linear or quadratic in x.

With class means :math:`\mu_c` and one covariance :math:`\Sigma` (linear discriminants)

.. math:: \log q(y|x) = \log p_y + x^\top \Sigma^{-1}\mu_y
          - \tfrac12 \mu_y^\top \Sigma^{-1} \mu_y + c(x);

with a covariance a class (quadratic discriminants) it is a quadratic form. In 768
dimensions neither can be learned from a few thousand rows as it stands, so both are shrunk,

.. math:: \Sigma = (1 - s)\, W + s\, \mathrm{diag}(t),

W the covariance within classes of the rows. What is taken for granted is in t: in
coordinates whitened by the total covariance, t = 1 says that classes vary as all rows do;
in X's own columns, t = their variances says that columns are independent. The second is the
better on states of language models and on noise that is alike in all directions, the first
where classes differ in what varies little. Everything is made of sums over rows
(`Moments`), so sets of rows that overlap, as those outside one fold or two, share the work.

References:
    Regularized Discriminant Analysis (Friedman, 1989), doi 10.1080/01621459.1989.10478752.
    The Elements of Statistical Learning (Hastie et al., 2009), section 4.3.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cholesky, solve_triangular

from mi_probe.estimators.core.targets import log_prior_of
from mi_probe.estimators.models.class_means import mean_noise, probes, shrunk_means
from mi_probe.estimators.models.shifted import solved_shifts

Means: TypeAlias = Literal["sample", "shrunk", "spiked"]
"""Class means as they are, or shrunk in one of two ways."""
_DIRECT = 64
"""Columns, times the right sides, up to which each shrunk covariance is factored; above,
they are solved as one. Both cost about the same at that size."""


@dataclass(frozen=True)
class Moments:
    """Weights, sums and second moments of a set of rows; those of two sets add up."""

    counts: Float[np.ndarray, " c"]
    sums: Float[np.ndarray, "c d"]
    squares: Float[np.ndarray, "d d"]

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], n_classes: int
    ) -> "Moments":
        """The moments of these rows; x should be roughly centred, for its digits."""
        member = np.zeros((n_classes, len(x)), dtype=x.dtype)
        member[y, np.arange(len(x))] = 1
        return cls(member.sum(1), member @ x, x.T @ x)

    def double(self) -> "Moments":
        """The same in float64."""
        return Moments(*(part.astype(np.float64) for part in vars(self).values()))

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.counts + other.counts,
            self.sums + other.sums,
            self.squares + other.squares,
        )


def moments_of_sets(
    x: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    n_classes: int,
    sets: Sequence[Int[np.ndarray, " _"]],
) -> Iterator[Moments]:
    """The moments of sets of rows that overlap; each row's products are made once."""
    member = np.zeros((len(sets), len(x)), dtype=bool)
    for place, rows in enumerate(sets):
        member[place, rows] = True
    kinds, kind = np.unique(member, axis=1, return_inverse=True)
    kind = kind.reshape(-1)
    used = np.flatnonzero(kinds.any(0))
    parts = {k: Moments.of(x[kind == k], y[kind == k], n_classes) for k in used}
    for inside in kinds:
        first, *others = (parts[k] for k in used if inside[k])
        for other in others:
            first = first + other
        yield first


@dataclass(frozen=True)
class Linear:
    """log q(y|x) of Gaussian classes that share one covariance, up to a constant."""

    coefficients: Float[np.ndarray, "d c"]
    intercept: Float[np.ndarray, " c"]

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """Unnormalised log posteriors."""
        return x @ self.coefficients + self.intercept


@dataclass(frozen=True)
class Quadratic:
    """log q(y|x) of Gaussian classes with covariances of their own, up to a constant."""

    means: Float[np.ndarray, "c m"]
    inverses: Float[np.ndarray, "c m m"]
    """Inverses of the class covariances."""
    offsets: Float[np.ndarray, " c"]
    """log prior minus half the log determinant."""

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """Unnormalised log posteriors, by the first m columns."""
        log_posterior = np.empty((len(x), len(self.means)))
        for c, (mean, inverse) in enumerate(zip(self.means, self.inverses, strict=True)):
            difference = x[:, : len(mean)] - mean
            distance = np.einsum("ij,ij->i", difference @ inverse, difference)
            log_posterior[:, c] = self.offsets[c] - 0.5 * distance
        return log_posterior


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


class WithinClasses:
    """Class means and the covariance within classes of some rows."""

    def __init__(self, moments: Moments) -> None:
        self.counts = moments.counts
        self.rows = float(moments.counts.sum())
        present = moments.counts > 0
        self.centre = moments.sums.sum(0) / self.rows
        means = moments.sums / np.where(present, moments.counts, 1)[:, None]
        # A class without rows here sits at the overall mean and tells nothing.
        means[~present] = self.centre
        self.differences = (means - self.centre).T
        """Class means less the mean of all rows, a column a class."""
        self.log_prior = log_prior_of(moments.counts)
        weighted = means * np.sqrt(moments.counts)[:, None]
        scatter = moments.squares - weighted.T @ weighted
        self.covariance = scatter / max(self.rows - present.sum(), 1)
        total = np.diag(moments.squares) / self.rows - self.centre**2
        # Constant columns, and what rounding leaves of them, must not blow up.
        self.variances: Float[np.ndarray, " d"] = np.maximum(
            total, 1e-12 * max(total.max(), 1e-30)
        )
        """Of the columns, over all rows."""

    def factor(
        self, shrinkage: float, towards: Float[np.ndarray, " d"] | None = None
    ) -> Float[np.ndarray, "d d"]:
        """Lower Cholesky factor of the covariance, shrunk towards such variances.

        By default those of the columns.

        Raises:
            numpy.linalg.LinAlgError: without shrinkage, where something does not vary.
        """
        if towards is None:
            towards = self.variances
        shrunk = (1 - shrinkage) * self.covariance
        shrunk[np.diag_indices_from(shrunk)] += shrinkage * towards
        # Transposed it has LAPACK's own order, and is overwritten: three times as fast.
        return cholesky(shrunk.T, lower=True, overwrite_a=True, check_finite=False)

    def linear(
        self, shrinkage: float, towards: Float[np.ndarray, " d"] | None = None
    ) -> Linear:
        """The discriminant of a shrinkage, with the class means of the rows."""
        factor = self.factor(shrinkage, towards)
        half = solved(factor, self.differences)
        return self._along(solved(factor, half, transposed=True), (half**2).sum(0))

    def linears(
        self,
        wanted: Mapping[tuple[float, float], Sequence[Means]],
        towards: Mapping[float, Float[np.ndarray, " d"]],
    ) -> dict[tuple[float, float], list[Linear]]:
        """Discriminants, one for each of the class means; see `shrunk_means`.

        Args:
            wanted: class means by the name of what is shrunk to and the shrinkage, not 0.
            towards: variances by name.
        """
        # Columns whose products with S^-1 are all that is asked of a shrunk covariance S.
        signs = probes(len(self.covariance), self.covariance.dtype)
        right = np.concatenate([self.differences, signs], axis=1)
        varied = self.covariance @ signs
        iterated = len(self.covariance) > _DIRECT * right.shape[1]
        solutions = self._iterated(list(wanted), towards, right) if iterated else None
        found = {}
        for (name, shrinkage), means in wanted.items():
            if solutions is None:
                factor = self.factor(shrinkage, towards[name])
                both = solved(factor, solved(factor, right), transposed=True)
            else:
                both = solutions[name, shrinkage]
            weights, inverse = np.split(both, [len(self.counts)], axis=1)
            trace = float((inverse * varied).sum()) / signs.shape[1]
            noise = mean_noise(trace, shrinkage, self.rows)
            found[name, shrinkage] = [self._shrunk(weights, noise, way) for way in means]
        return found

    def _iterated(
        self,
        wanted: Sequence[tuple[float, float]],
        towards: Mapping[float, Float[np.ndarray, " d"]],
        right: Float[np.ndarray, "d m"],
    ) -> dict[tuple[float, float], Float[np.ndarray, "d m"]] | None:
        """S^-1 of the right sides for all that is wanted; None where it takes too long."""
        # Columns divided by the root of the variances: then all shrinkages are shifts.
        names = list(dict.fromkeys(name for name, _ in wanted))
        shrinkages = list(dict.fromkeys(shrinkage for _, shrinkage in wanted))
        inverse = 1 / np.sqrt(np.stack([towards[name] for name in names], axis=1))
        scale = np.repeat(inverse, right.shape[1], axis=1)
        solutions = solved_shifts(
            lambda v: scale * (self.covariance @ (scale * v)),
            scale * np.tile(right, len(names)),
            [s / (1 - s) for s in shrinkages],
        )
        if solutions is None:
            return None
        found = {}
        for shrinkage, x in zip(shrinkages, solutions, strict=True):
            parts = np.split(scale * x / np.float32(1 - shrinkage), len(names), axis=1)
            found |= {(name, shrinkage): x for name, x in zip(names, parts, strict=True)}
        return found

    def _shrunk(
        self, weights: Float[np.ndarray, "d c"], noise: float, way: Means
    ) -> Linear:
        gram = (self.differences.T @ weights).astype(np.float64)
        if way == "sample":
            return self._along(weights, np.diag(gram))
        d, spiked = len(weights), way == "spiked"
        turn = shrunk_means(gram, d, self.counts, noise, spiked=spiked)
        lengths = ((turn.T @ gram) * turn.T).sum(1)
        return self._along(weights @ turn.astype(weights.dtype), lengths)

    def _along(
        self, weights: Float[np.ndarray, "d c"], lengths: Float[np.ndarray, " c"]
    ) -> Linear:
        """From S^-1 times the class means and their squared whitened lengths."""
        constant = self.log_prior - 0.5 * lengths - self.centre @ weights
        return Linear(weights, constant.astype(weights.dtype))

    def whitening(self, shrinkage: float) -> Subspace:
        """Coordinates with unit covariance under the shrunk covariance."""
        factor = self.factor(shrinkage)
        identity = np.eye(len(factor), dtype=factor.dtype)
        return Subspace(self.centre, solved(factor, identity, transposed=True))


def quadratics(
    z: Float[np.ndarray, "n m"],
    y: Int[np.ndarray, " n"],
    n_classes: int,
    wanted: Sequence[tuple[int, float]],
    *,
    white: bool = False,
) -> list[Quadratic]:
    """A quadratic discriminant for each (columns, shrinkage), of the first so many columns.

    Covariances are shrunk towards the one within all classes, of which one observation
    stands in where a class has few rows; of ``white`` columns towards I, which is better
    where they were found on these rows, since then they vary less here than elsewhere.
    """
    within = WithinClasses(Moments.of(z, y, n_classes))
    towards = np.eye(z.shape[1], dtype=z.dtype) if white else within.covariance
    means = (within.centre[:, None] + within.differences).T
    covariances = []
    for c, mean in enumerate(means):
        difference = z[y == c] - mean
        scatter = difference.T @ difference + towards
        covariances.append(scatter / (len(difference) + 1))
    covariance = np.stack(covariances).astype(np.float64)
    found = []
    for columns, shrinkage in wanted:
        m = min(columns, z.shape[1])
        shrunk = (1 - shrinkage) * covariance[:, :m, :m]
        shrunk += shrinkage * towards[:m, :m]
        shrunk[:, range(m), range(m)] += 1e-6
        inverses = np.linalg.inv(shrunk).astype(z.dtype)
        offsets = within.log_prior - 0.5 * np.linalg.slogdet(shrunk)[1]
        found.append(Quadratic(means[:, :m], inverses, offsets))
    return found


def solved(
    factor: Float[np.ndarray, "d d"],
    right: Float[np.ndarray, "d m"],
    *,
    transposed: bool = False,
) -> Float[np.ndarray, "d m"]:
    """L^-1 B of a lower factor, or L^-T B."""
    return solve_triangular(
        factor, right, lower=True, trans=int(transposed), check_finite=False
    )
