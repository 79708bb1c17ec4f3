"""Every text model type of the installed transformers, tiny and random: equal or refused.

Each is wrapped, a few texts of different length are captured in padded batches, and each
site with an index is compared with the model's own ``output_hidden_states`` of each text
alone, and the last one with its ``last_hidden_state``.

    python benchmarks/model_types.py docs/model-types.md    # writes the table
    python benchmarks/model_types.py --only bert mamba      # prints these
"""

import argparse
import copy
import inspect
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.models.auto import configuration_auto, modeling_auto

from mi_probe.backbones import Backbone, wrap_backbone
from mi_probe.backbones.quiet import quiet_transformers
from mi_probe.backbones.trial import states_in
from mi_probe.capture import extract
from mi_probe.errors import InputError

TOLERANCE = 1e-4
"""Relative, of a text in a padded batch from the same text alone; rounding is 1e-6."""
MOST_PARAMETERS, MOST_SECONDS = 20_000_000, 60
WORDS = 50
TEXTS = [" ".join(f"w{(i * k) % WORDS}" for i in range(k)) for k in (11, 6, 9, 3)]

_SIZES = {
    32: (
        *("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "embed_dim"),
        *("word_embed_proj_dim", "d_embed", "hidden_dim", "emb_dim", "model_dim"),
        *("rotary_dim_total", "moe_intermediate_size", "embedding_dim"),
    ),
    2: (
        *("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"),
        *("decoder_layers", "num_decoder_layers", "num_encoder_layers", "num_blocks"),
        *("num_key_value_heads", "num_experts_per_tok", "num_experts_per_token"),
        *("moe_k", "top_k_experts"),
    ),
    4: (
        *("num_attention_heads", "n_head", "n_heads", "num_heads", "rotary_dim"),
        *("encoder_attention_heads", "decoder_attention_heads", "num_experts"),
        *("num_local_experts", "n_routed_experts", "moe_num_experts"),
        *("index_n_heads", "num_expert_group"),
    ),
    8: (
        *("head_dim", "d_kv", "dim_head", "kv_channels", "v_head_dim"),
        *("qk_rope_head_dim", "qk_nope_head_dim", "global_head_dim", "index_head_dim"),
    ),
    16: ("kv_lora_rank", "q_lora_rank"),
    64: (
        *("intermediate_size", "ffn_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"),
        *("n_inner", "dff", "d_inner", "ffn_hidden_size", "dim_ff", "vocab_size"),
        *("shared_expert_intermediate_size", "expert_ffn_hidden_size"),
    ),
    128: (
        *("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx"),
        *("max_sequence_length",),
    ),
}
OUTCOMES = ("equal", "equal alone", "refused", "not built", "WRONG")
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
_PAIR = {"layer_types": ["linear_attention", "full_attention"]}
_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1}
_ROPE = {"rope_type": "default", "rope_theta": 10000.0}
OVERRIDES: dict[str, dict[str, Any]] = {
    "axk1": {"n_group": 1, "topk_group": 1},
    "bailing_hybrid": {"num_hidden_layers": 4, "layer_group_size": 2},
    "deepseek_v2": {
        **{"n_group": 1, "topk_group": 1, "num_key_value_heads": 4},
        "num_experts_per_tok": 2,
    },
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0}},
    "dots3_note": {
        "text_config": {"n_group": 1, "topk_group": 1, "num_key_value_heads": 4}
    },
    "dots3_note_text": {"n_group": 1, "topk_group": 1, "num_key_value_heads": 4},
    "hy_v4": {"n_group": 1},
    "gemma4": {
        "text_config": {"num_kv_shared_layers": 0, "vocab_size_per_layer_input": 64}
    },
    "kimi_linear": {"num_hidden_layers": 4, "num_expert_group": 1, "topk_group": 1},
    "bamba": {**_MAMBA, "attn_layer_indices": [1]},
    "gemma3n_text": {"num_kv_shared_layers": 0, "vocab_size_per_layer_input": 64},
    "gemma4_text": {"num_kv_shared_layers": 0, "vocab_size_per_layer_input": 64},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "attention"]},
    "cohere_compass_text": {
        "rope_parameters": {"full_attention": _ROPE, "sliding_attention": _ROPE}
    },
    "dots1": {
        **{"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "n_shared_experts": 1},
        **{"moe_intermediate_size": 32, "num_experts_per_tok": 2},
    },
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "ministral": {"head_dim": 8},
    "esm": {
        **{"vocab_size": 64, "mask_token_id": 63, "token_dropout": False},
        "position_embedding_type": "rotary",
    },
    "funnel": {"block_sizes": [1, 1], "num_decoder_layers": 1, "d_head": 8},
    "jamba": {
        **{"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_dt_rank": 4},
        "use_mamba_kernels": False,
    },
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "luke": {"entity_vocab_size": 8, "entity_emb_size": 32},
    "mamba2": {"num_heads": 8, "head_dim": 8, "expand": 2, "n_groups": 1},
    "neomme": {"head_dim": 16, "num_attention_heads": 2},
    "reformer": {
        **{"axial_pos_embds_dim": [16, 16], "axial_pos_shape": [8, 16]},
        **{"attn_layers": ["local", "lsh"], "attention_head_size": 8},
        **{"feed_forward_size": 64, "num_hashes": 1, "num_buckets": 2, "hash_seed": 0},
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "zamba": {"layers_block_type": ["mamba", "hybrid"]},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"]},
    "zaya": {"num_experts_per_tok": 1},
}
SMALL = {name: size for size, names in _SIZES.items() for name in names}


@dataclass(frozen=True)
class Verdict:
    """What became of one model type."""

    model_type: str
    outcome: str
    """``equal``, ``equal alone`` (at batch size 1), ``refused``, ``not built`` (no tiny
    configuration was found) or ``WRONG``."""
    sites: str = ""
    said: str = ""


def model_types() -> list[str]:
    """Those that transformers lists as reading or writing text."""
    tables = (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES,
    )
    known = {name for table in tables for name in table}
    return sorted(name for name in known if _class(name).main_input_name == "input_ids")


def _class(model_type: str) -> type[PreTrainedModel]:
    found = (
        modeling_auto.MODEL_MAPPING_NAMES.get(model_type)
        or modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(model_type)
        or modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES[model_type]
    )
    return getattr(transformers, found if isinstance(found, str) else found[0])


def tiny_configs(model_type: str) -> Iterator[Callable[[], PreTrainedConfig]]:
    """Small configurations of a type, the likeliest to run first."""
    kind = getattr(transformers, configuration_auto.CONFIG_MAPPING_NAMES[model_type])
    own = OVERRIDES.get(model_type, {})
    equal, deeper = {"num_key_value_heads": 4}, {"num_hidden_layers": 4}
    for lists in (False, True):
        for more in ({}, equal, deeper, {**equal, **deeper}, _PAIR):
            yield lambda m=more, k=lists: _tiny(kind, m, own, lists=k)


def _tiny(kind: type, more: dict[str, Any], own: dict[str, Any], *, lists: bool) -> Any:
    """A small configuration, parts of a composite one included.

    Args:
        kind: its class.
        more: entries to try, where the class has them.
        own: entries of this type, which go over all others.
        lists: cut lists of one entry a layer, which some classes do not do themselves.
    """
    default = kind()
    changes: dict[str, Any] = {k: v for k, v in more.items() if hasattr(default, k)}
    for name, value in vars(default).items():
        if isinstance(value, PreTrainedConfig):
            changes[name] = _tiny(type(value), more, own.get(name, {}), lists=lists)
        elif name in SMALL and isinstance(value, int) and not isinstance(value, bool):
            changes.setdefault(name, SMALL[name])
        elif name in IDS or (name.endswith("token_id") and isinstance(value, int)):
            changes[name] = IDS.get(name, SMALL["vocab_size"] - 1)
        elif lists and isinstance(value, list) and len(value) > 2 and "layer" in name:
            deep = more.get("num_hidden_layers", SMALL["num_hidden_layers"])
            changes.setdefault(name, value[:deep])
    parts = {name for name in changes if isinstance(changes[name], PreTrainedConfig)}
    given = {name: value for name, value in own.items() if name not in parts}
    config = kind(**{**changes, **given})
    if config.is_encoder_decoder and not hasattr(config, "decoder_start_token_id"):
        config.decoder_start_token_id = IDS["decoder_start_token_id"]
    return config


def build(kind: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedModel:
    """A random model in evaluation mode; nothing touches the global random state.

    Raises:
        ValueError: if it is not tiny.
    """
    with torch.device("meta"):
        size = sum(p.numel() for p in kind(copy.deepcopy(config)).parameters())
    if size > MOST_PARAMETERS:
        raise ValueError(f"{size} parameters")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config)
        # Biases and norms start at 0 and 1, where many a mistake cannot be seen.
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.data.add_(0.1 * torch.randn_like(parameter))
    return model.float().eval()


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word."""
    special = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3}
    words = {f"w{i}": i + len(special) for i in range(WORDS)}
    backend = Tokenizer(models.WordLevel({**special, **words}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def judge(model_type: str) -> Verdict:
    """Build it, capture, compare."""
    said = ""
    for make in tiny_configs(model_type):
        try:
            with _limited(), quiet_transformers():
                model = build(_class(model_type), make())
                alone = [_own_states(model, text) for text in TEXTS]
        except Exception as error:
            lines = " ".join(str(error).split())[:160]
            said = said or f"{type(error).__name__}: {lines}"
            continue
        with _limited(), quiet_transformers():
            return _compared(model_type, model, alone)
    return Verdict(model_type, "not built", said=said)


def _compared(model_type: str, model: PreTrainedModel, alone: list[Any]) -> Verdict:
    """The verdict on a model that runs; at batch size 1 where that is advised."""
    outcome, said = "equal", ""
    try:
        backbone = wrap_backbone(model, tokenizer())
        try:
            found = extract(backbone, TEXTS, batch_size=len(TEXTS), progress=False)
        except InputError as error:
            if "--batch-size 1" not in str(error):
                raise
            outcome, said = "equal alone", "with `--batch-size 1`, as is advised"
            found = extract(backbone, TEXTS, batch_size=1, progress=False)
    except InputError as error:
        return Verdict(model_type, "refused", said=str(error))
    except Exception as error:
        return Verdict(model_type, "WRONG", said=f"{type(error).__name__}: {error}")
    worst, at = 0.0, ""
    for site in backbone.sites:
        z = found.hidden(site.name)
        final = [s for s in backbone.sites if s.stack == site.stack][-1]
        for row, (hidden, last) in enumerate(alone):
            values = z.values[row, z.mask[row]]
            expected = [hidden[site.stack][site.index]] if site.index is not None else []
            if site is final and last[site.stack] is not None:
                expected.append(last[site.stack])
            for entry in expected:
                states = states_in(entry)  # Pegasus-X has a pair in each place
                assert states is not None
                own = states[0, : len(values)]
                off = float((values - own).norm() / own.norm().clamp(min=1e-12))
                if not off <= worst:
                    worst, at = off, site.name
    names = _spelled(backbone)
    if worst <= TOLERANCE:
        return Verdict(model_type, outcome, f"{names}; {said}" if said else names)
    return Verdict(model_type, "WRONG", names, f"{at} differs by {worst:.2g}")


def _own_states(model: PreTrainedModel, text: str) -> tuple[dict, dict]:
    """The model's own states of one text: hidden_states and the last, by stack."""
    ids = torch.tensor([tokenizer()(text)["input_ids"]])
    fed: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    two = model.config.is_encoder_decoder
    if "use_cache" in inspect.signature(model.forward).parameters:
        fed["use_cache"] = False
    if two:
        fed["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        out = model(**fed, output_hidden_states=True, return_dict=True)
    if two:
        hidden = {"enc": out.encoder_hidden_states, "dec": out.decoder_hidden_states}
        last = {
            "enc": getattr(out, "encoder_last_hidden_state", None),
            "dec": getattr(out, "last_hidden_state", None),
        }
        return hidden, last
    hidden = getattr(out, "hidden_states", None)
    return {"": hidden}, {"": getattr(out, "last_hidden_state", None)}


def _spelled(backbone: Backbone) -> str:
    """The sites that are indexed otherwise than by their place, and the last."""
    parts = []
    for stack in backbone.stacks:
        own = [site for site in backbone.sites if site.stack == stack]
        odd = [s for s in own if s.name.endswith("embed") and s.index != 0]
        parts += [f"`{s.name}` has no index" for s in odd]
        parts.append(f"`{own[-1].name}` is {own[-1].index}")
        if own[-1].filled_up:
            parts.append("padded by the model, cut back")
    return "; ".join(parts)


@contextmanager
def _limited() -> Iterator[None]:
    def stop(*_: Any) -> None:
        raise TimeoutError(f"more than {MOST_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def table(verdicts: list[Verdict]) -> str:
    """Markdown."""
    counts = {o: sum(v.outcome == o for v in verdicts) for o in OUTCOMES}
    lines = [
        "# Model types",
        "",
        f"Text model types of transformers {transformers.__version__}, tiny and of random "
        "weights, captured in padded batches and compared with their own hidden states "
        f"of each text alone: {counts['equal']} equal, {counts['equal alone']} equal where "
        f"nothing is padded and refused else, {counts['refused']} refused by name, "
        f"{counts['not built']} not tried, {counts['WRONG']} wrong. Written by "
        "`python benchmarks/model_types.py docs/model-types.md`.",
        "",
        "| model type | outcome | last site's index in `hidden_states`, or what was said |",
        "|---|---|---|",
    ]
    for v in verdicts:
        text = (v.said or v.sites).replace("|", r"\|")
        lines.append(f"| {v.model_type} | {v.outcome} | {text} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Judge them all, and write or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--only", nargs="+", default=model_types())
    told = parser.parse_args()
    torch.set_num_threads(1)
    verdicts = []
    for name in told.only:
        verdicts.append(judge(name))
        print(verdicts[-1], file=sys.stderr, flush=True)
    text = table(verdicts)
    if told.out is None:
        print(text)
    else:
        told.out.write_text(text)


if __name__ == "__main__":
    main()
