"""PEFT adapters that are proved to be there: key for key, and in the hidden states.

PEFT itself only warns when an adapter's keys do not fit, and then measures the base.
"""

import re
from pathlib import Path

import peft
import torch
import transformers
from peft import PEFT_TYPE_TO_CONFIG_MAPPING, PeftConfig, PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from mi_probe.backbones.backbone import backbone_module
from mi_probe.backbones.fit import Shapes, stored_shapes
from mi_probe.backbones.folders import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from mi_probe.backbones.modules import load_module, user_files
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.backbones.rocoft_folder import (
    ROCOFT,
    RocoftConfig,
    load_rocoft,
    read_rocoft,
)
from mi_probe.backbones.trial import embedding_rows, try_model
from mi_probe.backbones.untrusted import check_folder
from mi_probe.contents import read_json
from mi_probe.errors import InputError, check_known

_AUTO = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "FEATURE_EXTRACTION": "AutoModel",
}
# What PEFT saves of its own accord beside the adapter, for a classification task.
_HEADS = ("score", "classifier", "classification_head", "qa_outputs")
_HEAD_WEIGHT = re.compile(r"(score|classifier|out_proj|qa_outputs)\.weight$")


def read_adapter(folder: Path) -> PeftConfig | RocoftConfig:
    """An adapter's configuration: PEFT's, or that of our RoCoFT.

    Raises:
        InputError: if it cannot be read, is of a type that neither knows, names no
            base, or its weights are a pickle.
    """
    there = (folder / ADAPTER_WEIGHTS).is_file()
    check_folder(folder, _shapes(folder) if there else None)
    with user_files(ADAPTER_CONFIG, folder):
        kind = read_json(folder / ADAPTER_CONFIG).get("peft_type")
    if kind == ROCOFT:
        config = read_rocoft(folder)
    elif kind in PEFT_TYPE_TO_CONFIG_MAPPING:
        with user_files(ADAPTER_CONFIG, folder):
            config = PeftConfig.from_pretrained(str(folder))
    else:
        raise InputError(
            f"peft_type in {ADAPTER_CONFIG} must be {ROCOFT} or one that PEFT "
            f"{peft.__version__} knows, such as LORA; {str(folder)!r} has {kind!r}. Was "
            "it made by a newer PEFT, or by another library?"
        )
    if not config.base_model_name_or_path:
        raise InputError(
            f"adapter must name its base (base_model_name_or_path in {ADAPTER_CONFIG}); "
            f"{str(folder)!r} does not. Add it there."
        )
    if not there:
        pickle = (folder / "adapter_model.bin").is_file()
        came = "only adapter_model.bin, a pickle" if pickle else "none"
        raise InputError(
            f"adapter weights must be safetensors ({ADAPTER_WEIGHTS}); {str(folder)!r} "
            f"holds {came}. Save the adapter again with save_pretrained()."
        )
    return config


def load_adapter(
    folder: Path,
    config: PeftConfig | RocoftConfig,
    base_folder: Path,
    *,
    dtype: torch.dtype,
    layers: int | None = None,
    lm_head: bool = False,
    trust_remote_code: bool = False,
    untrained: bool = False,
) -> PeftModel | PreTrainedModel:
    """The base with the adapter on it, in eval mode, on the CPU.

    A PEFT adapter comes as PEFT's wrapper, RoCoFT as the model itself.

    Raises:
        InputError: if the adapter was made for another base, its keys do not fit, or
            the hidden states are the base's own and it may not be untrained.
    """
    shapes = _shapes(folder)
    model = load_module(
        base_folder,
        auto=_auto_class(config),
        dtype=dtype,
        layers=layers,
        num_labels=_labels(config, shapes),
        lm_head=lm_head,
        trust_remote_code=trust_remote_code,
    )
    before = _probe(model, model)
    if isinstance(config, RocoftConfig):
        rocoft = load_rocoft(model, config, folder, layers=layers).eval()
        if not untrained:
            _check_active(before, _probe(rocoft, rocoft), folder)
        return rocoft
    _grow_vocabulary(model, shapes)
    try:
        with user_files("adapter", folder), torch.random.fork_rng(devices=[]):
            adapted = PeftModel.from_pretrained(
                model,
                str(folder),
                config=config,
                torch_device="cpu",
                low_cpu_mem_usage=True,  # shapes are compared before memory is taken
            ).eval()
            fitting = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
    except InputError as error:
        raise InputError(f"{error} Its base is {config.base_model_name_or_path!r}.") from (
            error.__cause__
        )
    _check_keys(adapted, config, set(shapes), set(fitting), folder, layers)
    if not untrained:
        _check_active(before, _probe(adapted, model), folder)
    return adapted


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    with user_files("adapter", folder):
        return stored_shapes([folder / ADAPTER_WEIGHTS])


def _grow_vocabulary(model: PreTrainedModel, shapes: Shapes) -> None:
    """Make room for tokens added in training: PEFT then saves the whole embedding."""
    embedding = model.get_input_embeddings()
    path = next(name for name, module in model.named_modules() if module is embedding)
    shape = shapes.get(f"base_model.model.{path}.weight")
    if shape is not None and shape[0] > embedding_rows(model):
        with quiet_transformers(), torch.random.fork_rng(devices=[]):
            model.resize_token_embeddings(shape[0], mean_resizing=False)


def _auto_class(config: PeftConfig | RocoftConfig) -> str | None:
    if isinstance(config, RocoftConfig):
        return config.base_class if hasattr(transformers, config.base_class) else None
    task = getattr(config.task_type, "value", config.task_type)
    if task is not None:
        check_known("task_type of an adapter", task, _AUTO)
        return _AUTO[task]
    # Without a task PEFT writes down the class that it wrapped.
    made_of = (config.auto_mapping or {}).get("base_model_class", "")
    return made_of if hasattr(transformers, made_of) else None


def _labels(config: PeftConfig | RocoftConfig, shapes: Shapes) -> int | None:
    task = getattr(config, "task_type", None)
    task = getattr(task, "value", task)
    classifies = "Classification" in getattr(config, "base_class", "")
    if task not in ("SEQ_CLS", "TOKEN_CLS") and not classifies:
        return None
    rows = [shape[0] for key, shape in shapes.items() if _HEAD_WEIGHT.search(key)]
    return rows[-1] if rows else None


def _check_keys(
    model: PeftModel,
    config: PeftConfig,
    given: set[str],
    fitting: set[str],
    folder: Path,
    layers: int | None,
) -> None:
    heads = {*_HEADS, *(getattr(config, "modules_to_save", None) or ())}
    weights = set(model.state_dict())

    def harmless(key: str) -> bool:
        parts = key.split(".")
        cut_off = layers is not None and any(
            part.isdecimal() and int(part) >= layers for part in parts
        )
        # Whole weights of the base, such as a resized embedding, are loaded as such.
        return cut_off or key in weights or bool(heads & set(parts))

    missing = sorted(key for key in fitting - given if not heads & set(key.split(".")))
    unexpected = sorted(key for key in given - fitting if not harmless(key))
    if missing or unexpected:
        example = f"lacks {missing[0]}" if missing else f"also has {unexpected[0]}"
        raise InputError(
            f"adapter must have exactly the keys that its base and {ADAPTER_CONFIG} "
            f"call for; {str(folder)!r} lacks {len(missing)} and has {len(unexpected)} "
            f"others (it {example}). Was it made for "
            f"{config.base_model_name_or_path!r}?"
        )


def _check_active(before: list[Tensor], after: list[Tensor], folder: Path) -> None:
    # Learned prompts come first; the tokens' own positions are the last.
    pairs = [(a, b[:, -a.shape[1] :]) for a, b in zip(before, after, strict=True)]
    if all(torch.equal(a, b) for a, b in pairs):
        raise InputError(
            f"adapter must change the hidden states; with {str(folder)!r} they are the "
            "base's own. Was it saved before training (lora_B is then zero)? To "
            "measure the base, name the base."
        )


def _probe(model: nn.Module, inner: PreTrainedModel) -> list[Tensor]:
    """The last hidden states of each stack, over a few tokens."""
    base = backbone_module(inner)
    config = getattr(model, "active_peft_config", None)
    runner = model if config is not None and config.is_prompt_learning else base
    trial = try_model(base, runner)
    last = [trial.hidden[s][-1] if x is None else x for s, x in trial.last.items()]
    return [states for states in last if states is not None]
