"""Closed-form starts of continuous Y: every view's fits, and their stack for each fold."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.models.normal_scores import tied
from mi_probe.estimators.scores.canonical import CanonicalStart, NestedCanonical
from mi_probe.estimators.scores.pair_stack import (
    CLEAR,
    PairStack,
    nested_terms,
)
from mi_probe.estimators.scores.views import FEW_COLUMNS, ScoreView, score_views

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
