"""Tiny models with random weights, one of each family, and a tokenizer, all offline.

`tiny_model("llama")` takes about 10 ms; nothing here touches the global random state.
"""

from functools import cache
from pathlib import Path

import peft
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

HIDDEN, LAYERS, HEADS, POSITIONS = 32, 3, 4, 128

_CORPUS = [
    "a charming and often affecting journey of a film",
    "unflinchingly bleak and desperate, and not at all funny",
    "the movie is pretty good but the plot is really bad",
    "Is this sentence positive or negative? Answer: yes no true false",
]
_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]


@cache
def _backend() -> str:
    # All 256 bytes are in the vocabulary, so that every text has tokens.
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.train_from_iterator(
        _CORPUS,
        trainers.BpeTrainer(
            vocab_size=384,
            special_tokens=_SPECIAL,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return backend.to_str()


def tiny_tokenizer(*, pad: bool = True) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: any text works, common words are short."""
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(_backend()),
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        cls_token="<s>",
        sep_token="</s>",
        model_max_length=POSITIONS,
        **({"pad_token": "<pad>"} if pad else {}),
    )


VOCABULARY = len(tiny_tokenizer())
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_SHAPE = {
    "vocab_size": VOCABULARY,
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 2 * HIDDEN,
    "max_position_embeddings": POSITIONS,
    **_IDS,
}
_GROUPED = {**_SHAPE, "num_key_value_heads": 2, "head_dim": HIDDEN // HEADS}
_GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": HIDDEN,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "n_positions": POSITIONS,
    **_IDS,
}
_BART = {
    "vocab_size": VOCABULARY,
    "d_model": HIDDEN,
    "encoder_layers": LAYERS,
    "decoder_layers": LAYERS - 1,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": 2 * HIDDEN,
    "decoder_ffn_dim": 2 * HIDDEN,
    "max_position_embeddings": POSITIONS,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": None,
    **_IDS,
}

# family -> (configuration class, its settings)
FAMILIES: dict[str, tuple[str, dict]] = {
    "llama": ("LlamaConfig", _GROUPED),
    "mistral": ("MistralConfig", _GROUPED),
    "qwen2": ("Qwen2Config", _GROUPED),
    "qwen3": ("Qwen3Config", _GROUPED),
    "gemma": ("GemmaConfig", _GROUPED),
    "gemma2": ("Gemma2Config", {**_GROUPED, "sliding_window": 16}),
    "gemma3": ("Gemma3TextConfig", {**_GROUPED, "sliding_window": 16}),
    "gpt2": ("GPT2Config", _GPT2),
    "gptj": ("GPTJConfig", {**_GPT2, "rotary_dim": 4}),
    "gpt_neox": ("GPTNeoXConfig", _SHAPE),
    "opt": (
        "OPTConfig",
        {**_SHAPE, "ffn_dim": 2 * HIDDEN, "word_embed_proj_dim": HIDDEN},
    ),
    "opt_350m": (
        "OPTConfig",
        {
            **_SHAPE,
            "ffn_dim": 2 * HIDDEN,
            "word_embed_proj_dim": HIDDEN // 2,
            "do_layer_norm_before": False,
        },
    ),
    "phi": ("PhiConfig", _SHAPE),
    "falcon": (
        "FalconConfig",
        {k: v for k, v in _SHAPE.items() if k != "intermediate_size"},
    ),
    "bloom": (
        "BloomConfig",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": HIDDEN,
            "n_layer": LAYERS,
            "n_head": HEADS,
            **_IDS,
        },
    ),
    "bert": ("BertConfig", _SHAPE),
    "roberta": (
        "RobertaConfig",
        {**_SHAPE, "max_position_embeddings": POSITIONS + 2},
    ),
    "distilbert": (
        "DistilBertConfig",
        {
            "vocab_size": VOCABULARY,
            "dim": HIDDEN,
            "n_layers": LAYERS,
            "n_heads": HEADS,
            "hidden_dim": 2 * HIDDEN,
            "max_position_embeddings": POSITIONS,
            "pad_token_id": 0,
        },
    ),
    "deberta_v2": (
        "DebertaV2Config",
        {
            **_SHAPE,
            "relative_attention": True,
            "position_buckets": 16,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "conv_kernel_size": 3,
            "conv_act": "gelu",
        },
    ),
    "electra": ("ElectraConfig", {**_SHAPE, "embedding_size": HIDDEN // 2}),
    "modernbert": (
        "ModernBertConfig",
        {**_SHAPE, "cls_token_id": 1, "sep_token_id": 2},
    ),
    "t5": (
        "T5Config",
        {
            "vocab_size": VOCABULARY,
            "d_model": HIDDEN,
            "d_kv": HIDDEN // HEADS,
            "d_ff": 2 * HIDDEN,
            "num_layers": LAYERS,
            "num_decoder_layers": LAYERS - 1,
            "num_heads": HEADS,
            "pad_token_id": 0,
            "eos_token_id": 2,
            "decoder_start_token_id": 0,
        },
    ),
    "bart": ("BartConfig", _BART),
    "mbart": ("MBartConfig", _BART),
    "encoder_decoder": ("EncoderDecoderConfig", {}),
}
DECODERS = (
    *("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt2"),
    *("gptj", "gpt_neox", "opt", "opt_350m", "phi", "falcon", "bloom"),
)
ENCODERS = ("bert", "roberta", "distilbert", "deberta_v2", "electra", "modernbert")
ENCODER_DECODERS = ("t5", "bart", "mbart", "encoder_decoder")


def tiny_config(family: str, **changes) -> transformers.PretrainedConfig:
    """The configuration of a family, small, with the given settings changed."""
    if family == "encoder_decoder":
        decoder = tiny_config("bert", is_decoder=True, add_cross_attention=True)
        config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(
            tiny_config("bert"), decoder
        )
        config.decoder_start_token_id, config.pad_token_id = 1, 0
        return config
    name, settings = FAMILIES[family]
    return getattr(transformers, name)(**{**settings, **changes})


def tiny_model(
    family: str, *, head: str | None = None, seed: int = 0, **changes
) -> PreTrainedModel:
    """A random model in eval mode.

    Args:
        family: a key of `FAMILIES`.
        head: None for the backbone, or what follows ``AutoModelFor``: ``CausalLM``,
            ``SequenceClassification``, ``MaskedLM``, ``Seq2SeqLM``.
        seed: of the weights.
        changes: settings of the configuration, for instance ``num_hidden_layers=2``.
    """
    auto = getattr(transformers, "AutoModel" + (f"For{head}" if head else ""))
    if family == "encoder_decoder":
        auto = transformers.AutoModelForSeq2SeqLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = auto.from_config(tiny_config(family, **changes))
        # Biases and norms start at 0 and 1, where many a mistake cannot be seen.
        for parameter in model.parameters():
            parameter.data.add_(0.1 * torch.randn_like(parameter))
        model.tie_weights()
    return model.eval()


def save_tiny(
    folder: Path | str,
    family: str = "llama",
    *,
    head: str | None = None,
    seed: int = 0,
    tokenizer: bool = True,
    **changes,
) -> Path:
    """Save a tiny model (and the tokenizer) as a local folder; returns the folder."""
    tiny_model(family, head=head, seed=seed, **changes).save_pretrained(folder)
    if tokenizer:
        tiny_tokenizer().save_pretrained(folder)
    return Path(folder)


def tiny_adapted(
    model: PreTrainedModel, config: peft.PeftConfig, *, seed: int = 0
) -> peft.PeftModel:
    """The model with a new adapter on it, in eval mode; the model itself is changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return peft.get_peft_model(model, config).eval()
