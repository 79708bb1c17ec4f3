"""What AdaLoRA needs from the training loop: rank updates and its penalty.

PEFT asks the loop to call ``update_and_allocate`` between the backward pass and
``zero_grad``, which no Trainer does, and adds its penalty only to a ``.loss`` that its
own wrapper returns. Everything here does nothing for a model without AdaLoRA.

Reference: Zhang et al. 2023, Adaptive Budget Allocation for Parameter-Efficient
Fine-Tuning (arXiv 2303.10512).
"""

import torch
from peft.tuners.adalora import AdaLoraConfig, AdaLoraModel, SVDLinear
from torch import Tensor, nn
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from mi_probe.errors import InputError

_MEAN, _SPREAD, _KEPT = "adalora.mean.", "adalora.spread.", "adalora.kept."


def rank_update_callback() -> TrainerCallback:
    """A Trainer's callback that lowers AdaLoRA's ranks after each optimiser step."""
    return RankUpdates()


class RankUpdates(TrainerCallback):
    """Calls ``update_and_allocate`` once an optimiser step, while gradients are there.

    It may stand in every Trainer: with other methods it does nothing.
    """

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        **kwargs,
    ) -> None:
        """Raise if the adapter was made for another number of steps."""
        for tuner in _tuners(model):
            total = _config(tuner).total_step
            if total != state.max_steps:
                raise InputError(
                    "total_steps of AdaLoRA must be the optimiser steps of the training, "
                    f"{state.max_steps}; got {total}. Apply it again with that number."
                )

    def on_optimizer_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        **kwargs,
    ) -> None:
        """Update importances and ranks; the Trainer counts the step only later."""
        for tuner in _tuners(model):
            for name, weight in tuner.model.named_parameters():
                if not weight.requires_grad or "lora_" not in name:
                    continue
                # A layer that this loss did not reach; a step that fp16 skipped.
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
                weight.grad.nan_to_num_(0.0, 0.0, 0.0)
            tuner.update_and_allocate(state.global_step + 1)


def orthogonality_penalty(model: nn.Module) -> Tensor:
    """AdaLoRA's penalty, weight * mean over P and Q of ||P P^T - I||_F; 0 without it.

    Add it to a loss that is not the ``.loss`` of PEFT's wrapper, which holds it already.
    """
    total = torch.zeros((), device=_device(model))
    for tuner in _tuners(model):
        name = tuner.trainable_adapter_name
        norms = []
        for layer in tuner.model.modules():
            if isinstance(layer, SVDLinear) and name in layer.lora_A:
                for rows in (layer.lora_A[name], layer.lora_B[name].T):
                    unit = torch.eye(len(rows), device=rows.device, dtype=rows.dtype)
                    norms.append(torch.linalg.matrix_norm(rows @ rows.T - unit))
        if norms:
            total = total + _config(tuner).orth_reg_weight * torch.stack(norms).mean()
    return total


def mean_rank(model: nn.Module) -> float | None:
    """AdaLoRA's mean rank over its matrices now; None for a model without it."""
    ranks = [
        int((values != 0).sum())
        for tuner in _tuners(model)
        for layer in tuner.model.modules()
        if isinstance(layer, SVDLinear)
        for values in layer.lora_E.values()
    ]
    return sum(ranks) / len(ranks) if ranks else None


def rank_state(model: nn.Module) -> dict[str, Tensor]:
    """What AdaLoRA remembers between steps beside its weights; empty without it.

    A training that is resumed without it forgets which ranks were of use.
    """
    state = {}
    for tuner in _tuners(model):
        allocator = tuner.rankallocator
        for name, mean in allocator.exp_avg_ipt.items():
            state[f"{_MEAN}{name}"] = mean
            state[f"{_SPREAD}{name}"] = allocator.exp_avg_unc[name]
        for name, kept in (_config(tuner).rank_pattern or {}).items():
            state[f"{_KEPT}{name}"] = torch.tensor(kept)
    return {name: t.detach().cpu().clone().contiguous() for name, t in state.items()}


def split_rank_state(
    state: dict[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The entries of `rank_state` among others, and the others."""
    ours = {n: t for n, t in state.items() if n.startswith((_MEAN, _SPREAD, _KEPT))}
    return ours, {name: t for name, t in state.items() if name not in ours}


def load_rank_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Give a model's AdaLoRA back what `rank_state` took."""

    def part(prefix: str) -> dict[str, Tensor]:
        cut = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        return {name: tensor.to(_device(model)) for name, tensor in cut.items()}

    for tuner in _tuners(model):
        allocator = tuner.rankallocator
        allocator.exp_avg_ipt, allocator.exp_avg_unc = part(_MEAN), part(_SPREAD)
        # PEFT sets its means to zero where it finds no entry here.
        allocator.ipt = {n: torch.zeros_like(t) for n, t in part(_MEAN).items()}
        pattern = {name: kept.tolist() for name, kept in part(_KEPT).items()}
        _config(tuner).rank_pattern = pattern or None


def _tuners(model: nn.Module) -> list[AdaLoraModel]:
    """The AdaLoRA models in it that are being trained."""
    return [
        module
        for module in model.modules()
        if isinstance(module, AdaLoraModel) and hasattr(module, "trainable_adapter_name")
    ]


def _config(tuner: AdaLoraModel) -> AdaLoraConfig:
    config = tuner.peft_config[tuner.trainable_adapter_name]
    assert isinstance(config, AdaLoraConfig)
    return config


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
