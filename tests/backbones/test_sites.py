"""Every named site against Hugging Face's own hidden_states, bit for bit."""

import peft
import pytest
import torch
import transformers
from tiny import (
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    FAMILIES,
    tiny_adapted,
    tiny_config,
    tiny_model,
)
from transformers import AlbertConfig, AlbertModel, LlamaModel, PreTrainedModel

from mi_probe.backbones import Backbone, wrap_backbone
from mi_probe.capture import capture
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


# Sites are believed for what they do, not for what they are called.


def shaken(model: PreTrainedModel) -> PreTrainedModel:
    """The model with norms and biases that are not 1 and 0."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


SMALL = {
    "vocab_size": 384, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
CTRL = {
    "vocab_size": 384, "n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 64,
    "n_positions": 64, "pad_token_id": 0,
}  # fmt: skip
PEGASUS = {
    "vocab_size": 384, "d_model": 32, "encoder_layers": 2, "decoder_layers": 1,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "max_position_embeddings": 64, "attention_type": "original_full",
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
UNLISTED = {
    "Lfm2": {**SMALL, "num_key_value_heads": 2, "full_attn_idxs": [1]},
    "Esm": {
        **SMALL,
        "position_embedding_type": "rotary",
        "mask_token_id": 3,
        "token_dropout": False,
    },
    "MegatronBert": SMALL,
    "RobertaPreLayerNorm": SMALL,
    "XLMRobertaXL": SMALL,
    "CTRL": CTRL,
    "BigBirdPegasus": PEGASUS,
}


def made(name: str, settings: dict) -> PreTrainedModel:
    config = getattr(transformers, f"{name}Config")(**settings)
    with torch.random.fork_rng(devices=[]):
        return shaken(getattr(transformers, f"{name}Model")(config))


@pytest.mark.parametrize("name", UNLISTED)
def test_a_final_norm_is_found_by_what_it_does(name, tokenizer):
    backbone = wrap_backbone(made(name, UNLISTED[name]), tokenizer)
    assert backbone.sites[-1].name.endswith("final_norm")
    assert_parity(backbone)


def test_hidden_states_that_begin_behind_block_0(tokenizer):
    settings = {"vocab_size": 384, "hidden_size": 32, "num_hidden_layers": 2}
    backbone = wrap_backbone(made("Mamba", {**settings, "state_size": 4}), tokenizer)
    places = {site.name: site.index for site in backbone.sites}
    assert places == {"embed": None, "block.0": 0, "block.1": 1, "final_norm": 2}
    # block.1 before the norm is hidden_states[1] there, and not the last.
    seen, expected = read(backbone)
    for site in backbone.sites[1:]:
        assert torch.equal(seen[site.name][0], expected[""][site.index])
    assert [site.name for site in backbone.select("0,-1")] == ["block.0", "final_norm"]
    with pytest.raises(InputError, match=r"0 \(block.0\) ... 2 \(after the final norm\)"):
        backbone.select("3")


def refused(model: PreTrainedModel, tokenizer) -> str:
    with pytest.raises(InputError) as error:
        wrap_backbone(model, tokenizer)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_list_of_attentions_is_no_list_of_blocks(tokenizer):
    settings = {"vocab_size": 384, "emb_dim": 32, "n_layers": 2, "n_heads": 4}
    said = refused(made("XLM", settings), tokenizer)
    assert "(xlm) what leaves the last entry of attentions is neither" in said


def test_a_block_that_runs_twice_is_no_site(tokenizer):
    model = tiny_model("llama")
    model.layers[2] = model.layers[0]
    assert "block 0 of 3 runs 2 times" in refused(model, tokenizer)


def test_a_block_that_never_runs_is_no_site(tokenizer):
    class Deaf(LlamaModel):
        """Runs other blocks than those that it shows."""

        def forward(self, *args, **kwargs):
            shown, self.layers = self.layers, self.own
            try:
                return super().forward(*args, **kwargs)
            finally:
                self.layers = shown

    model = tiny_model("llama")
    model.own = tiny_model("llama", seed=1).layers
    model.__class__ = Deaf
    # The likeliest list fails; the one that runs is found.
    sites = wrap_backbone(model, tokenizer).sites
    assert sites[0].module == "own.0"
    model.own = torch.nn.Sequential(*model.own)
    assert "block 0 of 3 runs 0 times" in refused(model, tokenizer)


def test_only_a_learned_prompt_may_lengthen_a_sequence(tokenizer):
    class Longer(LlamaModel):
        def forward(self, input_ids=None, attention_mask=None, **kwargs):
            more = torch.cat([input_ids[:, :2], input_ids], 1)
            return super().forward(input_ids=more, **kwargs)

    model = tiny_model("llama")
    model.__class__ = Longer
    said = refused(model, tokenizer)
    assert "7 tokens a row come out as states of shape [2, 9, 32]" in said


def test_what_no_module_makes_is_read_where_the_model_ends(tokenizer):
    class Scaled(LlamaModel):
        def forward(self, *args, **kwargs):
            out = super().forward(*args, **kwargs)
            out.last_hidden_state = out.last_hidden_state * 3
            out.hidden_states = None
            return out

    model = tiny_model("llama")
    model.__class__ = Scaled
    backbone = wrap_backbone(model, tokenizer)
    last = backbone.sites[-1]
    assert (last.name, last.module, last.index) == ("final_norm", "", None)
    ids = torch.arange(5, 12)[None]
    with torch.no_grad(), capture(backbone, "final_norm") as states:
        out = model(input_ids=ids)
    assert torch.equal(states["final_norm"][0], out.last_hidden_state)


def test_a_model_that_changes_as_it_reads_is_refused(tokenizer):
    said = refused(made("BigBird", {**SMALL, "block_size": 4}), tokenizer)
    assert "(attention_type)" in said
    wrap_backbone(made("BigBird", {**SMALL, "attention_type": "original_full"}), tokenizer)


def test_a_model_that_needs_more_than_text_is_refused(tokenizer):
    class Seeing(LlamaModel):
        def forward(self, *args, **kwargs):
            raise ValueError("pixel_values are needed")

    model = tiny_model("llama")
    model.__class__ = Seeing
    said = refused(model, tokenizer)
    assert "token ids and nothing else; Seeing gave ValueError: pixel_values" in said


def test_finding_sites_leaves_the_model_as_it_was(tokenizer):
    model = tiny_model("llama", attention_dropout=0.5).train()
    before = torch.get_rng_state()
    with capture(model, "final_norm"):
        pass
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), before)
