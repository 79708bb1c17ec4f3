"""Backbones for the tests of capture, one a family, and prompts of different length."""

from functools import cache

import peft
import torch

from mi_probe.backbones import Backbone, wrap_backbone
from tests.tiny import ENCODER_DECODERS, tiny_model, tiny_tokenizer

# The longest first: a batch of all of them then has the order in which extract runs it.
PROMPTS = (
    "a charming and often affecting journey of a film, not at all funny",
    "unflinchingly bleak and desperate, and good",
    "the movie is pretty good but",
    "really bad",
    "no",
)
FAMILIES = (
    *("llama", "mistral", "qwen2", "gemma", "gemma3", "gpt2", "gpt_neox", "opt"),
    *("opt_350m", "phi", "falcon", "bloom", "bert", "roberta", "deberta_v2"),
    *("modernbert", "distilbert", "t5", "bart", "lora", "prompt_tuning"),
)
VIRTUAL = 5


@cache
def tiny_backbone(family: str, **changes) -> Backbone:
    """A random model of a family, or a Llama with an adapter."""
    if family not in ("lora", "prompt_tuning"):
        head = "Seq2SeqLM" if family in ENCODER_DECODERS else None
        return wrap_backbone(
            tiny_model(family, head=head, **changes), tiny_tokenizer(), name=family
        )
    model = tiny_model("llama", head="CausalLM", **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        if family == "lora":
            config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False)
        else:
            config = peft.PromptTuningConfig(
                task_type="CAUSAL_LM", num_virtual_tokens=VIRTUAL
            )
        adapted = peft.get_peft_model(model, config)
    return wrap_backbone(adapted, tiny_tokenizer(), name=family)


def n_hooks(model: torch.nn.Module) -> int:
    """Hooks of every kind on every module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return sum(len(getattr(m, kind)) for m in model.modules() for kind in kinds)


def reference(backbone: Backbone, prompts=PROMPTS) -> dict[str, torch.Tensor]:
    """The same states by `output_hidden_states`, with Hugging Face's own positions."""
    batch = backbone.tokenizer(
        list(prompts), padding=True, return_tensors="pt", padding_side="right"
    )
    inputs = {k: batch[k] for k in ("input_ids", "attention_mask")}
    if backbone.kind == "encoder-decoder":
        start = backbone.base.config.decoder_start_token_id
        inputs["decoder_input_ids"] = torch.full((len(prompts), 1), start)
    with torch.no_grad():
        out = backbone.model(**inputs, output_hidden_states=True)
    stacks = (
        {"enc": out.encoder_hidden_states, "dec": out.decoder_hidden_states}
        if backbone.kind == "encoder-decoder"
        else {"": out.hidden_states}
    )
    virtual = backbone.n_virtual_tokens
    return {
        site.name: stacks[site.stack][site.index][:, virtual:]
        for site in backbone.sites
        if site.index is not None
    }
