r"""A stack of closed forms of continuous Y: the product of elliptical ratios.

.. math:: T_0(x, y) = \sum_v w_v T_v(x, y), \quad w_v \ge 0 .

The powers are the best for telling a row's own Y from others' (InfoNCE) on nested rows: all
training rows, each by fits that did not see it. A view that knows nothing gets the power 0,
so that a stack of useless starts is the marginal, 0 nats; linear and ridge regressions of
several penalties, principal and independent components add up, where choosing the clearly
best of them would lose what the others know. The product is then mixed with the marginal,
so that no row far out costs much.

Reference: Heskes 1998, Selecting weighting factors in logarithmic opinion pools.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import logsumexp

from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.engine.mixing import marginal_weight, mixed, pair_powers
from mi_probe.estimators.scores.canonical import CanonicalStart

CLEAR = 0.2
"""Correlation from which a direction is no accident of the rows that it came from."""
_NESTED_ROWS, _NESTED_COLUMNS = 1000, 256
"""Nested rows that the powers are learned from, and Y of others beside each row's own."""


@dataclass(frozen=True)
class PairStack:
    """T of one held-out fold: starts to powers."""

    starts: tuple[CanonicalStart, ...]
    powers: Float[np.ndarray, " s"]
    lead: CanonicalStart
    """The start that is clearly best alone."""
    marginal: float = 0.0
    """Share of the marginal in the mixture with the product, once that is normalised."""
    is_density: bool = False
    """Whether T is the lead alone, a ratio of densities that needs no samples of Y."""

    @classmethod
    def alone(cls, start: CanonicalStart, *, is_density: bool = False) -> "PairStack":
        """A single start as it is."""
        return cls((start,), np.ones(1), start, is_density=is_density)

    @classmethod
    def of(cls, starts: list[CanonicalStart], lead: CanonicalStart) -> "PairStack":
        """The starts to the powers that do best on nested rows; those of 0 left out."""
        heard = [start for start in starts if not start.ratio.silent]
        if not heard:
            return cls.alone(lead)
        n = len(lead.x_train)
        rows, columns = (
            np.arange(0, n, max(1, n // m)) for m in (_NESTED_ROWS, _NESTED_COLUMNS)
        )
        members = [
            np.column_stack(
                [
                    s.ratio.paired(s.x_train[rows], s.y_train[rows]),
                    s.ratio.pairs(s.x_train[rows], s.y_train[columns]),
                ]
            )
            for s in heard
        ]
        powers = pair_powers(members)
        product = np.tensordot(powers, np.stack(members), 1)
        gain = product[:, 0] - logsumexp(product[:, 1:], axis=1) + np.log(len(columns))
        used = np.flatnonzero(powers > 0)
        kept = tuple(heard[place] for place in used)
        return cls(kept, powers[used], lead, marginal_weight(gain))

    def mixed(self, ratio: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """A normalised log ratio, mixed with the marginal's, which is 0."""
        return mixed(ratio, self.marginal) if self.marginal else ratio

    @property
    def silent(self) -> bool:
        """Whether it says 0 nats of every pair."""
        return all(start.ratio.silent for start in self.starts)

    def train_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """T of training rows, out of fold, against training rows' Y."""
        return self._pairs("x_train", rows, "y_train", columns)

    def test_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """T of held-out rows against held-out Y."""
        return self._pairs("x_test", rows, "y_test", columns)

    def reference_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " m"]
    ) -> Float[np.ndarray, "b m"]:
        """T of held-out rows against training rows' Y."""
        return self._pairs("x_test", rows, "y_reference", columns)

    def _pairs(self, x: str, rows: np.ndarray, y: str, columns: np.ndarray) -> np.ndarray:
        total = np.zeros((len(rows), len(columns)))
        for power, start in zip(self.powers, self.starts, strict=True):
            if not start.ratio.silent:
                pairs = start.ratio.pairs(
                    getattr(start, x)[rows], getattr(start, y)[columns]
                )
                total += power * pairs
        return total


def nested_terms(start: CanonicalStart, most: int = 2000) -> Float[np.ndarray, " m"]:
    """InfoNCE terms of training rows by the start alone: what views are chosen by."""
    rows = slice(None, None, max(1, len(start.x_train) // most))
    x, y = start.x_train[rows], start.y_train[rows]
    if start.ratio.silent:
        return np.zeros(len(x))
    pairs = as_tensor(start.ratio.pairs(x, y))
    log_mean = torch.logsumexp(pairs, 1).double().numpy() - math.log(len(x))
    return pairs.diagonal().double().numpy() - log_mean
