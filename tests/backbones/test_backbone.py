"""Choosing sites, and what a wrapped model is told apart by."""

import pytest
import torch
from tiny import tiny_model, tiny_tokenizer

from mi_probe.backbones import wrap_backbone
from mi_probe.errors import InputError


def names(sites) -> list[str]:
    return [site.name for site in sites]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("all", ["embed", "block.0", "block.1", "block.2", "final_norm"]),
        ("0,3", ["embed", "final_norm"]),
        ([3, 0, 3], ["embed", "final_norm"]),
        ([-1], ["final_norm"]),
        ("1, block.2", ["block.0", "block.2"]),
        (["final_norm", 1], ["block.0", "final_norm"]),
    ],
)
def test_select(wanted, expected, tiny_backbone):
    assert names(tiny_backbone("llama").select(wanted)) == expected


def test_select_in_an_encoder_without_final_norm(tiny_backbone):
    assert names(tiny_backbone("bert").select("0,3")) == ["embed", "block.2"]


@pytest.mark.parametrize("wanted", ["4", "-5", "block.3", "blok.1", "", [], "1,,2", "1.5"])
def test_select_refuses_what_is_no_site(wanted, tiny_backbone):
    with pytest.raises(InputError) as error:
        tiny_backbone("llama").select(wanted)
    message = str(error.value)
    assert "0 (embeddings) ... 3 (after the final norm)" in message
    assert "'block.2'" in message
    assert "\n" not in message


def test_select_message(tiny_backbone):
    with pytest.raises(InputError) as error:
        tiny_backbone("llama").select("31")
    assert str(error.value) == (
        "sites must be 'all', hidden_states indices 0 (embeddings) ... 3 (after the "
        "final norm) or names such as 'block.2' and 'block.2.attn_out'; got 31."
    )


def test_select_in_an_encoder_decoder_wants_names(tiny_backbone):
    backbone = tiny_backbone("t5")
    assert names(backbone.select("enc.block.1,dec.final_norm")) == [
        *("enc.block.1", "dec.final_norm")
    ]
    with pytest.raises(InputError, match="either stack; choose among enc.embed, enc.blo"):
        backbone.select("2")
    with pytest.raises(InputError, match=r"dec.block.0 ... dec.block.1, dec.final_norm"):
        backbone.select("block.1")


def test_sizes(tiny_backbone):
    assert tiny_backbone("t5").n_layers == 3
    assert tiny_backbone("t5").depth("dec") == 2
    assert tiny_backbone("encoder_decoder").hidden_size == 32
    assert tiny_backbone("llama").n_virtual_tokens == 0
    assert tiny_backbone("llama").device == torch.device("cpu")


def test_tokenizer_without_pad_gets_one_in_a_copy():
    given = tiny_tokenizer(pad=False)
    backbone = wrap_backbone(tiny_model("llama"), given)
    assert backbone.tokenizer.pad_token == "</s>"
    assert given.pad_token is None


def test_tokenizer_without_pad_and_end_is_refused():
    given = tiny_tokenizer(pad=False)
    given.eos_token = None
    with pytest.raises(InputError, match="pad token"):
        wrap_backbone(tiny_model("llama"), given)


def test_tokenizer_larger_than_the_embedding_is_refused(tokenizer):
    with pytest.raises(InputError, match=f"embeddings, 300; it has {len(tokenizer)}"):
        wrap_backbone(tiny_model("llama", vocab_size=300), tokenizer)


def test_wrap_wants_a_hugging_face_model(tokenizer):
    with pytest.raises(InputError, match="PreTrainedModel.*got Linear"):
        wrap_backbone(torch.nn.Linear(2, 2), tokenizer)


def test_name_is_made_printable(tokenizer):
    backbone = wrap_backbone(tiny_model("llama"), tokenizer, name="a\x1b[31m\nb")
    assert backbone.name == "a?[31m?b"


def test_wrapping_puts_the_model_in_eval_mode(tokenizer):
    assert not wrap_backbone(tiny_model("llama").train(), tokenizer).model.training


def test_fingerprint_tells_weights_precision_and_depth_apart(tokenizer):
    def prints(model, tokenizer=tokenizer):
        return wrap_backbone(model, tokenizer).fingerprint

    same = prints(tiny_model("llama"))
    assert prints(tiny_model("llama")) == same
    assert prints(tiny_model("llama", seed=1))["model"] != same["model"]
    assert prints(tiny_model("llama").bfloat16())["dtype"] == "bfloat16"
    assert prints(tiny_model("llama", num_hidden_layers=2))["layers"] == "2"
    assert prints(tiny_model("llama"), tiny_tokenizer(pad=False)) != same


def test_tokenizer_fingerprint_is_that_of_the_rules_not_of_the_last_call():
    used = tiny_tokenizer()
    before = wrap_backbone(tiny_model("llama"), used).fingerprint
    used(["a", "bb cc"], padding=True, truncation=True, max_length=3)
    assert wrap_backbone(tiny_model("llama"), used).fingerprint == before
