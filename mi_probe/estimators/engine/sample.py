"""The rows that members of the stack are fitted to, and what fits to one view share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int

from mi_probe.estimators.core.targets import log_prior_of
from mi_probe.estimators.models.columns import independent_axes
from mi_probe.estimators.models.directions import (
    CUBIC_CLASSES,
    CUBIC_LIMIT,
    second_order,
    third_order,
)

Predict: TypeAlias = Callable[[Int[np.ndarray, " k"]], Float[np.ndarray, "k c"]]
"""From rows to unnormalised log posteriors."""

_BOTTLENECK = 12


@dataclass
class Shared:
    """What all fits to one view share."""

    u: Float[np.ndarray, "n d"]
    y: Int[np.ndarray, " n"]
    n_classes: int
    device: str = "cpu"
    columns: Float[np.ndarray, "n k"] | None = None
    """X's own, standardised, where trees may cut them; else they cut the coordinates."""
    independent: Float[np.ndarray, " d"] | None = None
    """Variances in these coordinates of columns that are independent, of variance 1."""

    @property
    def white(self) -> Float[np.ndarray, " d"]:
        """Variances of classes that vary as all rows do."""
        return np.ones(self.u.shape[1], dtype=self.u.dtype)

    @cached_property
    def cuts(self) -> Float[np.ndarray, "n k"]:
        """Columns that trees cut: X's own, and independent axes where these are sought."""
        own = self.u if self.columns is None else self.columns
        return np.concatenate([own, independent_axes(self.u)], axis=1)

    @cached_property
    def u_tensor(self) -> torch.Tensor:
        """The coordinates where networks are trained."""
        return torch.as_tensor(self.u).to(self.device)

    @cached_property
    def y_tensor(self) -> torch.Tensor:
        """The classes where networks are trained."""
        return torch.as_tensor(self.y).to(self.device)


@dataclass
class Sample:
    """The rows that a fit may learn from."""

    shared: Shared
    rows: Int[np.ndarray, " m"]
    seed: int
    log_prior: Float[np.ndarray, " c"] = field(init=False)

    def __post_init__(self) -> None:
        self.log_prior = log_prior_of(np.bincount(self.y, minlength=self.shared.n_classes))

    @property
    def u(self) -> Float[np.ndarray, "m d"]:
        """The rows' coordinates."""
        return self.shared.u[self.rows]

    @property
    def y(self) -> Int[np.ndarray, " m"]:
        """The rows' classes."""
        return self.shared.y[self.rows]

    @cached_property
    def directions(self) -> Float[np.ndarray, "d k"]:
        """Directions that tell something, by means and covariances, best first."""
        return second_order(self.u, self.y, self.shared.n_classes)

    def told(self) -> Float[np.ndarray, "n k"]:
        """All rows in these directions; not kept, which all samples' would be."""
        return self.shared.u @ self.directions

    @cached_property
    def bottleneck(self) -> Float[np.ndarray, "d q"]:
        """Where a network's directions start."""
        d = self.u.shape[1]
        if d <= _BOTTLENECK:
            return np.eye(d, dtype=np.float32)
        chosen = self.directions[:, :_BOTTLENECK]
        if d <= CUBIC_LIMIT and self.shared.n_classes <= CUBIC_CLASSES:
            half = _BOTTLENECK // 2
            third = third_order(self.u, self.y, self.shared.n_classes, half)
            chosen = np.concatenate([self.directions[:, :half], third], axis=1)
        return chosen
