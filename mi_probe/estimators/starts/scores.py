"""Where a critic of real numbers starts: the copula's stack of all poolings of X."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import logsumexp
from torch import Tensor

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import as_tensor
from mi_probe.estimators.mine.marginals import Start
from mi_probe.estimators.models.normal_scores import varying
from mi_probe.estimators.scores.fits import FoldStart, ScoreFits, stacked
from mi_probe.estimators.scores.pair_stack import PairStack

_COLUMNS = 2048
"""Training rows whose Y normalise a critic."""


def score_starts(
    views: Mapping[str, Float[np.ndarray, "n d"]],
    y: Float[np.ndarray, "n k"],
    split: Split,
) -> Iterator[Start]:
    """T_0 for each fold in turn; none where no view varies."""
    y = varying(y)
    varied = {name: varying(view) for name, view in views.items()}
    fits = {name: ScoreFits(x, y, split) for name, x in varied.items() if x.any()}
    if not fits:  # constant states
        return
    for k in range(split.n_folds):
        yield start_of(stacked(fits, k), split, k)


def start_of(begun: FoldStart, split: Split, k: int) -> Start:
    """T_0 of one fold's stack."""
    pairs = len(begun.stack.lead.ratio.correlations)
    return Start(_FoldScores(begun.stack, split, k), {f"{begun.name}:pairs": float(pairs)})


class _FoldScores:
    """T_0 of one fold's stack: 0 where it found nothing."""

    def __init__(self, stack: PairStack, split: Split, k: int) -> None:
        self._stack, self._used = stack, not stack.silent
        self._held_out = split.fold == k
        # The stack knows all rows outside the fold, those too that are only scored.
        train, test = np.flatnonzero(split.fold != k), split.held_out(k)
        # Of every row, its place among those of its side of the split.
        self._place = np.empty(len(split), dtype=np.int64)
        self._place[train], self._place[test] = np.arange(len(train)), np.arange(len(test))
        # A product is no ratio of densities: each row's is made one on average.
        self._low = np.zeros(len(split))
        if self._used and not stack.is_density:
            columns = np.arange(0, len(train), max(1, len(train) // _COLUMNS))
            sides = ((train, stack.train_pairs), (test, stack.reference_pairs))
            for rows, pairs in sides:
                for at in np.array_split(np.arange(len(rows)), max(1, len(rows) // 512)):
                    total = np.asarray(logsumexp(pairs(at, columns), axis=1))
                    self._low[rows[at]] = total - math.log(len(columns))

    def __call__(self, rows: Tensor, columns: Tensor) -> Tensor:
        """T_0 of rows of one side of the split against those of one side."""
        if not self._used:
            return torch.zeros(len(rows), len(columns), device=rows.device)
        own, others = rows.cpu().numpy(), columns.cpu().numpy()
        pairs = self._stack.train_pairs
        if self._held_out[own[0]]:
            held = self._held_out[others[0]]
            pairs = self._stack.test_pairs if held else self._stack.reference_pairs
        found = pairs(self._place[own], self._place[others]) - self._low[own][:, None]
        return as_tensor(self._stack.mixed(found)).to(rows.device)
