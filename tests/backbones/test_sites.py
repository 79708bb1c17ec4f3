"""Every named site against Hugging Face's own hidden_states, bit for bit."""

import peft
import pytest
import torch
from tiny import (
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    FAMILIES,
    tiny_adapted,
    tiny_config,
    tiny_model,
)
from transformers import AlbertConfig, AlbertModel, LlamaModel

from mi_probe.backbones import Backbone, wrap_backbone
from mi_probe.errors import InputError

HEADS = [
    *((family, "CausalLM") for family in DECODERS),
    *((family, "MaskedLM") for family in ENCODERS),
    ("llama", "SequenceClassification"),
    ("bert", "SequenceClassification"),
    ("t5", "Seq2SeqLM"),
    ("bart", "Seq2SeqLM"),
    ("bart", "SequenceClassification"),
]


def batch(backbone: Backbone) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    ids = torch.randint(5, 300, (2, 9), generator=draw)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    fed = {"input_ids": ids, "attention_mask": mask}
    if backbone.kind == "encoder-decoder":
        fed["decoder_input_ids"] = ids[:, :5]
    return fed


def read(backbone: Backbone, module=None, **also):
    """What hooks see at each site, and what Hugging Face returns."""
    seen: dict[str, list[torch.Tensor]] = {site.name: [] for site in backbone.sites}
    hooks = []
    for site in backbone.sites:
        keep = seen[site.name].append
        hooked = backbone.base.get_submodule(site.module)
        if site.point == "input":
            hooks.append(
                hooked.register_forward_pre_hook(
                    lambda _, args, kwargs, keep=keep: keep(
                        args[0] if args else kwargs["hidden_states"]
                    ),
                    with_kwargs=True,
                )
            )
        else:
            hooks.append(
                hooked.register_forward_hook(
                    lambda _, args, out, keep=keep: keep(
                        out if isinstance(out, torch.Tensor) else out[0]
                    )
                )
            )
    fed = {**batch(backbone), **also}
    with torch.no_grad():
        out = (module or backbone.runner)(**fed, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    return seen, {
        "": getattr(out, "hidden_states", None),
        "enc": getattr(out, "encoder_hidden_states", None),
        "dec": getattr(out, "decoder_hidden_states", None),
    }


def assert_parity(backbone: Backbone, module=None) -> None:
    seen, expected = read(backbone, module)
    for site in backbone.sites:
        (values,) = seen[site.name]  # each module ran once
        if site.index is not None:
            assert torch.equal(values, expected[site.stack][site.index]), site
    for stack in backbone.stacks:
        indices = [s.index for s in backbone.sites if s.stack == stack]
        numbered = [index for index in indices if index is not None]
        assert numbered == list(range(len(expected[stack])))


@pytest.mark.parametrize("family", FAMILIES)
def test_sites_equal_hidden_states(family, tiny_backbone):
    assert_parity(tiny_backbone(family))


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_sites_under_a_head(family, head, tokenizer):
    model = tiny_model(family, head=head)
    backbone = wrap_backbone(model, tokenizer)
    if (family, head) != ("t5", "Seq2SeqLM"):  # T5 has no module without its head
        assert backbone.base is not model
    assert_parity(backbone)
    # BART's classifier makes the decoder's input itself.
    if (family, head) != ("bart", "SequenceClassification"):
        assert_parity(backbone, model)


@pytest.mark.parametrize("family", ["llama", "deberta_v2", "bert", "bart", "opt_350m"])
def test_sites_of_a_single_block(family, tokenizer):
    one = {"num_hidden_layers": 1}
    if family == "bart":
        one = {"encoder_layers": 1, "decoder_layers": 1}
    assert_parity(wrap_backbone(tiny_model(family, **one), tokenizer))


@pytest.mark.parametrize("family", [*DECODERS, "modernbert"])
def test_last_block_is_not_the_last_hidden_state(family, tiny_backbone):
    backbone = tiny_backbone(family)
    seen, expected = read(backbone)
    names = {site.name: site for site in backbone.sites}
    assert names["block.2"].index is None
    assert names["final_norm"].index == 3
    (last,) = seen["block.2"]
    assert last.shape != expected[""][-1].shape or not torch.equal(last, expected[""][-1])


@pytest.mark.parametrize(
    ("families", "kind"),
    [
        (DECODERS, "decoder"),
        (ENCODERS, "encoder"),
        (ENCODER_DECODERS, "encoder-decoder"),
    ],
)
def test_kind_says_who_sees_what_comes_later(families, kind, tiny_backbone):
    for family in families:
        backbone = tiny_backbone(family)
        assert backbone.kind == kind, family
        if kind == "encoder-decoder":
            continue
        ids = torch.arange(10, 18)[None]
        other = ids.clone()
        other[0, -1] = 99
        with torch.no_grad():
            first, second = (
                backbone.base(input_ids=i).last_hidden_state[0, 0] for i in (ids, other)
            )
        # Exactly for the causal ones; DeBERTa's differences are small but there.
        assert torch.equal(first, second) == (kind == "decoder"), family


def test_bert_as_decoder_is_a_decoder(tokenizer):
    model = tiny_model("bert", is_decoder=True)
    assert wrap_backbone(model, tokenizer).kind == "decoder"


def test_unknown_family_is_found_by_its_depth(tokenizer):
    class Staged(LlamaModel):
        layers = property(lambda self: self.stages)

    model = tiny_model("llama")
    model.stages = model.layers
    del model.layers
    model.__class__ = Staged
    model.stages[0].layers = torch.nn.ModuleList([torch.nn.Identity()])  # a decoy
    sites = wrap_backbone(model, tokenizer).sites
    assert [site.module for site in sites] == [
        *("stages.0", "stages.1", "stages.2", "stages.2", "norm")
    ]


def test_shared_blocks_are_refused(tokenizer):
    config = AlbertConfig(
        vocab_size=400, hidden_size=32, num_attention_heads=4, embedding_size=16,
        num_hidden_layers=3, intermediate_size=32,
    )  # fmt: skip
    with pytest.raises(InputError, match="share one block"):
        wrap_backbone(AlbertModel(config), tokenizer)


def lora(**settings) -> peft.LoraConfig:
    return peft.LoraConfig(
        r=2, init_lora_weights=False, target_modules=["q_proj", "v_proj"], **settings
    )


@pytest.mark.parametrize("head", [None, "CausalLM", "SequenceClassification"])
def test_lora_sites_are_those_of_the_adapted_base(head, tokenizer):
    task = {None: None, "CausalLM": "CAUSAL_LM", "SequenceClassification": "SEQ_CLS"}
    model = tiny_adapted(tiny_model("llama", head=head), lora(task_type=task[head]))
    backbone = wrap_backbone(model, tokenizer)
    assert backbone.adapter == "LORA"
    assert type(backbone.base).__name__ == "LlamaModel"
    assert backbone.runner is backbone.base
    assert_parity(backbone)
    assert_parity(backbone, model)
    plain, _ = read(wrap_backbone(tiny_model("llama", head=head), tokenizer))
    adapted, _ = read(backbone)
    assert torch.equal(plain["embed"][0], adapted["embed"][0])
    for name in ("block.0", "block.2", "final_norm"):
        assert not torch.equal(plain[name][0], adapted[name][0])


@pytest.mark.parametrize(
    ("family", "head", "task", "virtual"),
    [
        ("llama", "CausalLM", "CAUSAL_LM", 5),
        ("bert", None, "FEATURE_EXTRACTION", 5),
        ("gpt2", "SequenceClassification", "SEQ_CLS", 5),
    ],
)
def test_prompt_tuning_lengthens_every_state(family, head, task, virtual, tokenizer):
    config = peft.PromptTuningConfig(task_type=task, num_virtual_tokens=virtual)
    model = tiny_adapted(tiny_model(family, head=head), config)
    backbone = wrap_backbone(model, tokenizer)
    assert backbone.n_virtual_tokens == virtual
    assert backbone.runner is backbone.model
    seen, _ = read(backbone)
    assert {values[0].shape[1] for values in seen.values()} == {9 + virtual}
    assert_parity(backbone)


def test_prefix_tuning_does_not(tokenizer):
    config = peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)
    model = tiny_adapted(tiny_model("llama", head="CausalLM"), config)
    backbone = wrap_backbone(model, tokenizer)
    assert backbone.n_virtual_tokens == 0
    assert backbone.runner is backbone.model
    seen, _ = read(backbone)
    assert {values[0].shape[1] for values in seen.values()} == {9}


def test_tiny_configs_have_unequal_stacks():
    # Otherwise the parity above could not tell the stacks apart.
    config = tiny_config("t5")
    assert config.num_layers != config.num_decoder_layers
