r"""Closed-form class posteriors: Gaussian classes with a shared or an own covariance.

With class means :math:`\mu_c` and one covariance :math:`\Sigma` (linear discriminant
analysis) :math:`\log q(y|x)` is linear in x; with a covariance a class (quadratic), it is
a quadratic form. In 768 dimensions neither can be estimated from a few thousand rows as it
stands, so both are shrunk along a path, and the path is chosen on other rows:

* linear: :math:`(1-\lambda)S + \lambda I` of standardised columns, a Cholesky factor for
  each :math:`\lambda`;
* quadratic: in the few whitened directions in which the classes' means or covariances
  differ most, :math:`(1-\alpha)S_c + \alpha I`.

References:
    Regularized Discriminant Analysis (Friedman, 1989).
    The Elements of Statistical Learning (Hastie et al., 2009), section 4.3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cho_solve, solve_triangular

LINEAR_SHRINKAGE = (0.003, 0.05, 0.3, 0.9)
QUADRATIC_SHRINKAGE = (0.02, 0.15, 0.5, 0.9)
QUADRATIC_WIDTHS = (3, 12, 32, 100)
_BLOCK, _ROUNDS = 48, 3


@dataclass(frozen=True)
class Moments:
    """Counts, sums and second moments of a set of rows; those of two sets add up."""

    counts: Float[np.ndarray, " c"]
    sums: Float[np.ndarray, "c d"]
    squares: Float[np.ndarray, "d d"]

    @classmethod
    def of(
        cls, x: Float[np.ndarray, "n d"], y: Int[np.ndarray, " n"], n_classes: int
    ) -> "Moments":
        """The moments of these rows; x should be roughly centred, for its digits."""
        member = np.zeros((n_classes, len(x)))
        member[y, np.arange(len(x))] = 1
        return cls(member.sum(1), member @ x, x.T @ x)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.counts + other.counts,
            self.sums + other.sums,
            self.squares + other.squares,
        )


@dataclass(frozen=True)
class Whitening:
    """x -> coordinates in which the covariance within classes is I, after shrinkage."""

    centre: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]
    factor: Float[np.ndarray, "d d"]
    """Lower Cholesky factor of the shrunk covariance of the standardised columns."""

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """The whitened coordinates."""
        return solve_triangular(
            self.factor, ((x - self.centre) / self.scale).T, lower=True
        ).T

    def back(self, directions: Float[np.ndarray, "d m"]) -> Float[np.ndarray, "d m"]:
        """Matrix P with (x - centre) @ P = whitened(x) @ directions."""
        solved = solve_triangular(self.factor, directions, lower=True, trans=1)
        return solved / self.scale[:, None]


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
    """log q(y|x) of Gaussian classes with covariances of their own, in a subspace."""

    centre: Float[np.ndarray, " d"]
    projection: Float[np.ndarray, "d m"]
    means: Float[np.ndarray, "c m"]
    inverses: Float[np.ndarray, "c m m"]
    """Inverses of the class covariances."""
    offsets: Float[np.ndarray, " c"]
    """log prior minus half the log determinant."""

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n c"]:
        """Unnormalised log posteriors."""
        u = (x - self.centre) @ self.projection
        log_posterior = np.empty((len(x), len(self.means)))
        for c, (mean, inverse) in enumerate(zip(self.means, self.inverses, strict=True)):
            difference = u - mean
            distance = ((difference @ inverse) * difference).sum(1)
            log_posterior[:, c] = self.offsets[c] - 0.5 * distance
        return log_posterior


class WithinClass:
    """Class means and the standardised covariance within classes of some rows."""

    def __init__(self, moments: Moments) -> None:
        n = moments.counts.sum()
        present = moments.counts > 0
        self.centre = moments.sums.sum(0) / n
        self.means = moments.sums / np.maximum(moments.counts, 1)[:, None]
        # A class without rows here sits at the overall mean and tells nothing.
        self.means[~present] = self.centre
        # Half a row a class keeps a class that is missing here possible elsewhere.
        self.log_prior = np.log((moments.counts + 0.5) / (moments.counts + 0.5).sum())
        weighted = self.means * np.sqrt(moments.counts)[:, None]
        scatter = moments.squares - weighted.T @ weighted
        covariance = scatter / max(n - present.sum(), 1)
        total = np.diag(moments.squares) / n - self.centre**2
        # Constant columns, and what rounding leaves of them, must not blow up.
        self.scale = np.sqrt(np.maximum(total, 1e-12 * max(total.max(), 1e-30)))
        self.covariance = covariance / np.outer(self.scale, self.scale)

    def whitening(self, shrinkage: float) -> Whitening:
        """Coordinates with unit covariance under the shrunk covariance."""
        shrunk = (1 - shrinkage) * self.covariance
        # The ridge of 1e-8 keeps duplicated columns from making it singular.
        shrunk[np.diag_indices_from(shrunk)] += shrinkage + 1e-8
        return Whitening(self.centre, self.scale, np.linalg.cholesky(shrunk))

    def linear(self, whitening: Whitening) -> Linear:
        """The linear discriminant under this whitening."""
        means = (self.means - self.centre) / self.scale
        solved = cho_solve((whitening.factor, True), means.T)
        constant = self.log_prior - 0.5 * (means.T * solved).sum(0)
        coefficients = solved / self.scale[:, None]
        return Linear(coefficients, constant - self.centre @ coefficients)

    def quadratics(
        self,
        whitening: Whitening,
        x: Float[np.ndarray, "n d"],
        y: Int[np.ndarray, " n"],
        wanted: Sequence[tuple[int, float]],
    ) -> list["Quadratic"]:
        """A discriminant for each (width, shrinkage), in the telling directions."""
        # Half the digits are plenty to find directions by, and half the time.
        whitened = whitening(x).astype(np.float32)
        means = whitening(self.means)
        directions = _telling_directions(
            whitened, y, means.astype(np.float32), np.exp(self.log_prior)
        ).astype(np.float64)
        projection = whitening.back(directions)
        u, means = whitened @ directions, means @ directions
        covariances = []
        for c, mean in enumerate(means):
            difference = u[y == c] - mean
            # One prior observation of I stands in where a class has too few rows.
            scatter = difference.T @ difference + np.eye(u.shape[1])
            covariances.append(scatter / (len(difference) + 1))
        covariance = np.stack(covariances)
        found = []
        for width, shrinkage in wanted:
            m = min(width, u.shape[1])
            shrunk = (1 - shrinkage) * covariance[:, :m, :m] + shrinkage * np.eye(m)
            found.append(
                Quadratic(
                    self.centre,
                    projection[:, :m],
                    means[:, :m],
                    np.linalg.inv(shrunk),
                    self.log_prior - 0.5 * np.linalg.slogdet(shrunk)[1],
                )
            )
        return found


def quadratic_grid(d: int) -> list[tuple[int, float]]:
    """The (width, shrinkage) pairs worth trying in d dimensions."""
    enough = next((w for w in QUADRATIC_WIDTHS if w >= d), QUADRATIC_WIDTHS[-1])
    largest = enough if d <= QUADRATIC_WIDTHS[-1] else QUADRATIC_WIDTHS[-2]
    widths = [w for w in QUADRATIC_WIDTHS if w <= largest]
    return [(w, shrinkage) for w in widths for shrinkage in QUADRATIC_SHRINKAGE]


def _telling_directions(
    u: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    means: Float[np.ndarray, "c d"],
    prior: Float[np.ndarray, " c"],
) -> Float[np.ndarray, "d m"]:
    """Directions, best first, in which class covariances or class means differ most.

    The leading eigenvectors of sum_c p_c (S_c - I)^2 / 2 + the covariance of the class
    means, all in whitened coordinates; in many dimensions the S_c are never formed.
    """
    d = u.shape[1]
    prior = prior.astype(u.dtype)
    parts = [u[y == c] - means[c] for c in range(len(prior))]

    def spread(vectors: np.ndarray) -> np.ndarray:
        total = (means.T * prior) @ (means @ vectors)
        for share, part in zip(prior, parts, strict=True):
            excess = vectors
            for _ in range(2):
                excess = part.T @ (part @ excess) / max(len(part), 1) - excess
            total += 0.5 * share * excess
        return total

    if d <= QUADRATIC_WIDTHS[-1]:
        matrix = spread(np.eye(d, dtype=u.dtype))
        return np.linalg.eigh((matrix + matrix.T) / 2)[1][:, ::-1]
    # Subspace iteration: directions that tell something stand out and converge in a
    # few rounds; how the noise below them is ordered does not matter.
    block = np.random.default_rng(0).normal(size=(d, _BLOCK)).astype(u.dtype)
    for _ in range(_ROUNDS):
        block = spread(np.linalg.qr(block)[0])
    basis = np.linalg.qr(block)[0]
    small = basis.T @ spread(basis)
    order = np.linalg.eigh((small + small.T) / 2)[1][:, ::-1]
    return basis @ order[:, : QUADRATIC_WIDTHS[-2]]
