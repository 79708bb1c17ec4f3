"""The support vector machine as a probe: linear, and with a Gaussian kernel."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning

from mi_probe.estimators.models.directions import telling_subspace
from mi_probe.estimators.models.gaussian import Subspace
from mi_probe.estimators.models.interface import ClassRows, FitPath, PredictClasses


@dataclass(frozen=True)
class Svm:
    """Linear machines, of x and of random features of a Gaussian kernel (Nystroem).

    Margins are no probabilities: calibrate them (Platt). In many dimensions the kernel
    sees the telling directions only, since distances between all coordinates tell little.
    """

    features: int = 200
    """Rows that the kernel is approximated with."""
    width: int = 32
    """Telling directions, in more dimensions than that."""
    bandwidths: tuple[float, ...] = (0.5, 1.5)
    """Of the kernel, relative to the root of twice the dimensions."""
    regularisation: float = 0.1
    """scikit-learn's C."""

    def __call__(
        self, rows: ClassRows, watched: ClassRows, rng: np.random.Generator
    ) -> FitPath:
        """The linear machine and one for each bandwidth."""
        from sklearn.kernel_approximation import Nystroem

        subspace = telling_subspace(rows, self.width)
        u = subspace(rows.vectors)
        found = {"linear": self._machine(rows, u, subspace, None, rng)}
        for bandwidth in self.bandwidths:
            kernel = Nystroem(
                gamma=1 / (4 * u.shape[1] * bandwidth**2),
                n_components=min(self.features, len(u)),
                random_state=int(rng.integers(2**31)),
            ).fit(u)
            name = f"bandwidth={bandwidth:g}"
            found[name] = self._machine(rows, u, subspace, kernel.transform, rng)
        return FitPath(found)

    def _machine(
        self,
        rows: ClassRows,
        u: Float[np.ndarray, "n m"],
        subspace: Subspace,
        lift: Callable[[np.ndarray], np.ndarray] | None,
        rng: np.random.Generator,
    ) -> PredictClasses:
        from sklearn.svm import LinearSVC

        def features(values: np.ndarray) -> np.ndarray:
            # Kernel features are bounded; beside them the plain coordinates are a start.
            return values if lift is None else np.hstack([values, 5 * lift(values)])

        machine = LinearSVC(
            C=self.regularisation,
            dual="auto",
            tol=1e-3,
            max_iter=200,
            random_state=int(rng.integers(2**31)),
        )
        with warnings.catch_warnings():
            # A fit stopped early is still a fit; it is judged on other rows.
            warnings.simplefilter("ignore", ConvergenceWarning)
            machine.fit(features(u), rows.y)

        def margins(x: np.ndarray) -> np.ndarray:
            values = machine.decision_function(features(subspace(x)))
            if values.ndim == 1:
                # One margin for the second class against the first.
                values = np.stack([-values, values], axis=1)
            # Of a class without rows here what a machine says of one with hardly any: the
            # machine that is fitted again may know it, and keeps this one's calibration.
            full = np.full((len(x), len(rows.log_prior)), -1.0)
            full[:, rows.present] = values
            return full

        return margins
