"""Z: one site's hidden states for a set of examples, with what each position is.

Axes are ``n`` examples, ``t`` tokens, ``d`` hidden. Positions are right-padded; the mask
says which are real and ``roles`` says what each real one is, because the states of a
*gold* answer's tokens know Y trivially: I(Y;Z) = H(Y), by teacher forcing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor

from mi_probe.errors import InputError


class Role(IntEnum):
    """What a position holds; stored as int8."""

    PAD = 0
    PROMPT = 1
    """A token of the input X."""
    GENERATED = 2
    """A token that the model wrote itself."""
    GOLD = 3
    """A token of the right answer, fed by teacher forcing: it leaks Y."""
    VIRTUAL = 4
    """A learned position without a token (prompt tuning)."""


@dataclass(frozen=True)
class HiddenStates:
    """Z at one site: ``values[i, j]`` is the state of token j of example i.

    Indexing selects examples, so ``z[rows]`` works as it does for a tensor; NumPy arrays
    are accepted and become tensors.
    """

    values: Float[Tensor, "n t d"]
    mask: Bool[Tensor, "n t"]
    """True where a token is real."""
    token_ids: Int[Tensor, "n t"] | None = None
    roles: Int8[Tensor, "n t"] | None = None
    """A `Role` for each position; None means that every real one is a prompt token."""
    site: str = ""
    """Where the states were captured, for instance ``block.7``."""
    gold_acknowledged: bool = False
    """The caller knows that gold answer states are in here; results then say so."""

    def __post_init__(self) -> None:
        for field, dtype in (
            ("values", None),
            ("mask", torch.bool),
            ("token_ids", None),
            ("roles", torch.int8),
        ):
            given = getattr(self, field)
            if given is not None and not isinstance(given, Tensor):
                object.__setattr__(
                    self, field, torch.as_tensor(np.asarray(given), dtype=dtype)
                )
        if self.values.ndim != 3 or not self.values.is_floating_point():
            raise InputError(
                "values must be floats of shape (n, t, d); "
                f"got {self.values.dtype} of shape {tuple(self.values.shape)}."
            )
        n_by_t = self.values.shape[:2]
        for field in ("mask", "token_ids", "roles"):
            given = getattr(self, field)
            if given is not None and given.shape != n_by_t:
                raise InputError(
                    f"{field} must have the (n, t) of values, {tuple(n_by_t)}; "
                    f"got {tuple(given.shape)}."
                )
        if self.mask.dtype != torch.bool:
            object.__setattr__(self, "mask", self.mask.bool())
        if self.roles is not None and self.roles.dtype != torch.int8:
            object.__setattr__(self, "roles", self.roles.to(torch.int8))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: "slice | Sequence[int] | Tensor | np.ndarray"):
        """The chosen examples, as `HiddenStates`."""
        if not isinstance(rows, slice):
            rows = torch.as_tensor(rows)
        return replace(
            self,
            values=self.values[rows],
            mask=self.mask[rows],
            token_ids=None if self.token_ids is None else self.token_ids[rows],
            roles=None if self.roles is None else self.roles[rows],
        )

    def to(self, device: str | torch.device) -> "HiddenStates":
        """The same states on another device."""
        moved = {
            name: None if getattr(self, name) is None else getattr(self, name).to(device)
            for name in ("values", "mask", "token_ids", "roles")
        }
        return replace(self, **moved)

    @property
    def has_gold(self) -> bool:
        """True if an unmasked position holds the state of a gold answer token."""
        return self.roles is not None and bool(
            ((self.roles == Role.GOLD) & self.mask).any()
        )

    def keep(self, *roles: Role) -> "HiddenStates":
        """The same states with every position of another role masked out.

        Raises:
            InputError: if an example is left without a position.
        """
        present = (
            torch.full_like(self.mask, Role.PROMPT, dtype=torch.int8)
            if self.roles is None
            else self.roles
        )
        mask = self.mask & torch.isin(
            present, torch.tensor([int(r) for r in roles], dtype=torch.int8)
        )
        if not mask.any(1).all():
            names = ", ".join(role.name.lower() for role in roles)
            raise InputError(
                f"roles must leave each example a position; {int((~mask.any(1)).sum())} "
                f"of {len(self)} examples hold none that is {names}."
            )
        return replace(self, mask=mask)

    def acknowledge_gold(self) -> "HiddenStates":
        """The same states, with the leak of gold answer positions accepted knowingly."""
        return replace(self, gold_acknowledged=True)
