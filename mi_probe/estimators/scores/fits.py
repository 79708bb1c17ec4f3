"""Closed-form starts of continuous Y: every view's fits, and their stack for each fold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import logsumexp

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.engine.mixing import marginal_weight, mixed, pair_powers
from mi_probe.estimators.models.normal_scores import tied
from mi_probe.estimators.scores.canonical import CanonicalStart, NestedCanonical
from mi_probe.estimators.scores.views import FEW_COLUMNS, ScoreView, score_views

CLEAR = 0.2
"""Correlation from which a direction is no accident of the rows that it came from."""
_NESTED_ROWS, _NESTED_COLUMNS = 1000, 256
"""Nested rows that the powers are learned from, and Y of others beside each row's own."""


@dataclass(frozen=True)
class PairStack:
    r"""T of one held-out fold: starts to powers.

    .. math:: T_0(x, y) = \sum_v w_v T_v(x, y), \quad w_v \ge 0 .

    The powers are the best for telling a row's own Y from others' (InfoNCE) on nested rows:
    all training rows, each by fits that did not see it. A view that knows nothing gets the
    power 0, so that a stack of useless starts is the marginal, 0 nats; linear and ridge
    regressions of several penalties, principal and independent components add up, where
    choosing the clearly best of them would lose what the others know. The product is then
    mixed with the marginal, so that no row far out costs much.

    Reference: Heskes 1998, Selecting weighting factors in logarithmic opinion pools.
    """

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


_MOST_TRIED = 8
"""Pairs up to which each number of them is tried."""
_LEAST_GAIN = 0.005
"""Nats by which a view has to be better than a plainer one, more pairs than fewer."""


_SAMPLED_UP_TO = 1.5
"""Nats up to which a closed form is valued against samples of Y."""


class ScoreFits:
    """The views of two sides, fitted without each one and each two of the folds."""

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        y: Float[np.ndarray, "n k"],
        split: Split,
    ) -> None:
        self.split = split
        self.views = score_views(x, y, split.fold)
        self.nested = [
            list(
                NestedCanonical(
                    v.x,
                    v.y,
                    split.fold,
                    most_pairs=v.most_pairs,
                    straightened=not v.normalised,
                    degrees=v.degrees,
                ).starts()
            )
            for v in self.views
        ]
        self.small = next(
            v for v in self.views if max(v.x.shape[1], v.y.shape[1]) <= FEW_COLUMNS
        )
        self.tied = tied(x) or tied(y)

    def starts(self, k: int) -> list[tuple[ScoreView, CanonicalStart]]:
        """Each view of a fold and its start, expanded ones with the pairs they need."""
        return [
            (view, starts[k] if view.normalised else shortened(starts[k]))
            for view, starts in zip(self.views, self.nested, strict=True)
            if view.is_for(k)
        ]


@dataclass(frozen=True)
class FoldStart:
    """What one held-out fold starts from."""

    name: str
    """Of the leading view, and of its pooling where there are several."""
    view: ScoreView
    stack: PairStack
    """Of all views of all poolings."""


def stacked(fits: Mapping[str, ScoreFits], k: int) -> FoldStart:
    """The stack of all views of the given poolings of X, where fold k is held out.

    A ratio of densities that leads with more than 1.5 nats stands alone: telling an own Y
    from samples of others' would fall short.
    """
    found = [(pooling, *one) for pooling, fit in fits.items() for one in fit.starts(k)]
    starts = [start for _, _, start in found]
    pooling, view, lead = found[clearly_best(starts)]
    fit = fits[pooling]
    held = float(lead.ratio.paired(lead.x_train, lead.y_train).mean())
    if view.normalised and held > _SAMPLED_UP_TO and not fit.tied:
        stack = PairStack.alone(lead, is_density=True)
    else:
        stack = PairStack.of(starts, lead)
    name = view.name if len(fits) == 1 else f"{pooling}, {view.name}"
    return FoldStart(name, view, stack)


def shortened(start: CanonicalStart) -> CanonicalStart:
    """The start with as many leading pairs as are clearly needed on nested rows.

    Later pairs of expanded columns are functions of the first, and count them again.
    """
    count = len(start.ratio.correlations)
    starts = [_leading(start, m) for m in range(1, min(count, _MOST_TRIED + 1))]
    starts.append(start)
    return starts[clearly_best(starts)]


def _leading(start: CanonicalStart, m: int) -> CanonicalStart:
    names = ("x_train", "y_train", "x_test", "y_test", "y_reference")
    sides = {name: getattr(start, name).columns(slice(m)) for name in names}
    ratio = replace(start.ratio, correlations=start.ratio.correlations[:m])
    return replace(start, ratio=ratio, **sides)


def clearly_best(starts: list[CanonicalStart]) -> int:
    """The place of the best start on nested rows; an earlier one unless clearly so."""
    values = [nested_terms(start) for start in starts]
    best = 0
    for place in range(1, len(values)):
        gain = values[place] - values[best]
        if gain.mean() > max(_LEAST_GAIN, 2 * gain.std() / math.sqrt(len(gain))):
            best = place
    return best


def clear_pairs(start: CanonicalStart) -> list[Float[np.ndarray, "n m"]]:
    """Both sides' coordinates of the pairs that are no accident, each row's out of fold."""
    clear = start.ratio.correlations > CLEAR
    return [side.variates[:, clear] for side in (start.x_train, start.y_train)]
