r"""Bounds by networks that start from closed forms: `auto` where Y has no few classes.

T = T_0 + what networks add, T_0 the class means of many classes (`many_classes`), of the
blocks of an answer, or the copula of scores and a sequence's poolings (`scores.fits`). The
networks, their training and the value are those of `Mine`; a kind that did not clearly
beat T_0 on the watched rows is left out.

An answer in tokens is cut into blocks of neighbouring tokens, each so short that its
different values repeat; a position behind the answer's end counts as a value, so that the
length is told too. Each block is a target of many classes (`many_classes`), and

.. math:: T_0(x, y) = \sum_b w_b \log \frac{q_b(y_b | x)}{p(y_b)},

the powers w the best for telling an example's own answer from others' (InfoNCE) on rows
that the fits did not see. It is a start, not the chain rule: blocks that repeat each other
get smaller powers, and what a block says only together with another is left to networks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.special import logsumexp
from torch import Tensor

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.states import views_of
from mi_probe.estimators.core.targets import (
    Classes,
    Scores,
    TokenSequences,
    as_tensor,
    packed,
)
from mi_probe.estimators.critic.training import Schedule
from mi_probe.estimators.engine.mixing import pair_powers
from mi_probe.estimators.mine.marginals import Start
from mi_probe.estimators.mine.mine import Mine
from mi_probe.estimators.models.normal_scores import varying
from mi_probe.estimators.scores.fits import FoldStart, PairStack, ScoreFits, stacked
from mi_probe.estimators.starts.many_classes import (
    ClassEvidence,
    NestedMeans,
    many_class_starts,
)
from mi_probe.hidden import HiddenStates

_BLOCKS = 4
"""Further tokens are left to the network."""
_LARGEST, _ROWS_A_VALUE = 512, 20
"""Values of a block, at most; and rows for each of them, on average."""
_PAIRED_ROWS, _PAIRED_COLUMNS = 1000, 400


def answer_starts(
    fits: Mapping[str, NestedMeans], y: TokenSequences, split: Split
) -> Iterator[Start]:
    """T_0 for each fold in turn."""
    blocks = blocks_of(packed(y))
    codes = [block.index for block in blocks]
    starts = [many_class_starts(fits, block, split) for block in blocks]
    for k in range(split.n_folds):
        parts = [next(start).values for start in starts]
        powers = _powers(parts, codes, split.rows(k))

        def scores(
            rows: Tensor,
            columns: Tensor,
            parts: list[np.ndarray] = parts,
            powers: np.ndarray = powers,
        ) -> Tensor:
            total = torch.zeros(len(rows), len(columns), device=rows.device)
            own, others = rows.cpu().numpy(), columns.cpu().numpy()
            for power, part, code in zip(powers.tolist(), parts, codes, strict=True):
                found = torch.from_numpy(part[own][:, code[others]])
                total += power * found.to(rows.device)
            return total

        named = zip(blocks, powers.tolist(), strict=True)
        yield Start(scores, {f"tokens {block.names[0]}": power for block, power in named})


def blocks_of(y: TokenSequences) -> list[Classes]:
    """Blocks of neighbouring tokens whose values repeat; the name is ``first-last``.

    A block of one position with too many values keeps the most frequent; the others are
    one value together. Positions where all answers agree belong to no block.
    """
    most = max(2, min(_LARGEST, len(y) // _ROWS_A_VALUE))
    blocks, first = [], 0
    while first < y.ids.shape[1] and len(blocks) < _BLOCKS:
        last = first
        index = _codes(y.ids[:, first : first + 1])
        while last + 1 < y.ids.shape[1]:
            longer = _codes(y.ids[:, first : last + 2])
            if longer.max() >= most:
                break
            last, index = last + 1, longer
        if index.max() >= most:
            rank = np.argsort(np.argsort(-np.bincount(index), kind="stable"))
            index = np.minimum(rank[index], most - 1)
        if index.max() > 0:
            name = f"{first}-{last}"
            blocks.append(Classes(index, (name,) * (int(index.max()) + 1)))
        first = last + 1
    return blocks


def _codes(ids: Int[np.ndarray, "n t"]) -> Int[np.ndarray, " n"]:
    return np.unique(ids, axis=0, return_inverse=True)[1].reshape(-1)


def _powers(
    parts: list[Float[np.ndarray, "n _"]],
    codes: list[Int[np.ndarray, " n"]],
    learned: Int[np.ndarray, " m"],
) -> Float[np.ndarray, " blocks"]:
    """The best powers for telling own answers from a sample of others'."""
    if not parts:
        return np.zeros(0)
    rows = learned[:: max(1, len(learned) // _PAIRED_ROWS)]
    columns = learned[:: max(1, len(learned) // _PAIRED_COLUMNS)]
    return pair_powers(
        [
            np.concatenate(
                [part[rows, code[rows]][:, None], part[rows][:, code[columns]]], axis=1
            )
            for part, code in zip(parts, codes, strict=True)
        ]
    )


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
