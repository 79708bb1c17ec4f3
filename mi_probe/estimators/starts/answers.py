r"""Where a critic of answers in tokens starts.

An answer is cut into blocks of neighbouring tokens, each so short that its different
values repeat; a position behind the answer's end counts as a value, so that the length is
told too. Each block is a target of many classes (`many_classes`), and

.. math:: T_0(x, y) = \sum_b w_b \log \frac{q_b(y_b | x)}{p(y_b)},

the powers w the best for telling an example's own answer from others' (InfoNCE) on rows
that the fits did not see. It is a start, not the chain rule: blocks that repeat each other
get smaller powers, and what a block says only together with another is left to networks.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes, TokenSequences
from mi_probe.estimators.engine.mixing import pair_powers
from mi_probe.estimators.mine.distinct_answers import packed
from mi_probe.estimators.mine.marginals import Start
from mi_probe.estimators.starts.many_classes import NestedMeans, many_class_starts

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
