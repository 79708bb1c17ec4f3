"""Saving and merging a fine-tuned model, whatever method trained it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import PeftModel
from peft.tuners.adalora import AdaLoraConfig
from torch import nn
from transformers import PreTrainedModel

from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.backbones.rocoft import merge_rocoft
from mi_probe.backbones.rocoft_folder import (
    rocoft_config,
    set_rocoft_config,
    write_rocoft,
)
from mi_probe.errors import InputError


def save_model(model: nn.Module, folder: str | Path) -> None:
    """Write the adapter alone, or the whole model where it has none.

    Either folder is read by `load_backbone`, an adapter's by PEFT too (RoCoFT is ours
    alone). The outputs after loading are the same, bit for bit.

    Raises:
        InputError: if it is neither a Hugging Face model nor PEFT's wrapper of one.
    """
    place = Path(folder)
    if not isinstance(model, PreTrainedModel | PeftModel):
        raise InputError(
            "model must be a Hugging Face PreTrainedModel or a PeftModel around one; got "
            f"{type(model).__name__}."
        )
    with quiet_transformers():
        if isinstance(model, PeftModel):
            with _all_ranks(model):
                model.save_pretrained(str(place), save_embedding_layers=False)
        elif rocoft_config(model) is not None:
            write_rocoft(model, place)
        else:
            model.save_pretrained(str(place))


def merge_adapter(model: nn.Module) -> nn.Module:
    """The plain model with the adapter in its weights, at the base's cost.

    Where the base is shared, copy it first: it is changed.
    """
    if isinstance(model, PeftModel):
        with quiet_transformers():
            return model.merge_and_unload()
    merge_rocoft(model)
    set_rocoft_config(model, None)
    return model


@contextmanager
def _all_ranks(model: PeftModel) -> Iterator[None]:
    """Save AdaLoRA at its starting rank, with zeros where it was cut.

    PEFT would leave out what the last update of the ranks cut. Between two updates that
    has grown again; and a shorter sum may be rounded in another way.
    """
    config = model.active_peft_config
    if not isinstance(config, AdaLoraConfig):
        yield
        return
    pattern, config.rank_pattern = config.rank_pattern, None
    try:
        yield
    finally:
        config.rank_pattern = pattern
