"""Closed-form starts of continuous Y: every view's fits, and the best for each fold."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.continuous.canonical import CanonicalStart, NestedCanonical
from mi_probe.estimators.continuous.pair_critic import (
    CLEAR,
    PairRows,
    nested_terms,
)
from mi_probe.estimators.continuous.views import FEW_COLUMNS, ScoreView, score_views
from mi_probe.estimators.protocol.split import Split
from mi_probe.estimators.protocol.targets import as_tensor

_MOST_TRIED = 8
"""Pairs up to which each number of them is tried."""
_LEAST_GAIN = 0.005
"""Nats by which a view has to be better than a plainer one, more pairs than fewer."""


class ScoreFits:
    """The views of two sides, fitted without each one and each two of the folds."""

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        y: Float[np.ndarray, "n k"],
        split: Split,
    ) -> None:
        self.split = split
        self.views = score_views(x, y)
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

    def best(self, k: int) -> tuple[ScoreView, CanonicalStart]:
        """The view whose start does best on nested rows; a plainer one if in doubt."""
        starts = [
            view_starts[k] if view.normalised else shortened(view_starts[k])
            for view, view_starts in zip(self.views, self.nested, strict=True)
        ]
        place = clearly_best(starts)
        return self.views[place], starts[place]

    def rows(self, k: int, start: CanonicalStart) -> PairRows:
        """What networks read where fold k is held out."""
        train, test = self.split.rows(k), self.split.held_out(k)
        return PairRows(
            start, as_tensor(self.small.x), as_tensor(self.small.y), train, test
        )


def shortened(start: CanonicalStart) -> CanonicalStart:
    """The start with as many leading pairs as are clearly needed on nested rows.

    Later pairs of expanded columns are functions of the first, and count them again.
    """
    count = len(start.ratio.correlations)
    starts = [_leading(start, m) for m in range(1, min(count, _MOST_TRIED + 1))]
    starts.append(start)
    return starts[clearly_best(starts)]


def _leading(start: CanonicalStart, m: int) -> CanonicalStart:
    return replace(
        start,
        ratio=replace(start.ratio, correlations=start.ratio.correlations[:m]),
        x_train=start.x_train.leading(m),
        y_train=start.y_train.leading(m),
        x_test=start.x_test.leading(m),
        y_test=start.y_test.leading(m),
        y_reference=start.y_reference.leading(m),
    )


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


def best_of_poolings(
    fits: Mapping[str, ScoreFits], k: int
) -> tuple[str, ScoreView, CanonicalStart]:
    """The pooling whose best start is best, with its name."""
    found = [(name, *fit.best(k)) for name, fit in fits.items()]
    return found[clearly_best([start for _, _, start in found])]
