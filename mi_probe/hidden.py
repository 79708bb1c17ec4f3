"""Z: one site's hidden states for a set of examples, with what each position is.

Axes are ``n`` examples, ``t`` tokens, ``d`` hidden. Positions are right-padded; the mask
says which are real and ``roles`` says what each real one is, because the states of a
*gold* answer's tokens know Y trivially: I(Y;Z) = H(Y), by teacher forcing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int8
from torch import Tensor

from mi_probe.errors import InputError
from mi_probe.facts import facts_html


class Role(IntEnum):
    """What a position holds; stored as int8.

    Examples:
        >>> import numpy as np
        >>> from mi_probe import HiddenStates, Role
        >>> roles = np.array([[Role.PROMPT, Role.GENERATED, Role.GOLD]])
        >>> z = HiddenStates(np.zeros((1, 3, 2)), np.ones((1, 3)), roles=roles)
        >>> z.has_gold, z.keep(Role.PROMPT, Role.GENERATED).has_gold
        (True, False)
    """

    PAD = 0
    PROMPT = 1
    """A token of the input X."""
    GENERATED = 2
    """A token that the model wrote itself."""
    GOLD = 3
    """A token of the right answer, fed by teacher forcing: it leaks Y."""
    VIRTUAL = 4
    """A learned position without a token (prompt tuning)."""


# Its own __init__: what may be handed in is wider than what is then held.
@dataclass(frozen=True, init=False, repr=False)
class HiddenStates:
    """Z at one site: ``values[i, j]`` is the state of token j of example i.

    Indexing selects examples, so ``z[rows]`` works as it does for a tensor.

    Examples:
        >>> import numpy as np
        >>> from mi_probe import HiddenStates, Role
        >>> z = HiddenStates(np.zeros((2, 3, 4)), np.array([[1, 1, 0], [1, 1, 1]]))
        >>> z
        HiddenStates(n=2, t=3, d=4, float64)
        >>> z[[1]].mask.sum().item(), z.keep(Role.PROMPT).has_gold
        (3, False)
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

    def __init__(
        self,
        # Without shapes: a wrong one is a user's mistake, which `_check` puts in words.
        values: Tensor | np.ndarray,
        mask: Tensor | np.ndarray,
        token_ids: Tensor | np.ndarray | None = None,
        roles: Tensor | np.ndarray | None = None,
        site: str = "",
        gold_acknowledged: bool = False,
    ) -> None:
        """Hold states; NumPy arrays become tensors, a mask of 0 and 1 becomes bool.

        Args:
            values: floats (n, t, d).
            mask: (n, t), true where a token is real.
            token_ids: integers (n, t).
            roles: a `Role` for each position, (n, t).
            site: where the states were captured.
            gold_acknowledged: see `acknowledge_gold`.

        Raises:
            InputError: for values that are not floats, or shapes that do not agree.
        """
        held = {
            "values": torch.as_tensor(values),
            "mask": torch.as_tensor(mask).bool(),
            "token_ids": None if token_ids is None else torch.as_tensor(token_ids),
            "roles": None if roles is None else torch.as_tensor(roles).to(torch.int8),
            "site": site,
            "gold_acknowledged": gold_acknowledged,
        }
        for name, value in held.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
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

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Examples, tokens, units; of states on the disk without reading them."""
        n, t, d = self.values.shape
        return n, t, d

    @property
    def reading_order(self) -> Int[Tensor, " n"] | None:
        """The examples as they stand on the disk; None where all are in memory."""
        return None

    @property
    def kept(self) -> dict[str, np.ndarray] | None:
        """What was made of states on the disk and lies beside them; None in memory."""
        return None

    def __getitem__(self, rows: "slice | Sequence[int] | Tensor | np.ndarray"):
        """The chosen examples, in memory."""
        if not isinstance(rows, slice):
            rows = torch.as_tensor(rows)
        return HiddenStates(self._states(rows), **self._known(rows))

    def only(self, rows: Int[np.ndarray, " m"]) -> "HiddenStates":
        """The chosen examples, which stay on the disk where they are."""
        return self[rows]

    def at(self, rows: Int[Tensor, " k"], places: Int[Tensor, " k"]):
        """The states at single positions, (k, d): of each, an example and its place."""
        device = self.values.device
        return self.values[rows.to(device), places.to(device)]

    def _states(self, rows: slice | Tensor) -> Tensor:
        return self.values[rows]

    def _known(self, rows: slice | Tensor) -> dict[str, Any]:
        """All but the states."""
        return {
            "mask": self.mask[rows],
            "token_ids": None if self.token_ids is None else self.token_ids[rows],
            "roles": None if self.roles is None else self.roles[rows],
            "site": self.site,
            "gold_acknowledged": self.gold_acknowledged,
        }

    def to(self, device: str | torch.device) -> "HiddenStates":
        """The same states on another device."""
        moved: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name).to(device)
            for name in ("values", "mask", "token_ids", "roles")
        }
        acknowledged = self.gold_acknowledged
        return HiddenStates(**moved, site=self.site, gold_acknowledged=acknowledged)

    def _with(self, **changes: Any) -> "HiddenStates":
        return replace(self, **changes)

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
        return self._with(mask=mask)

    def acknowledge_gold(self) -> "HiddenStates":
        """The same states, with the leak of gold answer positions accepted knowingly."""
        return self._with(gold_acknowledged=True)

    def __repr__(self) -> str:
        n, t, d = self.values.shape
        kind = str(self.values.dtype).removeprefix("torch.")
        where = f", {self.site}" if self.site else ""
        return f"HiddenStates(n={n}, t={t}, d={d}, {kind}{where})"

    def _repr_html_(self) -> str:
        n, t, d = self.shape
        lengths = self.mask.sum(1)
        facts = [
            ("Site", self.site or "not named"),
            ("Shape", f"{n:,} examples x {t:,} tokens x {d:,} units"),
            ("Kind", f"{self.values.dtype}, on {self.values.device}".replace("torch.", "")),
            ("Size", f"{self.values.nbytes / 1e6:,.1f} MB"),
        ]
        if n:
            words = f"{int(lengths.min()):,} to {int(lengths.max()):,} an example"
            facts.append(("Real tokens", f"{int(lengths.sum()):,}, {words}"))
        if self.roles is not None:
            counts = [(r, int(((self.roles == r) & self.mask).sum())) for r in Role]
            shown = [f"{count:,} {role.name.lower()}" for role, count in counts if count]
            facts.append(("Roles", ", ".join(shown)))
        leak = "It holds states of gold answer tokens, which know Y trivially."
        return facts_html("HiddenStates", facts, leak if self.has_gold else "")
