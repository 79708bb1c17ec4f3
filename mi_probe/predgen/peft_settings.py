"""How a backbone is fine-tuned: the method, its rank, and what else is trained."""

import math
from dataclasses import dataclass

from mi_probe.errors import InputError, check_known

METHODS = ("none", "lora", "adalora", "dora", "rocoft_row", "rocoft_column")


@dataclass(frozen=True)
class PeftSettings:
    """Which weights of a backbone are trained. Heads and adapters outside it always are.

    Raises:
        InputError: if a value is out of its range.
    """

    method: str = "lora"
    """``none`` (full fine-tuning), ``lora``, ``adalora``, ``dora``, ``rocoft_row`` or
    ``rocoft_column``."""
    rank: int = 8
    """Rank of the update of each matrix; for RoCoFT the number of rows or columns, for
    AdaLoRA the mean rank at the end."""
    alpha: float | None = None
    """Scale of a low-rank update, which is multiplied by alpha / rank (AdaLoRA: by
    alpha / initial rank); None for twice that rank. RoCoFT has none."""
    dropout: float = 0.0
    """Dropout on the input of a low-rank update. RoCoFT has none."""
    target_modules: tuple[str, ...] | None = None
    """Ends of the names of the layers that are adapted, such as ``q_proj``; None for all
    linear layers of the blocks. Embeddings and heads are never adapted."""
    also_train: tuple[str, ...] = ()
    """Ends of the names of modules that are trained whole and saved with the adapter:
    norms, or a head inside the model."""
    bias: bool = False
    """Train the biases of the adapted layers too, where there are any. The published
    RoCoFT does."""
    encoder_alone: bool = False
    """Change nothing in an encoder-decoder's decoder: a Predictor never runs it."""
    initial_rank: int | None = None
    """AdaLoRA: rank of every matrix at the start; None for 1.5 times `rank`."""
    warm_up: float = 0.1
    """AdaLoRA: share of the optimiser steps before ranks begin to fall."""
    settling: float = 0.3
    """AdaLoRA: share of the optimiser steps after they have fallen."""
    update_every: int = 1
    """AdaLoRA: optimiser steps between two updates of the ranks."""
    orthogonality: float = 0.5
    """AdaLoRA: weight of the penalty that keeps singular vectors orthogonal."""

    def __post_init__(self) -> None:
        check_known("peft method", self.method, METHODS)
        for name, least in (("rank", 1), ("update_every", 1)):
            if getattr(self, name) < least:
                raise InputError(
                    f"{name} must be at least {least}; got {getattr(self, name)}."
                )
        if self.alpha is not None and not (self.alpha > 0 and math.isfinite(self.alpha)):
            raise InputError(f"alpha must be above 0; got {self.alpha}.")
        for name in ("dropout", "warm_up", "settling"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{name} must lie in 0 ... 1, 1 excluded; got {getattr(self, name)}."
                )
        if self.warm_up + self.settling >= 1:
            raise InputError(
                "warm_up and settling must leave steps in which ranks fall (their sum "
                f"must be below 1); got {self.warm_up} and {self.settling}."
            )
        if not (self.orthogonality >= 0 and math.isfinite(self.orthogonality)):
            raise InputError(f"orthogonality must be at least 0; got {self.orthogonality}.")
        if self.initial_rank is not None and self.initial_rank <= self.rank:
            raise InputError(
                f"initial_rank must be above rank, {self.rank}, for ranks to fall; got "
                f"{self.initial_rank}."
            )
        if self.method.startswith("rocoft") and (self.dropout or self.alpha is not None):
            raise InputError(
                "alpha and dropout must be left out for RoCoFT, which trains rows or "
                f"columns of the weight itself; got alpha={self.alpha}, "
                f"dropout={self.dropout}."
            )

    @property
    def starting_rank(self) -> int:
        """The rank at the start: above `rank` for AdaLoRA only."""
        if self.method != "adalora":
            return self.rank
        return self.initial_rank or math.ceil(1.5 * self.rank)

    @property
    def scale(self) -> float:
        """`alpha`, or what stands for it."""
        return 2.0 * self.starting_rank if self.alpha is None else self.alpha
