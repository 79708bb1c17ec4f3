r"""Where a critic of answers in tokens starts, and the network that reads them.

An answer is cut into blocks of neighbouring tokens, each so short that its different
values repeat; a position behind the answer's end counts as a value, so that the length is
told too. Each block is a target of many classes (`many_classes`), and

.. math:: T_0(x, y) = \sum_b w_b \log \frac{q_b(y_b | x)}{p(y_b)},

the powers w the best for telling an example's own answer from others' (InfoNCE) on rows
that the fits did not see. It is a start, not the chain rule: blocks that repeat each other
get smaller powers, and what a block says only together with another is the residual's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mi_probe.estimators.core.split import Split
from mi_probe.estimators.core.targets import Classes, TokenSequences
from mi_probe.estimators.engine.mixing import pair_powers
from mi_probe.estimators.variational.many_classes import NestedMeans, many_class_starts
from mi_probe.estimators.variational.starts import ClassStart

_BLOCKS = 4
"""Further tokens are left to the network."""
_LARGEST, _ROWS_A_VALUE = 512, 20
"""Values of a block, at most; and rows for each of them, on average."""
_PAIRED_ROWS, _PAIRED_COLUMNS = 1000, 400


@dataclass(frozen=True)
class TokenStart:
    """T_0 for one held-out fold, and the answers as the network reads them."""

    train: list[Float[np.ndarray, "n _"]]
    """Of the rows outside the fold, a block each: log q(y_b|x) - log q(y_b)."""
    test: list[Float[np.ndarray, "m _"]]
    codes_train: list[Int[np.ndarray, " n"]]
    """Each answer's value of the block."""
    codes_test: list[Int[np.ndarray, " m"]]
    ids_train: Int[np.ndarray, "n t"]
    """Token ids 0 ... n_tokens-1; -1 behind the answer."""
    ids_test: Int[np.ndarray, "m t"]
    n_tokens: int
    powers: Float[np.ndarray, " blocks"]
    chosen: dict[str, float]

    def train_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, "b k"]:
        """T_0 of training rows against training rows' answers."""
        return self._pairs(self.train, rows, self.codes_train, columns)

    def test_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, "b k"]:
        """T_0 of held-out rows against held-out answers."""
        return self._pairs(self.test, rows, self.codes_test, columns)

    def reference_pairs(
        self, rows: Int[np.ndarray, " b"], columns: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, "b k"]:
        """T_0 of held-out rows against training rows' answers."""
        return self._pairs(self.test, rows, self.codes_train, columns)

    def _pairs(
        self,
        evidence: list[np.ndarray],
        rows: np.ndarray,
        codes: list[np.ndarray],
        columns: np.ndarray,
    ) -> np.ndarray:
        total = np.zeros((len(rows), len(columns)), dtype=np.float32)
        for power, block, code in zip(self.powers, evidence, codes, strict=True):
            total += np.float32(power) * block[rows][:, code[columns]]
        return total


def token_starts(
    fits: Mapping[str, NestedMeans], y: TokenSequences, split: Split
) -> Iterator[TokenStart]:
    """T_0 for each fold in turn."""
    y = packed(y)
    blocks = blocks_of(y)
    tokens, flat = np.unique(y.ids, return_inverse=True)
    behind = int(tokens[0] == -1)
    ids = flat.reshape(y.ids.shape) - behind
    starts = [many_class_starts(fits, block, split) for block in blocks]
    for k, parts in enumerate(zip(*starts, strict=True)):
        train, test = split.rows(k), split.held_out(k)
        codes = [block.index for block in blocks]
        powers = _powers(parts, [code[train] for code in codes])
        yield TokenStart(
            [part.train for part in parts],
            [part.test for part in parts],
            [code[train] for code in codes],
            [code[test] for code in codes],
            ids[train],
            ids[test],
            len(tokens) - behind,
            powers,
            {
                f"tokens {block.names[0]}": float(power)
                for block, power in zip(blocks, powers, strict=True)
            },
        )


def packed(y: TokenSequences) -> TokenSequences:
    """Each answer's tokens moved to the front: where padding was says nothing."""
    order = np.argsort(~y.mask, axis=1, kind="stable")
    ids, mask = (np.take_along_axis(part, order, axis=1) for part in (y.ids, y.mask))
    longest = int(mask.sum(1).max())
    return TokenSequences(np.maximum(ids, 0)[:, :longest], mask[:, :longest])


def distinct_answers(y: TokenSequences) -> Classes | None:
    """Each distinct answer as a class; None where too few of them repeat for H(Y)."""
    if y.entropy is None:
        return None
    ids = packed(y).ids
    names, index = np.unique(ids, axis=0, return_inverse=True)
    texts = (" ".join(str(token) for token in name if token >= 0) for name in names)
    return Classes(index.reshape(-1), tuple(texts))


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
    parts: tuple[ClassStart, ...], codes: list[Int[np.ndarray, " n"]]
) -> Float[np.ndarray, " blocks"]:
    """The best powers for telling own answers from a sample of others'."""
    if not parts:
        return np.zeros(0)
    n = len(codes[0])
    rows = np.arange(0, n, max(1, n // _PAIRED_ROWS))
    columns = np.arange(0, n, max(1, n // _PAIRED_COLUMNS))
    return pair_powers(
        [
            np.concatenate(
                [part.train[rows, code[rows]][:, None], part.train[rows][:, code[columns]]],
                axis=1,
            )
            for part, code in zip(parts, codes, strict=True)
        ]
    )


class TokenEncoder(nn.Module):
    """Answers (n, t) of token ids, -1 behind the end, to features (n, width).

    Token and position are added; a gated recurrent network reads them in order, and its
    last state and the mean of its states count. Padding is never read.
    """

    def __init__(self, n_tokens: int, longest: int, width: int, hidden: int) -> None:
        super().__init__()
        self.token = nn.Embedding(n_tokens, hidden)
        self.position = nn.Embedding(longest, hidden)
        self.recurrent = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.GELU(), nn.Linear(hidden, width)
        )

    def forward(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b w"]:
        """The features of a batch."""
        mask = ids >= 0
        ids, mask = ids[:, : int(mask.sum(1).max())], mask[:, : int(mask.sum(1).max())]
        place = torch.arange(ids.shape[1], device=ids.device)
        tokens = self.token(ids.clamp(min=0)) + self.position(place)
        states = self.recurrent(tokens)[0]
        lengths = mask.sum(1, keepdim=True)
        last = (lengths - 1)[..., None].expand(-1, 1, states.shape[2])
        mean = (states * mask[..., None]).sum(1) / lengths
        return self.head(torch.cat([states.gather(1, last)[:, 0], mean], dim=1))
