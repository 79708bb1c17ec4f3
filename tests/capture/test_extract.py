import gc
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import transformers

from mi_probe.backbones import Backbone, wrap_backbone
from mi_probe.capture import Sequences, capture, check_padding, extract, forecast
from mi_probe.capture.sequences import as_sequences
from mi_probe.errors import InputError
from mi_probe.hidden import Role
from mi_probe.pooling import pool
from mi_probe.tasks import Task, read_table
from tests.capture.models import PROMPTS, VIRTUAL, tiny_backbone
from tests.tiny import tiny_model, tiny_tokenizer
from tests.tiny_tokenizers import metaspace


def words(n, seed=0):
    generator = np.random.default_rng(seed)
    return ["bad " * int(k) + str(i) for i, k in enumerate(generator.integers(1, 20, n))]


def test_rows_keep_the_tasks_order():
    backbone, prompts = tiny_backbone("llama"), words(11)
    task = Task(
        name="toy",
        prompts=tuple(prompts),
        answers=("yes",) * 11,
        labels=np.zeros(11, dtype=np.int64),
        label_names=("yes",),
        target="nothing",
        ids=tuple(f"row-{i}" for i in range(11)),
    )
    found = extract(backbone, task, views=("full", "last"), batch_size=3, progress=False)
    assert found.ids == task.ids
    z = found.hidden("final_norm")
    for i, prompt in enumerate(prompts):
        ids = backbone.tokenizer(prompt)["input_ids"]
        assert z.token_ids is not None
        assert z.token_ids[i, z.mask[i]].tolist() == ids
        alone = extract(backbone, [prompt], views=("last",), progress=False)
        torch.testing.assert_close(
            found.pooled("final_norm", "last")[i], alone.pooled("final_norm", "last")[0]
        )
    assert z.roles is not None
    assert set(z.roles[z.mask].tolist()) == {int(Role.PROMPT)}


def test_shallow_sites_run_no_further():
    backbone = tiny_backbone("llama")
    ran = []
    handles = [
        block.mlp.register_forward_pre_hook(lambda *_, i=i: ran.append(i))
        for i, block in enumerate(backbone.base.layers)
    ]
    extract(backbone, ["bad"], sites="block.0", padding_check=False, progress=False)
    for handle in handles:
        handle.remove()
    assert ran == [0]


def test_lm_head_of_a_prompt_tuned_model_does_not_run(monkeypatch):
    backbone = tiny_backbone("prompt_tuning")
    head = backbone.model.get_base_model().lm_head
    monkeypatch.setattr(head, "forward", lambda *a: pytest.fail("the LM head ran"))
    found = extract(backbone, PROMPTS, progress=False)
    lengths = found.hidden("embed").mask.sum(1).tolist()
    assert lengths == [len(backbone.tokenizer(p)["input_ids"]) for p in PROMPTS]
    assert f"{VIRTUAL} virtual positions a row dropped" in found.notes


def test_lora_is_active():
    adapted, plain = tiny_backbone("lora"), tiny_backbone("llama")
    moved = extract(adapted, PROMPTS, views=("last",), progress=False)
    assert not torch.allclose(
        moved.pooled("final_norm", "last"),
        extract(plain, PROMPTS, views=("last",), progress=False).pooled(
            "final_norm", "last"
        ),
    )
    with adapted.model.disable_adapter():
        without = extract(adapted, PROMPTS, views=("last",), progress=False)
    assert not torch.allclose(
        moved.pooled("final_norm", "last"), without.pooled("final_norm", "last")
    )


def test_modes_are_restored():
    model = tiny_model("llama", attention_dropout=0.5)
    backbone = wrap_backbone(model, tiny_tokenizer())
    model.train()
    model.norm.eval()
    before = [m.training for m in model.modules()]
    one = extract(backbone, PROMPTS, views=("mean",), progress=False)
    assert [m.training for m in model.modules()] == before
    two = extract(backbone, PROMPTS, views=("mean",), progress=False)
    assert torch.equal(one.pooled("block.1", "mean"), two.pooled("block.1", "mean"))
    with pytest.raises(InputError):
        extract(backbone, ["good", ""], progress=False)
    assert [m.training for m in model.modules()] == before


def test_states_can_be_trained_on():
    found = extract(tiny_backbone("gpt2"), PROMPTS, views=("full", "max"), progress=False)
    for x in (found.hidden("block.1").values, found.pooled("block.1", "max")):
        assert not x.is_inference()
        layer = torch.nn.Linear(x.shape[-1], 1)
        layer(x).sum().backward()
        assert layer.weight.grad is not None


def test_truncation_is_counted():
    backbone = tiny_backbone("llama")
    found = extract(backbone, ["bad " * 40, "no"], max_tokens=8, progress=False)
    assert found.notes == ("1 of 2 texts cut to 8 tokens: their middle is left out",)
    assert found.hidden("embed").mask.sum(1).max() == 8
    # The tokenizer's and the model's own limit, 128, holds too.
    found = extract(backbone, ["bad " * 400], views=("mean",), progress=False)
    assert found.notes[0].startswith("1 of 1 texts cut to 128 tokens")
    tuned = tiny_backbone("prompt_tuning")
    found = extract(tuned, ["bad " * 400], views=("mean",), progress=False)
    assert found.notes[0].startswith(f"1 of 1 texts cut to {128 - VIRTUAL} tokens")


@pytest.mark.parametrize("family", ["llama", "bert"])
@pytest.mark.parametrize("limit", [1, 8, 9])
def test_a_long_prompt_keeps_the_words_that_ask_for_the_answer(family, limit):
    backbone = tiny_backbone(family)
    prompt = "the film " + "bad " * 40 + "funny:"
    [whole] = as_sequences(backbone, [prompt], max_tokens=99).input_ids
    [cut] = as_sequences(backbone, [prompt], max_tokens=limit).input_ids
    head = limit // 2
    assert list(cut) == [*whole[:head], *whole[head - limit :]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"views": ("mode",)}, "got 'mode'"),
        ({"views": ()}, "got none"),
        ({"batch_size": 0}, "got 0"),
        ({"max_tokens": 0}, "max_tokens must be at least 1; got 0"),
        ({"sites": "block.9"}, "block.9"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(InputError, match=message):
        extract(tiny_backbone("llama"), PROMPTS, progress=False, **settings)


def test_wrong_rows():
    backbone = tiny_backbone("llama")
    with pytest.raises(InputError, match="2 rows are empty: '1', '3'"):
        extract(backbone, ["good", "", "bad", ""], progress=False)
    with pytest.raises(InputError, match="at least one row"):
        extract(backbone, [], progress=False)
    with pytest.raises(InputError, match="for instance 'a'"):
        Sequences(ids=("a", "a"), input_ids=[[1], [2]])
    with pytest.raises(InputError, match="1 rows are longer: 'a'"):
        extract(backbone, Sequences(ids=("a",), input_ids=[[5] * 200]), progress=False)


def test_wrong_site_or_view_of_the_result():
    found = extract(
        tiny_backbone("llama"), PROMPTS, sites="embed", views=("mean",), progress=False
    )
    with pytest.raises(InputError, match="embed; got 'block.0'"):
        found.hidden("block.0")
    with pytest.raises(InputError, match="mean; got 'full'"):
        found.hidden("embed")
    with pytest.raises(InputError, match="mean; got 'max'"):
        found.pooled("embed", "max")


def test_roles_are_kept_and_gold_is_never_pooled():
    backbone = tiny_backbone("llama")
    prompt, gold = int(Role.PROMPT), int(Role.GOLD)
    data = Sequences(
        ids=("a", "b"),
        input_ids=[[5, 6, 7, 8], [9, 10]],
        roles=[[prompt, prompt, gold, gold], [prompt, gold]],
    )
    found = extract(backbone, data, views=("full", "mean", "last"), progress=False)
    z = found.hidden("block.1")
    assert z.has_gold
    assert z.roles is not None
    assert z.roles.tolist() == [[prompt, prompt, gold, gold], [prompt, gold, 0, 0]]
    # In a causal model the prompt's states do not know what follows.
    cut = Sequences(ids=("a", "b"), input_ids=[[5, 6], [9]])
    without = extract(backbone, cut, views=("mean", "last"), progress=False)
    for view in ("mean", "last"):
        expected = without.pooled("block.1", view)
        torch.testing.assert_close(found.pooled("block.1", view), expected)
    computed = extract(backbone, data, progress=False)
    torch.testing.assert_close(
        computed.pooled("block.1", "mean"), found.pooled("block.1", "mean")
    )
    with pytest.raises(InputError, match="a gold answer's token"):
        extract(backbone, data, views=("head",), progress=False)


@pytest.mark.parametrize("store", [False, True])
def test_only_the_kept_roles_are_captured(store, tmp_path):
    backbone = tiny_backbone("llama")
    prompt, generated = int(Role.PROMPT), int(Role.GENERATED)
    read: dict = {
        "ids": ("a", "b"),
        "input_ids": [[5, 6, 7, 8], [9, 10]],
        "roles": [[prompt, prompt, generated, generated], [prompt, generated]],
    }
    views = ("full", "mean", "last", "first")
    how = {"views": views, "progress": False, "padding_check": False}
    whole = extract(backbone, Sequences(**read), **how)
    kept = Sequences(**read, kept=(Role.GENERATED,))
    folder = {"store": tmp_path / "store"} if store else {}
    found = extract(backbone, kept, **how, **folder)
    assert found.fingerprint["data.kept"] != whole.fingerprint.get("data.kept")
    z = found.hidden("block.1")
    assert z.roles is not None
    assert z.token_ids is not None
    assert z.roles.tolist() == [[generated, generated], [generated, 0]]
    assert z.token_ids.tolist() == [[7, 8], [10, 0]]
    # They were read after the prompt, and are what they are there.
    expected = whole.hidden("block.1").keep(Role.GENERATED)
    torch.testing.assert_close(z.values[0], expected.values[0, 2:])
    torch.testing.assert_close(z.values[1, :1], expected.values[1, 1:2])
    for view in ("mean", "last", "first"):
        torch.testing.assert_close(found.pooled("block.1", view), pool(expected, view))
    with pytest.raises(InputError, match="view 'head' must find the prompt"):
        extract(backbone, kept, views=("head",), progress=False)
    none = Sequences(ids=("a",), input_ids=[[5, 6]], kept=(Role.GENERATED,))
    with pytest.raises(InputError, match="1 of 1 rows have none"):
        extract(backbone, none, progress=False)


def test_decoder_of_an_encoder_decoder():
    backbone = tiny_backbone("t5")
    start = extract(backbone, PROMPTS, progress=False)
    z = start.hidden("dec.block.0")
    assert z.values.shape[1] == 1
    assert z.token_ids is not None
    assert z.token_ids.unique().tolist() == [backbone.base.config.decoder_start_token_id]
    with pytest.raises(InputError, match="did not read the prompt"):
        start.pooled("dec.block.0", "head")
    answers = Sequences(
        ids=("a",),
        input_ids=[[5, 6]],
        decoder_ids=[[0, 7, 8]],
        decoder_roles=[[int(Role.PROMPT)] + [int(Role.GENERATED)] * 2],
    )
    z = extract(backbone, answers, progress=False).hidden("dec.block.0")
    assert z.roles is not None
    assert z.roles.tolist() == [[1, 2, 2]]
    kept = replace(answers, kept=(Role.GENERATED,))
    found = extract(backbone, kept, sites="dec.block.0", progress=False)
    assert found.hidden("dec.block.0").values.shape[1] == 2
    with pytest.raises(InputError, match="in stack 'enc' 1 of 1 rows have none"):
        extract(backbone, kept, sites="enc.block.0", progress=False)


def test_nan_names_site_and_rows():
    model = tiny_model("llama")
    backbone = wrap_backbone(model, tiny_tokenizer())
    bad = backbone.tokenizer("Z")["input_ids"][0]
    with torch.no_grad():
        model.embed_tokens.weight[bad] = torch.nan
    with pytest.raises(InputError, match=r"'embed' .* rows '1' \(and at 4 more"):
        extract(backbone, ["good", "a Z", "bad"], views=("last",), progress=False)


def test_half_precision():
    model = tiny_model("llama").to(torch.bfloat16)
    backbone = wrap_backbone(model, tiny_tokenizer())
    found = extract(backbone, PROMPTS, progress=False)
    assert found.hidden("block.1").values.dtype == torch.bfloat16
    assert found.pooled("block.1", "mean").dtype == torch.float32


def test_a_state_that_float16_cannot_hold_is_named():
    model = tiny_model("llama")
    with torch.no_grad():
        for part in ("gate_proj", "up_proj", "down_proj"):
            weight = model.get_parameter(f"layers.1.mlp.{part}.weight")
            weight.fill_(1e3 if part == "down_proj" else 1.0)
    told = {"views": ("mean",), "sites": "block.0,block.1", "progress": False}
    found = extract(wrap_backbone(model.bfloat16(), tiny_tokenizer()), PROMPTS, **told)
    assert float(found.pooled("block.1", "mean").abs().max()) > torch.finfo(torch.half).max
    with pytest.raises(InputError, match=r"at site 'block.1'.* half precision overflowed"):
        extract(wrap_backbone(model.half(), tiny_tokenizer()), PROMPTS, **told)


def test_self_check_sees_wrong_positions(monkeypatch):
    """GPT-2 with positions counted from 1: silently other states, without the check."""
    backbone = tiny_backbone("gpt2")
    real = backbone.base.forward

    def shifted(input_ids, attention_mask, position_ids=None, use_cache=False):
        if position_ids is not None:
            position_ids = position_ids + 1
        return real(input_ids, attention_mask=attention_mask, position_ids=position_ids)

    monkeypatch.setattr(backbone.base, "forward", shifted)
    with pytest.raises(InputError, match="padding must not change hidden states"):
        extract(backbone, PROMPTS, progress=False)
    extract(backbone, PROMPTS, progress=False, padding_check=False)


def test_self_check_sees_an_ignored_mask(monkeypatch):
    backbone = tiny_backbone("bert")
    real = backbone.base.forward
    monkeypatch.setattr(
        backbone.base,
        "forward",
        lambda input_ids, attention_mask, position_ids=None: real(
            input_ids, position_ids=position_ids
        ),
    )
    data = as_sequences(backbone, ["good", "good"], max_tokens=64)
    # Rows of one length as well: the check pads them.
    with pytest.raises(InputError, match="padding must not change hidden states"):
        check_padding(backbone, data, backbone.sites)


def told(call) -> str:
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def mixing_in_pads() -> Backbone:
    """ConvBERT convolves over the row's end into the pads."""
    config = transformers.ConvBertConfig(
        vocab_size=384, hidden_size=32, embedding_size=32, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=64, max_position_embeddings=128,
        pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = transformers.ConvBertModel(config).eval()
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return wrap_backbone(model, tiny_tokenizer())


def own_states(backbone, ids) -> torch.Tensor:
    with torch.no_grad():
        return backbone.base(input_ids=ids[None]).last_hidden_state[0]


def test_the_advice_of_the_padding_check_leads_to_right_states():
    backbone = mixing_in_pads()
    said = told(lambda: extract(backbone, PROMPTS, progress=False))
    assert "Capture with --batch-size 1 (batch_size=1)" in said
    z = extract(backbone, PROMPTS, batch_size=1, progress=False).hidden("block.1")
    for row in range(len(PROMPTS)):
        expected = own_states(backbone, z.token_ids[row, z.mask[row]])
        torch.testing.assert_close(z.values[row, z.mask[row]], expected)


def test_no_advice_where_it_would_not_help():
    backbone = replace(tiny_backbone("roberta"), told_positions=True)
    said = told(lambda: extract(backbone, PROMPTS, progress=False))
    assert "batch" not in said
    assert said.endswith("this model's states cannot be captured.")
    said = told(lambda: extract(backbone, PROMPTS, batch_size=1, progress=False))
    assert "a row with the positions of capture differs" in said


def test_positions_are_told_only_where_the_model_counts_so():
    assert tiny_backbone("bert").told_positions
    assert tiny_backbone("gpt2").told_positions
    # From padding_idx + 1 on; and PEFT numbers a learned prompt itself.
    assert not tiny_backbone("roberta").told_positions
    assert not tiny_backbone("prompt_tuning").told_positions


LONGFORMER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
              "intermediate_size": 64, "max_position_embeddings": 130}  # fmt: skip


@pytest.mark.parametrize("window", [4, 64])
def test_a_model_that_pads_its_own_input_is_cut_back(window):
    config = transformers.LongformerConfig(
        vocab_size=384, attention_window=window, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, sep_token_id=2, **LONGFORMER,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        model = transformers.LongformerModel(config).eval()
    backbone = wrap_backbone(model, tiny_tokenizer())
    assert all(site.filled_up for site in backbone.sites)
    found = extract(backbone, PROMPTS, progress=False)
    z = found.hidden(backbone.sites[-1].name)
    for row in range(len(PROMPTS)):
        expected = own_states(backbone, z.token_ids[row, z.mask[row]])
        torch.testing.assert_close(
            z.values[row, z.mask[row]], expected, atol=1e-5, rtol=1e-5
        )


def test_a_sequence_that_is_lengthened_later_is_refused():
    """Right over a few tokens, and not over more of them."""
    model = tiny_model("llama")
    backbone = wrap_backbone(model, tiny_tokenizer())
    real = model.embed_tokens.forward
    model.embed_tokens.forward = lambda ids: real(
        torch.cat([ids, ids[:, :1]], 1) if ids.shape[1] > 7 else ids
    )
    model.forward = lambda input_ids, **kw: type(model).forward(model, input_ids)
    said = told(lambda: extract(backbone, PROMPTS, padding_check=False, progress=False))
    assert "site 'embed' must run once, with a state for each of" in said


def test_a_configuration_without_special_tokens():
    config = transformers.CodeGenConfig(
        vocab_size=384, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=64
    )
    with torch.random.fork_rng(devices=[]):
        backbone = wrap_backbone(transformers.CodeGenModel(config).eval(), tiny_tokenizer())
    assert not hasattr(config, "pad_token_id")
    found = extract(backbone, PROMPTS, views=("full", "head"), progress=False)
    z = found.hidden("final_norm")
    last = z.values[0, z.mask[0]][-1]
    assert torch.equal(found.pooled("final_norm", "head")[0], last)


def test_texts_that_begin_twice_or_are_unknown_are_noted():
    tokenizer = metaspace(special=True)
    model = tiny_model("llama", vocab_size=len(tokenizer))
    backbone = wrap_backbone(model, tokenizer)
    found = extract(backbone, ["<s>bad", "bad", "\u4f60\u597d\u5417"], progress=False)
    assert found.notes == (
        "1 of 3 texts begin with two <s>: one of their own, and the tokenizer's",
        "1 of 3 texts are at least half unknown tokens (<unk>), which say nothing of the "
        "words that they stand for",
    )
    assert extract(backbone, ["bad", "a film"], progress=False).notes == ()


def test_capture_of_generation():
    model = tiny_model("gpt2", head="CausalLM")
    ids = torch.tensor([[5, 6, 7]])
    with capture(model, "block.0") as states:
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=4,
            min_new_tokens=4,
            do_sample=False,
            pad_token_id=0,
        )
    assert list(states) == ["block.0"]
    assert [s.shape[1] for s in states["block.0"]] == [3, 1, 1, 1]
    with torch.no_grad(), capture(model, "embed") as states:
        model(ids)
    (kept,) = states["embed"]
    # Its own storage, of its own size: a slice keeps no batch alive but this.
    assert kept.untyped_storage().nbytes() == kept.nbytes


def test_memory_is_flat():
    """200 batches: what stays is one vector a row, site and view."""
    backbone = tiny_backbone("llama", num_hidden_layers=1)
    prompts = words(400)
    settings = {"views": ("mean",), "progress": False, "padding_check": False}
    data = as_sequences(backbone, prompts, max_tokens=64)
    extract(backbone, data, batch_size=100, **settings)

    def alive():
        gc.collect()
        tensors = sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
        return tensors, sys.getallocatedblocks()

    tensors, blocks = alive()
    found = extract(backbone, data, batch_size=2, rows_per_shard=1000, **settings)
    more_tensors, more_blocks = alive()
    assert more_tensors - tensors <= len(found.sites) + 2  # lengths, head positions
    assert more_blocks - blocks < 2000  # 10 a batch
    (shard,) = found.shards
    stored = sum(tensor.untyped_storage().nbytes() for tensor in shard.tensors.values())
    assert stored == 400 * (len(found.sites) * 32 * 4 + 2 * 4)


def test_forecast():
    backbone = tiny_backbone("llama")
    seen = forecast(backbone, words(40), views=("full", "mean"), batch_size=8)
    found = extract(backbone, words(40), views=("full", "mean"), progress=False)
    z = found.hidden("block.1")
    assert seen["rows"] == 40
    assert seen["tokens"] == int(z.mask.sum())
    assert seen["longest"] == z.values.shape[1]
    assert seen["shapes"]["full/block.1"] == tuple(z.values.shape)
    assert seen["shapes"]["mean/block.1"] == (40, 32)
    assert 0 < seen["seconds"] < 60


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_copies_of_a_text_have_states_that_are_equal_to_the_bit(family, tmp_path):
    texts = words(9)
    order = np.random.default_rng(1).permutation(27)
    prompts = [texts[i % 9] for i in order]
    found = extract(
        tiny_backbone(family),
        prompts,
        views=("full", "mean"),
        batch_size=4,
        store=tmp_path / "store",
        progress=False,
    )
    site = found.sites[-1]
    z, mean = found.hidden(site), found.pooled(site, "mean")
    alone = extract(tiny_backbone(family), prompts[:1], batch_size=1, progress=False)
    first = alone.hidden(site).values[0]
    assert torch.allclose(z.values[0, : len(first)], first, atol=1e-4)
    for text in texts:
        rows = [i for i, prompt in enumerate(prompts) if prompt == text]
        assert len(rows) == 3
        for row in rows[1:]:
            assert torch.equal(mean[row], mean[rows[0]])
            assert torch.equal(z.values[row], z.values[rows[0]])
            assert torch.equal(z.mask[row], z.mask[rows[0]])


def test_tables_columns_and_lists_are_what_they_hold():
    backbone, texts = tiny_backbone("llama"), words(4)
    frame = pd.DataFrame({"text": texts, "label": [0, 1, 0, 1]})
    expected = extract(backbone, texts, sites=[1], progress=False).hidden("block.0")
    for source in (frame, read_table(frame), frame["text"], frame["text"].to_numpy()):
        states = extract(backbone, source, sites=[1], progress=False)
        assert states.ids == ("0", "1", "2", "3")
        assert torch.equal(states.hidden("block.0").values, expected.values)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (pd.Series(["a", None], name="review"), "text in every row; row 2 of 2 is "),
        (pd.DataFrame({"review": ["a", "b"]}), "text-column must be a column"),
        ("a single text", "task must be one of"),
        (["a", None], "text in every row; row 2 of 2 is NoneType"),
        (7, "data must be a file's path"),
    ],
)
def test_what_holds_no_texts_is_said(source, said):
    with pytest.raises(InputError, match=said):
        extract(tiny_backbone("llama"), source, progress=False)
