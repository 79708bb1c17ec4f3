"""Y as the estimators see it: classes with a ceiling H(Y), real numbers, or answers."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from mi_probe.errors import InputError


# Its own __init__: what may be handed in is wider than what is then held.
@dataclass(frozen=True, init=False)
class TokenSequences:
    """Token ids of each example's answer, such as ``['1', '3', '.', '4']``.

    Positions outside the mask are not read.
    """

    ids: Int[np.ndarray, "n m"]
    mask: Bool[np.ndarray, "n m"]

    def __init__(self, ids: "Tensor | np.ndarray", mask: "Tensor | np.ndarray") -> None:
        """Hold ids and mask as NumPy arrays; ids outside the mask become -1.

        Raises:
            InputError: for other shapes, ids that are not whole numbers of 0 or more, or
                an answer without a token.
        """
        held = np.asarray(torch.as_tensor(ids).cpu())
        real = np.asarray(torch.as_tensor(mask).cpu()).astype(bool)
        if held.ndim != 2 or held.shape != real.shape or held.dtype.kind not in "iu":
            raise InputError(
                "ids and mask must be whole numbers and truth values of one shape (n, m); "
                f"got {held.dtype} of shape {held.shape} and mask of shape {real.shape}."
            )
        if not real.any(1).all():
            raise InputError(
                f"mask must leave each answer a token; {int((~real.any(1)).sum())} of "
                f"{len(real)} have none (first: row {int(np.argmin(real.any(1)))})."
            )
        if (held[real] < 0).any():
            raise InputError(
                f"ids must be 0 or more where the mask is true; got {held[real].min()}."
            )
        object.__setattr__(self, "ids", np.where(real, held.astype(np.int64), -1))
        object.__setattr__(self, "mask", real)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def entropy(self) -> float | None:
        """H(Y) of the distinct answers, in nats; None where hardly any of them repeats.

        With few repeats the plug-in entropy is near log n, whatever H(Y) is.
        """
        _, counts = np.unique(self.ids, axis=0, return_counts=True)
        if len(counts) * 5 > len(self):
            return None
        p = counts / len(self)
        return float(-(p * np.log(p)).sum())

    def __getitem__(self, rows: "slice | np.ndarray") -> "TokenSequences":
        """The chosen examples."""
        return TokenSequences(np.maximum(self.ids[rows], 0), self.mask[rows])


Target: TypeAlias = np.ndarray | Tensor | Sequence[Any] | TokenSequences


@dataclass(frozen=True)
class Classes:
    """Discrete Y: each example's class as 0 ... c-1, in the order of the labels given."""

    index: Int[np.ndarray, " n"]
    names: tuple[str, ...]
    """The labels as they came, as text."""

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: Int[np.ndarray, " m"]) -> "Classes":
        """The chosen examples; classes that do not occur in them are left out."""
        present, index = np.unique(self.index[rows], return_inverse=True)
        return Classes(index.astype(np.int64), tuple(self.names[c] for c in present))

    @property
    def n_classes(self) -> int:
        """Number of classes that occur."""
        return len(self.names)

    @property
    def counts(self) -> Int[np.ndarray, " c"]:
        """Examples a class."""
        return np.bincount(self.index, minlength=self.n_classes)

    @property
    def log_prior(self) -> Float[np.ndarray, " c"]:
        """The log p(y) of the empirical classes."""
        return np.log(self.counts / len(self))

    def log_prior_among(self, rows: Int[np.ndarray, " m"]) -> Float[np.ndarray, " c"]:
        """The `log_prior_of` these rows."""
        return log_prior_of(np.bincount(self.index[rows], minlength=self.n_classes))

    @property
    def entropy(self) -> float:
        """H(Y) = -sum p log p of the empirical classes, in nats."""
        return float(-(np.exp(self.log_prior) * self.log_prior).sum())


@dataclass(frozen=True)
class Scores:
    """Continuous Y: one row of real numbers an example. No H(Y), so no ceiling."""

    values: Float[np.ndarray, "n k"]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Int[np.ndarray, " m"]) -> "Scores":
        """The chosen examples."""
        return Scores(self.values[rows])

    @property
    def entropy(self) -> None:
        """Differential entropy is no ceiling: None."""
        return None


def as_target(y: Target | Sequence[Any]) -> Classes | Scores | TokenSequences:
    """Read Y: whole numbers, booleans and text are classes, floats scores, ids answers.

    Args:
        y: int or text classes (n,), floats (n,) or (n, k), or answers in tokens: a list of
            ids for each example, as a tokenizer gives them, or int (n, m) with -1 behind
            the end.

    Raises:
        InputError: for another shape or kind, NaN or infinite scores, one-hot rows, a
            single class, or scores that do not vary.
    """
    if isinstance(y, TokenSequences):
        return y
    if isinstance(y, np.ma.MaskedArray):
        raise InputError(
            "y must hold a value for every example; got a masked array. Leave the masked "
            "rows out of x and y."
        )
    try:
        values = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    except ValueError:
        return _answers(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.dtype == object and all(isinstance(value, str) for value in values.flat):
        values = values.astype(str)
    text = values.dtype.kind == "U" and values.ndim == 1
    if values.ndim not in (1, 2) or not (text or values.dtype.kind in "biuf"):
        words = " Values of several types are no classes: write all as text."
        raise InputError(
            "y must be int or text classes (n,), or floats (n,) or (n, k); "
            f"got {values.dtype} of shape {values.shape}.{words * (values.dtype == object)}"
        )
    if np.issubdtype(values.dtype, np.floating):
        return _scores(values)
    if values.ndim == 2:
        _not_one_hot(values)
        return TokenSequences(values.astype(np.int64), values != -1)
    labels, index = np.unique(values, return_inverse=True)
    if len(labels) < 2:
        raise InputError(
            f"y must hold at least two classes; all {len(values)} labels are "
            f"{labels[0] if len(labels) else 'absent'}, so H(Y) = 0."
        )
    return Classes(index.astype(np.int64), tuple(str(label) for label in labels))


def _scores(values: np.ndarray) -> Scores:
    values = values.astype(np.float64).reshape(len(values), -1)
    broken = ~np.isfinite(values).all(1)
    if broken.any():
        raise InputError(
            f"y must be finite; {int(broken.sum())} of {len(values)} rows hold NaN or "
            f"infinity (first: row {int(np.argmax(broken))})."
        )
    _not_one_hot(values)
    spread = values.std(0)
    if len(values) and (spread == 0).any():
        raise InputError(
            "y must vary in every column; "
            f"column {int(np.argmin(spread))} is constant at {values[0, spread.argmin()]}."
        )
    return Scores(values)


def _answers(y: Any) -> TokenSequences:
    """Lists of token ids of different lengths."""
    ids = [np.asarray(answer) for answer in y]
    if any(
        answer.ndim != 1 or (answer.size and answer.dtype.kind not in "iu")
        for answer in ids
    ):
        raise InputError(
            "y with rows of different lengths must be answers, a list of token ids each; "
            "got other values."
        )
    mask = np.arange(max(map(len, ids))) < np.array([[len(answer)] for answer in ids])
    padded = np.full(mask.shape, -1, dtype=np.int64)
    padded[mask] = np.concatenate(ids)
    return TokenSequences(padded, mask)


def _not_one_hot(values: np.ndarray) -> None:
    binary = values.shape[1] > 1 and np.isin(values, (0, 1)).all()
    if binary and (values.sum(1) == 1).all():
        raise InputError(
            f"y must not be one-hot rows; got {values.dtype} of shape {values.shape} with "
            "a single 1 a row and else 0. Pass the classes: y.argmax(1)."
        )


_MOST_CODES, _LEAST_REPEATS = 50, 10
"""Different values of a number that is a code, at most; rows of each, on average."""


def as_codes(
    target: Classes | Scores | TokenSequences,
) -> Int[np.ndarray, " n"] | None:
    """Classes, where Y takes few values and repeats each often; None elsewhere.

    A single column of such numbers is discrete whatever its type says, and then has a
    ceiling, H(Y); so are answers in tokens, by their tokens without padding.
    """
    if isinstance(target, TokenSequences):
        if target.entropy is None:
            return None
        return np.unique(packed(target).ids, axis=0, return_inverse=True)[1].reshape(-1)
    if not isinstance(target, Scores) or target.values.shape[1] != 1:
        return None
    values, index = np.unique(target.values[:, 0], return_inverse=True)
    few = len(values) <= _MOST_CODES and len(values) * _LEAST_REPEATS <= len(target)
    return index.astype(np.int64) if few else None


def packed(y: TokenSequences) -> TokenSequences:
    """Each answer's tokens moved to the front: where padding was says nothing."""
    order = np.argsort(~y.mask, axis=1, kind="stable")
    ids, mask = (np.take_along_axis(part, order, axis=1) for part in (y.ids, y.mask))
    longest = int(mask.sum(1).max())
    return TokenSequences(np.maximum(ids, 0)[:, :longest], mask[:, :longest])


def digest_of(target: Classes | Scores | TokenSequences) -> str:
    """What is equal for the same Y of the same rows in the same order.

    Names of classes do not count, nor whether answers were taken for classes.
    """
    if isinstance(target, Scores):
        values = np.ascontiguousarray(target.values + 0.0)  # minus zero is zero
        return "scores " + hashlib.sha256(values.tobytes()).hexdigest()
    of = target.index if isinstance(target, Classes) else target.ids
    _, first, index = np.unique(of, axis=0, return_index=True, return_inverse=True)
    # Each class is the row in which it is first seen.
    rows = first[index.reshape(-1)].astype(np.int64)
    return "classes " + hashlib.sha256(rows.tobytes()).hexdigest()


def log_prior_of(counts: Real[np.ndarray, " c"]) -> Float[np.ndarray, " c"]:
    """Log shares; half a row a class keeps one without rows here possible elsewhere."""
    more = counts.astype(np.float64) + 0.5
    return np.log(more / more.sum())


def as_tensor(x: Float[np.ndarray, "..."]) -> Tensor:
    """A float32 tensor of an array."""
    return torch.as_tensor(np.ascontiguousarray(x), dtype=torch.float32)
