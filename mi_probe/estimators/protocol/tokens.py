"""Y as sequences of tokens with a mask: answers such as ``['1', '3', '.', '4']``."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mi_probe.errors import InputError


# Its own __init__: what may be handed in is wider than what is then held.
@dataclass(frozen=True, init=False)
class TokenSequences:
    """Token ids of each example's answer; positions outside the mask are not read."""

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
