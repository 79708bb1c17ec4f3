"""Bounds by networks that start from closed forms: `auto` where Y has no few classes.

T = T_0 + what networks add, T_0 the class means of many classes (`many_classes`), of the
blocks of an answer (`answers`), or the copula of scores and a sequence's poolings
(`scores`). The networks, their training and the value are those of `Mine`; a kind that did
not clearly beat T_0 on the watched rows is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import Classes, Scores, TokenSequences
from mi_probe.estimators.critic.training import Schedule
from mi_probe.estimators.mine.marginals import Start
from mi_probe.estimators.mine.mine import Mine
from mi_probe.estimators.starts.answers import answer_starts
from mi_probe.estimators.starts.many_classes import (
    ClassEvidence,
    NestedMeans,
    many_class_starts,
)
from mi_probe.estimators.starts.scores import score_starts
from mi_probe.hidden import HiddenStates


@dataclass(frozen=True, kw_only=True, repr=False)
class Started(Mine):
    """An estimator of I(Y;X) by networks on top of closed forms; its settings.

    Not to be trusted as the *value* of I(Y;X) where the critic must be learned from few
    rows in many dimensions: a fit of p numbers to n rows loses about p/2n nats, so the
    bound is low by that.
    """

    ends: bool = True
    # On top of what is known already, large steps lose more than they find.
    schedule: Schedule = field(
        default_factory=lambda: Schedule(max_epochs=40, patience=6, learning_rate=5e-4)
    )

    def starts(
        self,
        x: Float[np.ndarray, "n d"] | HiddenStates,
        target: Classes | Scores | TokenSequences,
        split: Split,
        level: int,
    ) -> Sequence[Start]:
        """The closed forms of this Y."""
        views = views_of(x)
        if isinstance(target, Scores):
            return list(score_starts(views, target.values, split))
        used = split.learns(level=level)
        fits = {name: NestedMeans(view, split.fold, used) for name, view in views.items()}
        if isinstance(target, TokenSequences):
            return list(answer_starts(fits, target, split))
        found = many_class_starts(fits, target, split, level)
        return [_of_classes(part, self.device) for part in found]


def _of_classes(part: ClassEvidence, device: str) -> Start:
    values = torch.from_numpy(part.values).to(device)

    def scores(rows: Tensor, columns: Tensor) -> Tensor:
        return values[rows]  # the columns are all classes

    return Start(scores, part.chosen)
