"""One folder of safetensors to one Hugging Face module, with nothing left random."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from mi_probe.backbones.fit import (
    Shapes,
    check_complete,
    check_places,
    check_shapes,
    stored_shapes,
)
from mi_probe.backbones.folders import CONFIG, WEIGHTS, WEIGHTS_INDEX
from mi_probe.backbones.published_rocoft import published_weights
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.backbones.sites import kind_of
from mi_probe.backbones.untrusted import check_folder, check_shards
from mi_probe.contents import read_json
from mi_probe.errors import InputError

CPU = torch.device("cpu")
_HEADLESS = ("AutoModel", "AutoModelForCausalLM", "AutoModelForSeq2SeqLM")


@contextmanager
def user_files(what: str, folder: Path) -> Iterator[None]:
    """Turn whatever a library raises over the user's files into one `InputError`.

    Damaged files make the libraries raise nearly anything (SafetensorError, KeyError,
    AttributeError ...), so only the lack of memory is let through.
    """
    try:
        with quiet_transformers():
            yield
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except BaseException as error:
        # What a library in Rust gives up over is no Exception.
        if not isinstance(error, Exception) and not panicked(error):
            raise
        if "trust_remote_code" in str(error):
            raise InputError(
                f"trust_remote_code must be on for {str(folder)!r}, which brings "
                "Python code of its own; it is off. Read that code before you turn it on."
            ) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = " ".join(lines[:2])[:300]
        if isinstance(error, ImportError):  # a quantised model, in nearly every case
            raise InputError(
                f"{what} in {str(folder)!r} must be readable by what is installed; "
                f"{said.rstrip('.')}. Install that, or save the model without quantisation."
            ) from error
        raise InputError(
            f"{what} in {str(folder)!r} must be whole and fit together; reading gave "
            f"{type(error).__name__}: {said} Copy or save it again."
        ) from error


def panicked(error: BaseException) -> bool:
    """Whether a library in Rust, such as tokenizers, met what it never expected."""
    return type(error).__name__ == "PanicException"


def weight_files(folder: Path) -> list[str]:
    """The names of a model's weight files and its configuration.

    Raises:
        InputError: if there are none, or only pickles, which can run code when read.
    """
    if (folder / WEIGHTS).is_file():
        return [CONFIG, WEIGHTS]
    if (folder / WEIGHTS_INDEX).is_file():
        with user_files("index of weights", folder):
            shards = sorted(set(read_json(folder / WEIGHTS_INDEX)["weight_map"].values()))
        check_shards(WEIGHTS_INDEX, shards, folder)
        if absent := [name for name in shards if not (folder / name).is_file()]:
            raise InputError(
                f"weights must hold every shard that {WEIGHTS_INDEX} names; "
                f"{absent[0]} is not in {str(folder)!r}. Copy the folder again."
            )
        return [CONFIG, WEIGHTS_INDEX, *shards]
    pickles = [p.name for s in ("bin", "pt", "pth", "ckpt") for p in folder.glob(f"*.{s}")]
    pickles = [name for name in pickles if name != "training_args.bin"]
    came = f"only {pickles[0]}, a pickle" if pickles else "none"
    raise InputError(
        f"weights must be safetensors ({WEIGHTS}); {str(folder)!r} holds {came}. Save "
        "the model again with save_pretrained()."
    )


def load_module(
    folder: Path,
    *,
    auto: str | None = None,
    dtype: torch.dtype | str = torch.float32,
    layers: int | None = None,
    num_labels: int | None = None,
    lm_head: bool = False,
    trust_remote_code: bool = False,
    device: torch.device | str | Mapping[str, Any] = CPU,
) -> PreTrainedModel:
    """A model from a local folder, in eval mode.

    Args:
        folder: holds the configuration and the weights.
        auto: the class in transformers that loads it; None for the one without a head.
        dtype: of the weights.
        layers: keep only so many blocks (of each stack); None for all.
        num_labels: outputs of a classification head.
        lm_head: take the class with the language model's head; it may not be random
            either.
        trust_remote_code: run Python code that the folder brings.
        device: one of torch's; or what `load_backbone` takes for several.

    Raises:
        InputError: if the files are damaged, do not fit, or leave a weight random.
    """
    names = weight_files(folder)
    files = [folder / name for name in names if name.endswith(".safetensors")]
    with user_files("weights", folder):
        shapes = stored_shapes(files)
    check_folder(folder, shapes)
    trust = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    with user_files("configuration", folder):
        changes = {} if num_labels is None else {"num_labels": num_labels}
        config = AutoConfig.from_pretrained(folder, **trust, **changes)
    with user_files("weights", folder):
        joined = published_weights(files)
        if joined is not None:
            shapes = {name: tuple(tensor.shape) for name, tensor in joined.items()}
    if layers is not None:
        _truncate(config, layers)
    alone = _one_stack(config, shapes)
    if lm_head:
        auto = _with_head(config, auto, folder)
    auto = auto or alone or _without_head(config, trust_remote_code)
    with user_files("model", folder), torch.random.fork_rng(devices=[]):
        loader: Any = getattr(transformers, auto)
        # Quantised weights are made for a device, and cannot be moved to another.
        quantised = getattr(config, "quantization_config", None) is not None
        one = isinstance(device, torch.device)
        mapped = {"": device} if one and quantised else None if one else device
        source: dict[str, Any] = {"pretrained_model_name_or_path": folder}
        empty = _on_meta(loader, config, trust_remote_code)
        check_shapes(empty, shapes, folder)
        if joined is not None:
            config.tie_word_embeddings &= "lm_head.weight" not in joined
            loader = _class_of(empty)  # an Auto class takes folders only
            source = {"pretrained_model_name_or_path": None, "state_dict": joined}
        loaded = loader.from_pretrained(
            **source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            device_map=mapped,
            output_loading_info=True,
            **trust,
        )
    model, report = loaded
    check_complete(model, report["missing_keys"], folder, lm_head=lm_head)
    unused = report["unexpected_keys"]
    check_places(model, unused, list(shapes), folder, layers=layers)
    return (moved(model, device) if one and not quantised else model).eval()


def moved(model: Any, device: torch.device) -> Any:
    """The model on another device.

    Raises:
        InputError: if that has not the memory for it.
    """
    try:
        return model.to(device)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"model must fit into the memory of {device}; it does not. Use "
            "dtype='bfloat16', fewer layers, device='auto', which takes all devices that "
            "there are, or device='cpu'."
        ) from error


def _on_meta(loader: Any, config: PreTrainedConfig, trusted: bool) -> PreTrainedModel:
    """The model without memory for its weights."""
    with torch.device("meta"):
        config = copy.deepcopy(config)  # some classes write into theirs
        if hasattr(loader, "from_config"):
            return loader.from_config(config, trust_remote_code=trusted)
        return loader(config)


def _class_of(model: PreTrainedModel) -> Any:
    return type(model)


def _one_stack(config: PreTrainedConfig, shapes: Shapes) -> str | None:
    """The class for one stack alone of an encoder-decoder, if the file holds no other."""
    from transformers.models.auto import modeling_auto as auto

    encoders: Any = auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES
    whole = auto.MODEL_MAPPING_NAMES.get(config.model_type)
    encoder = encoders.get(config.model_type)
    parts = {part for key in shapes for part in key.split(".")}
    if encoder not in (None, whole) and "encoder" in parts and "decoder" not in parts:
        config.is_encoder_decoder = False
        return encoder
    written = (config.architectures or [""])[0]
    decoder = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(config.model_type)
    two = config.model_type in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    if two and written == decoder and "encoder" not in parts:
        return decoder
    return None


def _without_head(config: PreTrainedConfig, trusted: bool) -> str:
    from transformers.models.auto import modeling_auto

    own = getattr(config, "auto_map", None) or {}
    if trusted and own:
        return next((name for name in _HEADLESS if name in own), "AutoModel")
    if config.model_type in modeling_auto.MODEL_MAPPING_NAMES:
        return "AutoModel"
    # EncoderDecoderModel has no form without the decoder's head.
    return "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModel"


def _with_head(config: PreTrainedConfig, auto: str | None, folder: Path) -> str:
    kind = kind_of(config)
    if kind == "encoder":
        raise InputError(
            f"model must be a decoder or an encoder-decoder to write an answer; that in "
            f"{str(folder)!r} is an encoder ({config.model_type}), which reads both ways."
        )
    own = "AutoModelForSeq2SeqLM" if kind == "encoder-decoder" else "AutoModelForCausalLM"
    if auto not in (None, own) and auto.startswith("AutoModelFor"):
        raise InputError(
            f"adapter must be one of a language model ({own}) to write an answer; its "
            f"task_type is that of {auto}."
        )
    return own


def _truncate(config: PreTrainedConfig, layers: int) -> None:
    parts = [config]
    if config.model_type == "encoder-decoder":
        parts = [config.encoder, config.decoder]
    elif config.get_text_config() is not config:
        parts = [config.get_text_config()]
    for part in parts:
        names = ["num_hidden_layers"]
        names += [
            name
            for name in ("encoder_layers", "decoder_layers", "num_decoder_layers")
            if getattr(part, name, None) is not None
        ]
        full = max(getattr(part, name) for name in names)
        if not 1 <= layers <= full:
            raise InputError(
                f"num_hidden_layers must lie in 1 ... {full}, the layers of the model; "
                f"got {layers}."
            )
        # Gemma and others list something for each layer, and check the lengths.
        for name, value in list(vars(part).items()):
            if isinstance(value, list) and len(value) == full and "layer" in name:
                setattr(part, name, value[:layers])
        for name in names:
            setattr(part, name, min(layers, getattr(part, name)))
