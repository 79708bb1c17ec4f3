"""Densities of x given Y that are mixtures of spherical normals."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_MOST_TERMS = 4_000_000
"""Parts times rows that are in memory at once."""


@dataclass(frozen=True)
class Mixture:
    """Densities given each class: spherical normals, mixed with weights of the class."""

    centres: Float[np.ndarray, "m k"]
    sd: Float[np.ndarray, " m"]
    weights: Float[np.ndarray, "m c"]
    """Probability of each part given each class; columns add up to 1."""

    def log_likelihood(self, x: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n c"]:
        """Log p(x|y) up to a constant that is the same for all classes."""
        k = self.centres.shape[1]
        out = []
        step = max(1, _MOST_TERMS // len(self.sd))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            square = (part**2).sum(1)[:, None] - 2 * part @ self.centres.T
            square = square + (self.centres**2).sum(1)
            log_density = -0.5 * square / self.sd**2 - k * np.log(self.sd)
            most = log_density.max(1, keepdims=True)
            mass = np.exp(log_density - most) @ self.weights
            out.append(np.log(np.maximum(mass, 1e-300)) + most)
        return np.concatenate(out)
