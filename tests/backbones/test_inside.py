"""Sites inside blocks: where they are, where they are not, and what others call them."""

import pytest
import torch
from tiny import DECODERS, ENCODER_DECODERS, ENCODERS, FAMILIES, tiny_model
from torch import nn

from mi_probe.backbones import wrap_backbone
from mi_probe.capture import capture
from mi_probe.errors import InputError

PARALLEL = ("gptj", "gpt_neox", "phi", "falcon")
NORMED = ("opt_350m", "bert", "roberta", "distilbert", "deberta_v2", "electra", "bart")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_block_has_its_parts(family, tiny_backbone):
    backbone = tiny_backbone(family)
    kinds = {"attn_out", "mlp_out"} | (set() if family in PARALLEL else {"mid"})
    blocks = [site.name for site in backbone.sites if "block." in site.name]
    expected = {f"{block}.{kind}" for block in blocks for kind in kinds}
    expected |= {f"{block}.cross_out" for block in blocks if block.startswith("dec.")}
    assert {site.name for site in backbone.inside.sites} == expected
    normed = family in NORMED or family == "encoder_decoder"
    assert backbone.inside.normed == (set(blocks) if normed else set())
    assert {*DECODERS, *ENCODERS, *ENCODER_DECODERS} == {*FAMILIES}


@pytest.mark.parametrize("family", PARALLEL)
def test_no_stream_where_attention_and_mlp_run_side_by_side(family, tiny_backbone):
    for wanted in ("block.1.mid", "mid", "blocks.1.hook_resid_mid"):
        with pytest.raises(InputError, match=r"side by side.*no stream between"):
            tiny_backbone(family).select(wanted)


def test_a_part_alone_means_every_block(tiny_backbone):
    names = [site.name for site in tiny_backbone("llama").select("mlp_out,embed")]
    assert names == ["embed", *(f"block.{i}.mlp_out" for i in range(3))]


def test_the_order_is_that_of_the_network(tiny_backbone):
    backbone = tiny_backbone("t5")
    wanted = "dec.final_norm,dec.block.1,mlp_out,attn_out,enc.embed,mid,cross_out"
    names = [site.name for site in backbone.select(wanted)]
    assert names[:4] == [
        "enc.embed",
        *(f"enc.block.0.{kind}" for kind in ("attn_out", "mid", "mlp_out")),
    ]
    assert names[-6:] == [
        *(f"dec.block.1.{kind}" for kind in ("attn_out", "mid", "cross_out", "mlp_out")),
        "dec.block.1",
        "dec.final_norm",
    ]


@pytest.mark.parametrize(
    ("wanted", "site"),
    [
        ("blocks.2.hook_attn_out", "block.2.attn_out"),
        ("blocks.2.hook_mlp_out", "block.2.mlp_out"),
        ("blocks.2.hook_resid_mid", "block.2.mid"),
        ("blocks.2.hook_resid_pre", "block.1"),
        ("blocks.0.hook_resid_pre", "embed"),
        ("blocks.2.hook_resid_post", "block.2"),
        ("model.layers.2.self_attn", "block.2.attn_out"),
        ("model.layers[2].self_attn.output[0]", "block.2.attn_out"),
        ("model.model.layers[2].mlp.output", "block.2.mlp_out"),
        ("layers.2.post_attention_layernorm.input", "block.2.mid"),
        ("model.layers.1", "block.1"),
        ("model.layers.2", "block.2"),
        ("model.layers[2].input", "block.1"),
        ("model.embed_tokens", "embed"),
        ("model.norm", "final_norm"),
    ],
)
def test_names_of_other_tools(wanted, site, tiny_backbone):
    assert [one.name for one in tiny_backbone("llama").select([wanted])] == [site]


@pytest.mark.parametrize(
    ("family", "wanted", "site"),
    [
        ("gpt2", "transformer.h.1.attn", "block.1.attn_out"),
        ("gpt2", "transformer.h.1.mlp.c_proj", "block.1.mlp_out"),
        ("bert", "bert.encoder.layer.1.attention.output", "block.1.mid"),
        ("bert", "blocks.1.hook_normalized_resid_mid", "block.1.mid"),
        ("bert", "blocks.1.hook_attn_out", "block.1.attn_out"),
        ("llama", "base_model.model.model.layers.1.self_attn", "block.1.attn_out"),
        ("t5", "decoder.block.1.layer.1.EncDecAttention", "dec.block.1.cross_out"),
        ("gemma2", "model.layers.1.post_attention_layernorm", "block.1.attn_out"),
    ],
)
def test_paths_of_modules_of_other_families(family, wanted, site, tiny_backbone):
    assert [one.name for one in tiny_backbone(family).select([wanted])] == [site]


@pytest.mark.parametrize(
    ("family", "wanted", "said"),
    [
        # Gemma 2 has a norm of its own between its attention and the stream.
        ("gemma2", "model.layers.1.self_attn", r"post_attention_layernorm\)"),
        ("llama", "model.layers.1.self_attn.q_proj", "puts out is none"),
        ("llama", "model.layers.1.nothing", "has no module"),
        ("gpt2", "transformer.wte", "puts out is none"),  # positions are added to it
        ("bert", "blocks.1.hook_resid_mid", "hook_normalized_resid_mid"),
        ("llama", "blocks.1.hook_normalized_resid_mid", "hook_resid_mid"),
        ("llama", "blocks.1.hook_resid_pst", "Did you mean 'resid_post'"),
        ("llama", "block.3.mid", r"hidden_states indices 0.*block\.2\.attn_out"),
        ("llama", "cross_out", "no cross-attention"),
        ("bart", "blocks.1.hook_attn_out", "dec.block.0.attn_out"),
    ],
)
def test_what_is_no_site_is_refused(family, wanted, said, tiny_backbone):
    with pytest.raises(InputError, match=said):
        tiny_backbone(family).select([wanted])


def test_parts_that_do_not_add_up_are_refused(tokenizer):
    model = tiny_model("llama")

    layer = model.layers[1]

    def forward(hidden_states, **more):
        attn = layer.self_attn(layer.input_layernorm(hidden_states), **more)[0]
        middle = hidden_states + 0.5 * attn
        return middle + layer.mlp(layer.post_attention_layernorm(middle))

    layer.forward = forward
    backbone = wrap_backbone(model, tokenizer)
    assert "block.0.mid" in {site.name for site in backbone.inside.sites}
    with pytest.raises(InputError, match="no outputs of attention and MLP add up"):
        backbone.select("block.1.mid")


def test_a_first_part_that_is_no_attention_is_not_called_so(tokenizer):
    model = tiny_model("llama")

    class Filter(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix = nn.Linear(32, 32)

        def forward(self, hidden_states, **more):
            return self.mix(hidden_states), None

    layer = model.layers[0]
    layer.filter = Filter()

    def forward(hidden_states, **more):
        middle = hidden_states + layer.filter(layer.input_layernorm(hidden_states))[0]
        return middle + layer.mlp(layer.mlp_norm(middle))

    layer.mlp_norm = layer.post_attention_layernorm
    del layer.post_attention_layernorm, layer.self_attn
    layer.forward = forward
    backbone = wrap_backbone(model, tokenizer)
    with pytest.raises(InputError, match="no outputs of attention"):
        backbone.select("block.0.attn_out")
    assert [site.name for site in backbone.select("attn_out")] == [
        "block.1.attn_out",
        "block.2.attn_out",
    ]


def test_half_precision_adds_up_too(tokenizer):
    for family in ("llama", "bert", "gptj", "opt"):
        backbone = wrap_backbone(tiny_model(family).bfloat16(), tokenizer)
        assert "block.2.attn_out" in {site.name for site in backbone.inside.sites}


def test_a_notebook_reads_states_without_rows_by_row(tiny_backbone):
    backbone = tiny_backbone("opt")
    ids = torch.arange(5, 15).reshape(2, 5)
    with capture(backbone.model, "block.1,block.2.mid,block.2.attn_out") as states:
        backbone.model(ids)
    (x,), (attn,), (mid,) = (
        states[name] for name in ("block.1", "block.2.attn_out", "block.2.mid")
    )
    assert mid.shape == x.shape == (2, 5, 32)
    torch.testing.assert_close(x + attn, mid)
